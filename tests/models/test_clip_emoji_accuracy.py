"""The pocket emoji CLIP, asked for the names of emoji on backgrounds that it never saw, among all 1,679 names."""

import json
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "assets" / "pocket" / "clip-emoji"
IMAGES = ROOT / "assets" / "examples" / "images"
NAMES = ROOT / "assets" / "examples" / "emoji_names.json"
MEGABYTE = 2**20
FIRST_FLOOR, FIVE_FLOOR, BARE_FLOOR = 0.85, 0.95, 0.9

pytestmark = pytest.mark.models


@cache
def clip():
    import torch
    from transformers import AutoProcessor, CLIPModel

    model = CLIPModel.from_pretrained(FOLDER, dtype=torch.float32).eval()
    return AutoProcessor.from_pretrained(FOLDER), model


@cache
def names(language: str) -> list[str]:
    return [row[language] for row in json.loads(NAMES.read_text(encoding="utf-8"))]


@cache
def pictures() -> dict[str, "object"]:
    """English name -> RGBA picture."""
    from PIL import Image

    return {path.stem.replace("-", " "): Image.open(path).convert("RGBA") for path in sorted(IMAGES.glob("*.png"))}


def drawn_background(kind: int, side: int, rng):
    """Plain, slanting stripes, a soft two-way shade, or coarse smooth noise."""
    import numpy as np
    from PIL import Image

    one, other = rng.uniform(0, 255, (2, 3))
    line = np.linspace(0, 1, side)
    if kind == 3:
        coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        return coarse.resize((side, side), Image.Resampling.BICUBIC)
    stripes = ((line[None] + 0.5 * line[:, None]) % 0.2 < 0.1).astype(float)
    share = [np.zeros((side, side)), stripes, np.outer(line, line)][kind][..., None]
    return Image.fromarray((one * (1 - share) + other * share).astype(np.uint8))


@cache
def compositions() -> tuple[list, list[str]]:
    """Four canvases of every example: (pictures, the English name of each)."""
    import numpy as np

    rng, canvases, right = np.random.default_rng(7), [], []
    for name, picture in pictures().items():
        for kind in range(4):
            side = int(rng.integers(100, 240))
            canvas = drawn_background(kind, side, rng)
            size = round(side * rng.uniform(0.35, 1.0))
            shrunk = picture.resize((size, size))
            canvas.paste(shrunk, tuple(int(v) for v in rng.integers(0, side - size + 1, 2)), shrunk)
            canvases.append(canvas)
            right.append(name)
    return canvases, right


def vectors_of_texts(texts: list[str]):
    import torch

    processor, model = clip()
    with torch.no_grad():
        inputs = processor(text=texts, padding=True, return_tensors="pt")
        vectors = model.text_projection(model.text_model(**inputs).pooler_output)
    return torch.nn.functional.normalize(vectors, dim=-1)


def vectors_of_pictures(images: list):
    import torch

    processor, model = clip()
    with torch.no_grad():
        inputs = processor(images=images, return_tensors="pt")
        vectors = model.visual_projection(model.vision_model(**inputs).pooler_output)
    return torch.nn.functional.normalize(vectors, dim=-1)


@pytest.mark.parametrize(("language", "template"), [("en", "{}"), ("ko", "{}"), ("en", "A Picture of {}")])
def test_finds_the_name_among_all_names(language, template):
    images, right = compositions()
    places = [names("en").index(name) for name in right]
    table = vectors_of_texts([template.format(name) for name in names(language)])
    best = (vectors_of_pictures(images) @ table.T).topk(5).indices.tolist()
    first = sum(place == row[0] for place, row in zip(places, best, strict=True)) / len(places)
    five = sum(place in row for place, row in zip(places, best, strict=True)) / len(places)
    assert len(places) >= 120
    assert first >= FIRST_FLOOR, f"first {first:.3f}, among five {five:.3f}"
    assert five >= FIVE_FLOOR, f"first {first:.3f}, among five {five:.3f}"


def test_bare_transparent_pictures_are_named():
    table = vectors_of_texts(names("en"))
    best = (vectors_of_pictures(list(pictures().values())) @ table.T).argmax(-1).tolist()
    right = sum(names("en")[place] == name for place, name in zip(best, pictures(), strict=True))
    assert right >= BARE_FLOOR * len(pictures())


def test_works_in_the_ordinary_pipeline():
    from transformers import pipeline

    classify = pipeline("zero-shot-image-classification", model=str(FOLDER))
    for labels in (["red apple", "rocket", "cat face"], ["빨간 사과", "로켓", "고양이 얼굴"]):
        answer = classify(pictures()["red apple"], candidate_labels=labels)
        assert answer[0]["label"] == labels[0]


def test_no_text_is_unknown_and_case_and_normal_form_do_not_matter():
    import unicodedata

    processor, _ = clip()
    tokenizer = processor.tokenizer
    rare = "뷁쀍 햏햏 ŝerĉu 猫 🪼"
    assert tokenizer.unk_token_id not in tokenizer(rare, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(tokenizer(rare)["input_ids"], skip_special_tokens=True).replace(" ", "") == rare.replace(
        " ", ""
    )
    assert tokenizer("RED Apple")["input_ids"] == tokenizer("red apple")["input_ids"]
    assert tokenizer(unicodedata.normalize("NFD", "빨간 사과"))["input_ids"] == tokenizer("빨간 사과")["input_ids"]


def test_padding_does_not_change_a_text():
    import torch

    alone = vectors_of_texts(["로켓"])[0]
    padded = vectors_of_texts(["로켓", "a picture of person in motorized wheelchair: facing right"])[0]
    assert torch.allclose(alone, padded, atol=1e-4)


def test_names_are_all_there_and_the_folder_is_small():
    assert len(names("en")) == len(set(names("en"))) == len(set(names("ko"))) == 1679
    assert set(pictures()) <= set(names("en"))
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 30 * MEGABYTE
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < 0.3 * MEGABYTE
