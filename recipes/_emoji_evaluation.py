"""What the emoji CLIP gets right on compositions that it never trained on.

Canvases are drawn with PIL at 120-260 pixels, on plasma like a photograph out of focus, stripes, checks, plain colours,
white and black, and go through the folder's own processor. The right name is to be found among all names.
"""

import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize

from recipes._training import accuracy

KINDS = ("plasma", "photo", "stripes", "checks", "plain", "white", "black")
SCALES = ((0.35, 0.5), (0.5, 0.75), (0.75, 1.0))
ASKED = {"en": ("{}", "a picture of {}"), "ko": ("{}", "{} 그림")}


def plasma(side: int, rng: np.random.Generator, roughness: float = 1.6) -> np.ndarray:
    """(side, side, 3) noise whose amplitude falls with frequency, as in photographs, 0-255."""
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falloff = 1 / np.maximum(np.hypot(rows, columns), 1 / side) ** roughness
    phases = np.exp(2j * np.pi * rng.random((3, side, side // 2 + 1)))
    waves = np.fft.irfft2(phases * falloff, s=(side, side))
    waves = 0.6 * waves + 0.4 * waves[:1]
    spread = rng.uniform(25, 70)
    middle = rng.uniform(50, 205, 3)[:, None, None]
    return (middle + spread * waves / waves.std()).clip(0, 255).transpose(1, 2, 0)


def background(kind: str, side: int, rng: np.random.Generator) -> np.ndarray:
    """(side, side, 3) in 0-255."""
    one, other = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    if kind == "plasma":
        return plasma(side, rng)
    if kind == "photo":
        return (plasma(side, rng, 2.0) + rng.normal(0, rng.uniform(2, 14), (side, side, 3))).clip(0, 255)
    if kind == "stripes":
        angle, period = rng.uniform(0, np.pi), rng.uniform(0.05, 0.4) * side
        line = np.arange(side)
        share = ((np.cos(angle) * line[None] + np.sin(angle) * line[:, None]) % period < period / 2)[..., None]
        return one * share + other * (1 - share)
    if kind == "checks":
        cell = max(2, int(rng.uniform(0.06, 0.3) * side))
        line = np.arange(side) // cell
        share = ((line[None] + line[:, None]) % 2)[..., None]
        return one * share + (0.5 * one + 0.5 * other) * (1 - share)
    return np.ones((side, side, 3)) * {"plain": one, "white": 255.0, "black": 0.0}[kind]


def compose_one(picture: Image.Image, kind: str, scale: float, rng: np.random.Generator) -> Image.Image:
    """``picture`` (RGBA) at ``scale`` of the canvas's side, anywhere on a new background."""
    side = int(rng.integers(120, 260))
    size = max(8, round(side * scale))
    canvas = Image.fromarray(background(kind, side, rng).astype(np.uint8))
    shrunk = picture.resize((size, size), Image.Resampling.LANCZOS)
    x, y = (int(value) for value in rng.integers(0, side - size + 1, 2))
    canvas.paste(shrunk, (x, y), shrunk)
    return canvas


def read_pictures(folder: Path) -> tuple[list[dict], list[Image.Image]]:
    """The labels and the pictures of all base emoji."""
    rows = [row for row in json.loads((folder / "emoji_labels.json").read_text(encoding="utf-8")) if row["base"]]
    with zipfile.ZipFile(folder / "emoji_128.zip") as archive:
        inside = {Path(name).name: name for name in archive.namelist()}
        return rows, [Image.open(io.BytesIO(archive.read(inside[row["file"]]))).convert("RGBA") for row in rows]


@torch.no_grad()
def image_vectors(model, processor, images: list[Image.Image], batch: int = 64) -> torch.Tensor:
    """(images, width) unit vectors."""
    parts = []
    for start in range(0, len(images), batch):
        inputs = processor(images=images[start : start + batch], return_tensors="pt")
        parts.append(model.visual_projection(model.vision_model(**inputs).pooler_output))
    return normalize(torch.cat(parts), dim=-1)


@torch.no_grad()
def text_vectors(model, processor, texts: list[str], batch: int = 256) -> torch.Tensor:
    """(texts, width) unit vectors."""
    parts = []
    for start in range(0, len(texts), batch):
        inputs = processor(text=texts[start : start + batch], padding=True, truncation=True, return_tensors="pt")
        parts.append(model.text_projection(model.text_model(**inputs).pooler_output))
    return normalize(torch.cat(parts), dim=-1)


def first_and_five(vectors: torch.Tensor, table: torch.Tensor, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every picture: whether its own text is nearest, and the five nearest texts."""
    best = (vectors @ table.T).topk(5).indices.numpy()
    return best[:, 0] == right, best


def evaluate(folder: Path, data: Path, per_emoji: int = 2, seed: int = 20_240) -> tuple[dict, list[tuple[str, int]]]:
    """The figures of the card, and the commonest confusions in English."""
    from transformers import AutoProcessor, CLIPModel

    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    rows, pictures = read_pictures(data)
    rng = np.random.default_rng(seed)
    right = np.tile(np.arange(len(rows)), per_emoji)
    kinds = rng.choice(KINDS, len(right))
    scales = rng.uniform(0.35, 1.0, len(right))
    composed = (compose_one(pictures[i], k, s, rng) for i, k, s in zip(right, kinds, scales, strict=True))
    vectors = torch.cat([image_vectors(model, processor, chunk) for chunk in chunks(composed, 64)])
    bare = {
        kind: image_vectors(model, processor, [on_colour(picture, value) for picture in pictures])
        for kind, value in (("white", 255), ("black", 0))
    }
    bare["transparent"] = image_vectors(model, processor, pictures)
    groups = np.array([rows[i]["group"] or "letters" for i in right])
    figures, confused = {"emoji": len(rows)}, Counter()
    for language, templates in ASKED.items():
        names = [row[language] for row in rows]
        tables = [text_vectors(model, processor, [template.format(name) for name in names]) for template in templates]
        hit, best = first_and_five(vectors, tables[0], right)
        figures[language] = {
            "first": accuracy(hit),
            "among_five": accuracy((best == right[:, None]).any(1)),
            "in_a_sentence": accuracy(first_and_five(vectors, tables[1], right)[0]),
            "bare": {
                kind: accuracy(first_and_five(found, tables[0], np.arange(len(rows)))[0])
                for kind, found in bare.items()
            },
            "by_scale": {
                f"{low}-{high}": accuracy(hit[(scales >= low) & (scales < high)])["value"] for low, high in SCALES
            },
            "by_background": {kind: accuracy(hit[kinds == kind])["value"] for kind in KINDS},
            "by_group": {group: accuracy(hit[groups == group])["value"] for group in sorted(set(groups.tolist()))},
        }
        if language == "en":
            confused.update(f"{names[i]} -> {names[b]}" for i, b in zip(right[~hit], best[~hit, 0], strict=True))
    return figures, confused.most_common(25)


def chunks(items, size: int):
    part = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def on_colour(picture: Image.Image, value: int) -> Image.Image:
    canvas = Image.new("RGB", picture.size, (value, value, value))
    canvas.paste(picture, (0, 0), picture)
    return canvas
