"""Pictures and words with fake towers: scores, templates, none of these, what is remembered, what is refused."""

import math
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipelines import catalog, clip, hub, image_snippets, images, loading, show_code
from pipelines.errors import VisitorError
from pipelines.run import Run
from pipelines.vectors import Vectors
from tabs import _clip_views, _uploads
from tabs import clip as tab

RED, BLUE = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
MODEL = "openai/clip-vit-base-patch32"
WORDS = {
    "red": (1, 0, 0),
    "blue": (0, 1, 0),
    "something else": (0.6, 0.6, 0.5),
    "빨강": (0.9, 0, 0.1),
    "다른 것": (0, 0, 1),
}


class Number(float):
    def exp(self):
        return Number(math.exp(self))


@pytest.fixture
def towers(monkeypatch):
    """Fake towers: a picture's vector is its colour, a text's stands in WORDS; returns what was embedded."""
    model = SimpleNamespace(name_or_path="/models/fake", logit_scale=Number(math.log(10)))
    loaded = SimpleNamespace(id=MODEL, card=catalog.card(MODEL), device="cpu", pipe=SimpleNamespace(model=model))
    seen = SimpleNamespace(model=model, texts=[], pictures=0, id=[])

    @contextmanager
    def using(name):
        seen.id.append(name)
        yield loaded

    def texts(_, batch):
        seen.texts += batch
        return [unit(next((v for k, v in WORDS.items() if k in text), (0.1, 0.1, 0.9))) for text in batch]

    def pictures(_, data):
        seen.pictures += len(data)
        return [unit((1, 0.2, 0)) if images.load(each).getpixel((1, 1))[0] else unit((0.2, 1, 0)) for each in data]

    monkeypatch.setattr(clip, "using", using)
    monkeypatch.setattr(clip, "_embed_texts", texts)
    monkeypatch.setattr(clip, "_embed_images", pictures)
    monkeypatch.setattr(clip, "TEXT_VECTORS", Vectors(10**6))
    monkeypatch.setattr(clip, "IMAGE_VECTORS", Vectors(10**6))
    return seen


def unit(vector):
    return np.array(vector, dtype="float32") / np.linalg.norm(vector)


def scores(run):
    return {row["label"]: row["score"] for row in run.result}


def test_softmax_shares_one_among_the_labels_best_first(towers):
    run = clip.match_image(RED, ["blue", "red"], model=MODEL)
    assert [row["label"] for row in run.result] == ["red", "blue"] and run.method == "method.softmax"
    cosines = unit((1, 0.2, 0)) @ np.array([[1, 0, 0], [0, 1, 0]]).T
    expected = np.exp(10 * cosines) / np.exp(10 * cosines).sum()
    assert [row["score"] for row in run.result] == pytest.approx(expected.tolist(), abs=1e-5)


def test_cosine_is_left_as_it_is(towers):
    run = clip.match_image(RED, "red, blue", scoring="cosine", model=MODEL)
    assert scores(run) == pytest.approx({"red": 1 / math.sqrt(1.04), "blue": 0.2 / math.sqrt(1.04)}, abs=1e-5)


def test_sigmoid_needs_a_model_that_learned_it(towers):
    with pytest.raises(VisitorError, match="sigmoid_only_siglip"):
        clip.match_image(RED, ["red"], scoring="sigmoid", model=MODEL)
    towers.model.logit_bias = Number(-5)
    run = clip.match_image(RED, ["red", "blue"], model=MODEL)
    assert run.method == "method.sigmoid"
    assert scores(run)["red"] == pytest.approx(1 / (1 + math.exp(-(10 / math.sqrt(1.04) - 5))), abs=1e-5)


@pytest.mark.parametrize(
    ("labels", "else_", "named"),
    [(["red", "blue"], "something else", "(none of these)"), (["빨강"], "다른 것", "(이 가운데 없음)")],
)
def test_none_of_these_is_a_text_beside_the_labels_in_their_language(towers, labels, else_, named):
    run = clip.match_image(RED, labels, "{}", model=MODEL, none_of_these=True)
    assert else_ in towers.texts and named in scores(run)
    assert sum(scores(run).values()) == pytest.approx(1)


def test_none_of_these_with_sigmoid_is_what_the_best_label_lacks(towers):
    towers.model.logit_bias = Number(-12)
    run = clip.match_image(RED, ["red", "blue"], model=MODEL, none_of_these=True)
    found = scores(run)
    assert run.result[0]["label"] == "(none of these)"
    assert found["(none of these)"] == pytest.approx(1 - max(found["red"], found["blue"]))
    assert "something else" not in " ".join(towers.texts)


def test_templates_follow_the_language_of_the_labels(towers):
    clip.match_image(RED, ["red"], model=MODEL)
    clip.match_image(RED, ["빨강"], model=MODEL)
    clip.match_image(RED, ["red"], "a drawing of {}", model=MODEL)
    assert towers.texts == ["This is a photo of red.", "빨강의 사진", "a drawing of red"]


def test_what_was_embedded_once_is_remembered(towers):
    clip.match_image(RED, ["red", "blue"], "{}", model=MODEL)
    clip.match_image(RED, ["blue", "green"], "{}", model=MODEL)
    clip.rank_images("red", [BLUE, RED, RED], MODEL)
    assert towers.texts == ["red", "blue", "green"] and towers.pictures == 2


def test_many_pictures_and_texts_make_a_matrix(towers):
    run = clip.match_images([RED, BLUE], "red\nblue", model=MODEL)
    assert run.result["texts"] == ["red", "blue"] and run.method == "method.cosine"
    assert np.argmax(run.result["matrix"], axis=1).tolist() == [0, 1]
    shared = clip.match_images([RED, BLUE], ["red", "blue"], scoring="softmax", model=MODEL).result["matrix"]
    assert [sum(row) for row in shared] == pytest.approx([1, 1])


def test_pictures_are_ranked_by_a_text(towers):
    assert [row["index"] for row in clip.rank_images("blue", [RED, BLUE], MODEL).result] == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"image": None}, "no_image"),
        ({"image": b"nothing"}, "not_an_image"),
        ({"labels": []}, "no_labels"),
        ({"labels": " , "}, "no_labels"),
        ({"labels": 5}, "no_labels"),
        ({"labels": [f"label {i}" for i in range(2_001)]}, "too_many_labels"),
        ({"labels": ["x" * 201]}, "text_too_long"),
        ({"template": "no place"}, "bad_template"),
        ({"template": " "}, "empty_template"),
        ({"template": 3}, "not_text"),
        ({"scoring": "best"}, "bad_choice"),
        ({"scoring": float("nan")}, "bad_choice"),
        ({"scoring": ["softmax"]}, "bad_choice"),
        ({"none_of_these": "yes"}, "bad_choice"),
        ({"model": "../etc"}, "bad_model_id"),
        ({"model": 7}, "bad_model_id"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(towers, arguments, key):
    with pytest.raises(VisitorError) as caught:
        clip.match_image(**{"image": RED, "labels": ["red"], "model": MODEL, **arguments})
    assert caught.value.key == key


def test_searching_needs_words_and_pictures(towers):
    for text, data, key in ((" ", [RED], "empty_search"), (None, [RED], "empty_search"), ("red", [], "no_image")):
        with pytest.raises(VisitorError) as caught:
            clip.rank_images(text, data, MODEL)
        assert caught.value.key == key
    with pytest.raises(VisitorError, match="too_many_images"):
        clip.rank_images("red", [RED] * 17, MODEL)
    with pytest.raises(VisitorError, match="too_many_labels"):
        clip.match_images([RED], [str(i) for i in range(31)], model=MODEL)


def test_surrogates_and_many_labels_pass(towers):
    run = clip.match_image(RED, ["red\ud800", *(f"label {i}" for i in range(1_999))], "{}", model=MODEL)
    assert len(run.result) == 2_000 and "red\ufffd" in scores(run)


def test_vectors_are_bounded_and_the_least_recent_go_first():
    vectors = Vectors(3 * (4 * 8 + 256))
    compute = lambda keys: [np.zeros(8) for _ in keys]  # noqa: E731
    vectors.fill(["a", "b", "c"], compute)
    vectors.fill(["a"], compute)
    assert vectors.fill(["d"], compute)[1] == 1 and vectors.fill(["a"], compute)[1] == 0
    assert vectors.fill(["b"], compute)[1] == 1 and vectors.bytes <= 3 * 288
    assert vectors.fill(["x", "x"], compute)[0].shape == (2, 8)


def test_image_tasks_stand_beside_the_text_tasks():
    assert "image_text" not in catalog.TASKS and "image_text" in loading.KINDS
    assert [card.id for card in catalog.offered("image_text")][0] == clip.POCKET
    assert hub.HEADS[loading.KINDS["image_text"][0]]


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "clip", "architectures": ["CLIPForImageClassification"]},
        {"model_type": "clip_text_model", "architectures": ["CLIPTextModel"]},
        {"model_type": "siglip_vision_model"},
        {"model_type": "bert", "architectures": ["BertModel"]},
    ],
)
def test_half_a_model_is_no_image_text_model(config):
    with pytest.raises(VisitorError, match="wrong_task"):
        hub._check_kind("a/b", config, loading.KINDS["image_text"][0])


def test_whole_models_pass_even_without_named_architectures():
    for config in ({"model_type": "siglip"}, {"model_type": "clip", "architectures": ["CLIPModel"]}):
        hub._check_kind("a/b", config, loading.KINDS["image_text"][0])


def test_code_holds_the_picture_and_literals_only(towers):
    nasty = '"); import os  # {}'
    arguments = {"image": images.read(RED), "labels": ["red", nasty], "scoring": "softmax", "model": MODEL}
    code = show_code.show_code("match_image", arguments)["python"]
    compile(code, "shown", "exec")
    assert repr(nasty) in code and "b64decode" in code and "import os\n" not in code
    with pytest.raises(VisitorError, match="image_not_uploaded"):
        show_code.show_code("match_image", arguments | {"image": "/etc/passwd"})
    for endpoint, more in (("match_images", {"texts": ["red"]}), ("rank_images", {"text": "red"})):
        data = {"images": [images.read(RED), images.read(BLUE)], "model": MODEL}
        compile(show_code.show_code(endpoint, {**data, **more})["python"], "shown", "exec")


def test_a_large_picture_goes_into_the_code_as_a_smaller_copy():
    data = images.read(Image.effect_noise((900, 900), 90).convert("RGB"))
    lines = image_snippets.several([data])
    assert "a smaller copy" in lines and len(lines) < 200_000


def test_uploads_only_from_the_upload_folder(tmp_path, monkeypatch):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir(), outside.mkdir()
    monkeypatch.setattr(_uploads, "get_upload_folder", lambda: str(inside))
    for folder in (inside, outside):
        RED.save(folder / "a.png")
    (inside / "link.png").symlink_to(outside / "a.png")
    meta = {"_type": "gradio.FileData"}
    assert images.load(_uploads.picture({"path": str(inside / "a.png"), "meta": meta})).size == (8, 8)
    bad = [
        outside / "a.png",
        inside / "link.png",
        inside / ".." / "out" / "a.png",
        "http://x/y.png",
        "data:image/png,x",
    ]
    for path in bad:
        with pytest.raises(VisitorError, match="image_not_uploaded"):
            _uploads.picture({"path": str(path), "meta": meta})
        assert _uploads.foreign([{"deep": [{"path": str(path), "meta": meta}]}])
    for value in ("http://x/y.png", str(inside / "a.png"), 5, {}, []):
        with pytest.raises(VisitorError, match="image_not_uploaded"):
            _uploads.picture(value)
    assert not _uploads.foreign([{"path": str(inside / "a.png"), "meta": meta}, "text", None])


HOSTILE = "<img src=x onerror=alert(1)>"


def answered(result, method="method.softmax"):
    return Run(result, MODEL, method, timing={"images": 1.0})


def test_views_escape_what_visitors_wrote():
    data = [images.read(RED)]
    html = _clip_views.match(answered([{"label": HOSTILE, "score": 1.0}]), data, [HOSTILE], "ko")
    html += _clip_views.many(answered({"texts": [HOSTILE], "matrix": [[0.3]]}), data, [HOSTILE], "en")
    html += _clip_views.search(answered([{"index": 0, "score": 0.3}]), data, [HOSTILE], "en")
    assert "<img src=x" not in html and "&lt;img src=x" in html


def test_many_labels_are_folded():
    rows = [{"label": str(i), "score": 0.01} for i in range(100)]
    html = _clip_views.match(answered(rows), [images.read(RED)], [], "en")
    assert "88 more labels" in html


def test_one_run_fills_the_panel_of_its_mode_alone():
    told = []

    def match(**arguments):
        told.append(arguments)
        return answered([{"label": "red", "score": 1.0}])

    data = images.read(RED)
    values = tab._run({"match": match}, "en", "match", data, None, "red, blue", "", "", "", "auto", False, MODEL, {})
    texts = ["This is a photo of red.", "This is a photo of blue."]
    assert "mc-panel" in values[0] and values[3]["match"][1:] == (texts, "softmax", MODEL)
    assert len(values) == 5 and told[0]["labels"] == ["red", "blue"] and told[0]["scoring"] is None
    with pytest.raises(VisitorError, match="no_image"):
        tab._run({"match": match}, "en", "match", None, None, "red", "", "", "", "auto", False, "", {})


def test_the_tab_is_built_with_functions_given_to_it():
    assert tab.build(match=print, many=print, rank=print, explain=print).fns
