"""Image-text models by their ids from a Hub: the answers are those of transformers' own classes."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.hub import tiny_clip
from tests.hub.tiny_clip import CLIP, KOREAN, SIGLIP

pytestmark = pytest.mark.hub
EXACT = 1e-4
TEXTS = ["a little girl", "고양이가 창가에 앉아", "a dog in the park", "Machine learning", "배송이 늦고"]


@pytest.fixture
def clip_hub(hub, restart, monkeypatch):
    from pipelines import clip, loading
    from pipelines.cache import ModelCache
    from pipelines.vectors import Vectors

    tiny_clip.build(hub.root)
    restart()
    monkeypatch.setattr(loading, "CACHE", ModelCache(10**10))  # the catalog's sizes are those of the real models
    monkeypatch.setattr(clip, "TEXT_VECTORS", Vectors(10**6))
    monkeypatch.setattr(clip, "IMAGE_VECTORS", Vectors(10**6))
    return hub


def pictures(count=3):
    """Gradients of different colours and shapes."""
    made = []
    for i in range(count):
        image = Image.new("RGB", (40 + 13 * i, 50))
        pixels = [
            ((x * 5 + i * 60) % 256, (y * 4) % 256, (x * y + i) % 256) for y in range(50) for x in range(image.width)
        ]
        image.putdata(pixels)
        made.append(image)
    return made


def reference(folder, images, texts):
    """Return transformers' own output for pictures and texts."""
    import torch
    from transformers import AutoModel, AutoProcessor

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    padding = {"padding": "max_length", "max_length": 64} if "siglip" in model.config.model_type else {"padding": True}
    with torch.inference_mode():
        return model(**processor(text=texts, images=images, truncation=True, return_tensors="pt", **padding))


@pytest.mark.parametrize("model", [CLIP, KOREAN])
def test_softmax_is_that_of_logits_per_image(clip_hub, model):
    from pipelines import clip

    image = pictures(1)[0]
    run = clip.match_image(image, TEXTS, "{}", model=model)
    expected = reference(clip_hub.root / model, [image], TEXTS).logits_per_image.softmax(-1)[0].tolist()
    assert {row["label"]: row["score"] for row in run.result} == pytest.approx(
        dict(zip(TEXTS, expected, strict=True)), abs=EXACT
    )
    assert run.method == "method.softmax" and sum(row["score"] for row in run.result) == pytest.approx(1)


def test_siglip_judges_each_label_by_itself(clip_hub):
    import torch

    from pipelines import clip

    image = pictures(1)[0]
    run = clip.match_image(image, TEXTS, "{}", model=SIGLIP)
    expected = torch.sigmoid(reference(clip_hub.root / SIGLIP, [image], TEXTS).logits_per_image)[0].tolist()
    assert run.method == "method.sigmoid"
    assert {row["label"]: row["score"] for row in run.result} == pytest.approx(
        dict(zip(TEXTS, expected, strict=True)), abs=EXACT
    )


@pytest.mark.parametrize("model", [CLIP, SIGLIP])
def test_many_pictures_and_many_texts_are_cosines_of_both_towers(clip_hub, model):
    from pipelines import clip

    images = pictures()
    run = clip.match_images(images, TEXTS, model=model)
    output = reference(clip_hub.root / model, images, TEXTS)
    expected = (output.image_embeds @ output.text_embeds.T).tolist()
    for row, own in zip(run.result["matrix"], expected, strict=True):
        assert row == pytest.approx(own, abs=EXACT)
    ranked = clip.rank_images(TEXTS[0], images, model).result
    assert [row["index"] for row in ranked] == sorted(range(3), key=lambda i: -expected[i][0])


def test_a_template_is_filled_before_the_text_tower_reads_it(clip_hub):
    from pipelines import clip

    image = pictures(1)[0]
    run = clip.match_image(image, TEXTS, model=CLIP)
    texts = [f"This is a photo of {text}." for text in TEXTS]
    expected = reference(clip_hub.root / CLIP, [image], texts).logits_per_image.softmax(-1)[0].tolist()
    assert sorted((row["score"] for row in run.result), reverse=True) == pytest.approx(
        sorted(expected, reverse=True), abs=EXACT
    )


def test_labels_and_pictures_seen_before_are_not_embedded_again(clip_hub, monkeypatch):
    from pipelines import clip

    image = pictures(1)[0]
    first = clip.match_image(image, TEXTS, model=CLIP).result
    monkeypatch.setattr(clip, "_embed_texts", None)
    monkeypatch.setattr(clip, "_embed_images", None)
    assert clip.match_image(image, TEXTS, model=CLIP).result == first


def test_sigmoid_is_only_for_models_trained_with_it(clip_hub):
    from pipelines import clip
    from pipelines.errors import VisitorError

    with pytest.raises(VisitorError, match="sigmoid_only_siglip"):
        clip.match_image(pictures(1)[0], TEXTS, scoring="sigmoid", model=CLIP)
    scores = [row["score"] for row in clip.match_image(pictures(1)[0], TEXTS, scoring="softmax", model=SIGLIP).result]
    assert sum(scores) == pytest.approx(1)


@pytest.mark.parametrize("model", [tiny_clip.TEXT_ONLY, "someone/unlabelled-sentiment", "klue/bert-base"])
def test_a_model_without_both_towers_is_refused(clip_hub, model):
    from pipelines import clip
    from pipelines.errors import VisitorError

    if not (clip_hub.root / model).exists():
        model = "google-bert/bert-base-uncased"
    with pytest.raises(VisitorError, match="wrong_task"):
        clip.match_image(pictures(1)[0], TEXTS, model=model)


def test_the_code_that_is_shown_gives_the_same_scores(clip_hub):
    from pipelines import clip, images, show_code

    data = images.read(pictures(1)[0])
    for model in (CLIP, SIGLIP):
        arguments = {"image": data, "labels": TEXTS, "model": str(model)}
        code = show_code.show_code("match_image", arguments)["python"]
        code = code.replace(f'"{model}"', repr(str(clip_hub.root / model)))
        values: dict = {}
        exec(compile(code, "shown", "exec"), values)
        assert dict(values["result"]) == pytest.approx(
            {row["label"]: row["score"] for row in clip.match_image(data, TEXTS, model=model).result}, abs=EXACT
        )


def test_the_three_stages_hold_the_numbers_of_the_answer(clip_hub):
    from pipelines import clip, clip_stages

    image = pictures(1)[0]
    for model, how in ((CLIP, "softmax"), (SIGLIP, "sigmoid")):
        run = clip.match_image(image, TEXTS, "{}", how, model)
        opened = clip_stages.stages([image], TEXTS, how, model)
        scores = {row["label"]: row["score"] for row in run.result}
        assert [tensor["name"] for tensor in opened["tensors"]] == ["pixel_values", "image_embeds", "text_embeds"]
        assert f"{how} = {scores[TEXTS[0]]:.4f}" in opened["post"][0] and opened["tokens"]
