"""The CLIP tab's examples and answers as HTML: everything a visitor or a model wrote is escaped here."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pipelines import clip, emoji, images
from pipelines.run import Run
from tabs._i18n import both, say

esc = html.escape
SHOWN = 12
OFFERED = 12
# Example pictures that make a table or a search; those that are not there are left out.
SETS = {
    "fruit": ("red-apple", "banana", "strawberry", "watermelon", "pizza", "hamburger"),
    "animals": ("cat-face", "dog-face", "elephant", "penguin", "octopus", "butterfly"),
    "mixed": ("rocket", "rainbow", "guitar", "robot", "soccer-ball", "sunflower"),
}
LEAST = 3


@lru_cache(maxsize=1)
def sets() -> dict[str, tuple[str, ...]]:
    """Return {name: example pictures} of the sets that can be offered."""
    known = emoji.examples()
    found = {name: tuple(each for each in names if each in known) for name, names in SETS.items()}
    return {name: names for name, names in found.items() if len(names) >= LEAST}


def labels_for(name: str, lang: str) -> list[str]:
    """Return an example's own name among five others', in an order that does not give it away."""
    others = [each for each in offered() if each != name]
    start = others and int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(others)
    chosen = [name, *(others[(start + 2 * i) % len(others)] for i in range(min(5, len(others) // 2)))]
    ordered = sorted(dict.fromkeys(chosen), key=lambda each: hashlib.sha256(f"{name} {each}".encode()).hexdigest())
    return [emoji.examples()[each][lang] for each in ordered]


def offered() -> list[str]:
    """Return the example pictures to click: some of each set."""
    known = list(emoji.examples())
    first = [name for row in zip(*SETS.values(), strict=True) for name in row if name in known]
    return list(dict.fromkeys([*first, *known]))[:OFFERED]


@lru_cache(maxsize=8)
def opening(mode: str) -> str:
    """Return what a mode's form begins with: its sentence, and pictures or named sets of them to click."""
    if mode not in ("many", "search"):
        buttons = "".join(
            f'<button type="button" class="mc-clip-example" data-example="{esc(name)}" aria-label="{esc(title)}" '
            f'title="{esc(title)}">{_image(emoji.picture(name), 64, "")}</button>'
            for name in offered()
            for title in [" · ".join(emoji.examples()[name][lang] for lang in ("ko", "en"))]
        )
    else:
        buttons = "".join(
            f'<button type="button" class="mc-clip-set" data-example="{name}">'
            f"{''.join(_image(emoji.picture(each), 48, '') for each in names[:3])}{both(f'clip.set.{name}')}</button>"
            for name, names in sets().items()
        )
    chips = f'<div class="mc-chips mc-clip-examples">{both("ui.examples")}{buttons}</div>' if buttons else ""
    return f'<p class="mc-intro">{both(f"clip.intro.{mode}")}</p>{chips}'


def match(run: Run, data: list[bytes], labels: list[str], lang: str) -> str:
    """Return the picture, the best label, and a bar for each label, best first."""
    cosine = run.method == "method.cosine"
    rows = [_bar(row, i, cosine, lang) for i, row in enumerate(run.result)]
    more = ""
    if len(rows) > SHOWN:
        told = esc(say(lang, "clip.more_labels", count=len(rows) - SHOWN))
        more = f'<details class="mc-clip-more"><summary>{told}</summary>{"".join(rows[SHOWN:300])}</details>'
    best = run.result[0]
    head = (
        f'<div class="mc-clip-head">{_image(data[0], 144, say(lang, "clip.picture_n", number=1))}'
        f'<p class="mc-big">{_name(best["label"], lang)} <small>{_score(best["score"], cosine)}</small></p></div>'
    )
    return f"{head}{''.join(rows[:SHOWN])}{more}"


def many(run: Run, data: list[bytes], texts: list[str], lang: str) -> str:
    """Return a table of pictures and texts, one sequential colour, the number in each cell."""
    matrix, cosine = run.result["matrix"], run.method == "method.cosine"
    values = [value for row in matrix for value in row]
    # Cosines of one model lie close together: the colours run from the least to the greatest of this table.
    low, high = (min(values), max(values)) if cosine else (0.0, 1.0)
    span = max(high - low, 1e-6)
    head = "".join(f'<th scope="col"><span>{esc(text)}</span></th>' for text in run.result["texts"])
    body = ""
    for i, row in enumerate(matrix):
        cells = "".join(_cell(value, (value - low) / span, value == max(row), cosine) for value in row)
        body += f'<tr><th scope="row">{_image(data[i], 64, say(lang, "clip.picture_n", number=i + 1))}</th>{cells}</tr>'
    table = f'<table class="mc-heat mc-clip-heat"><tr><td></td>{head}</tr>{body}</table>'
    told = esc(say(lang, "clip.best_in_row"))
    return f'<div class="mc-scroll" tabindex="0">{table}</div><p class="mc-soft">{told}</p>'


def search(run: Run, data: list[bytes], texts: list[str], lang: str) -> str:
    """Return the pictures, best first, with their scores."""
    low = min(row["score"] for row in run.result)
    span = max(max(row["score"] for row in run.result) - low, 1e-6)
    cards = ""
    for rank, row in enumerate(run.result, start=1):
        alt = say(lang, "clip.picture_n", number=row["index"] + 1)
        width = 8 + 92 * (row["score"] - low) / span
        cards += (
            f'<li class="mc-clip-card{" mc-clip-best" if rank == 1 else ""}">{_image(data[row["index"]], 160, alt)}'
            f'<span class="mc-clip-line"><span>{esc(say(lang, "clip.rank", rank=rank))}</span>'
            f"<b>{_score(row['score'], True)}</b></span>"
            f'<span class="mc-bar-track"><span class="mc-bar-fill" style="width:{width:.0f}%"></span></span></li>'
        )
    return f'<p class="mc-big">“{esc(texts[0])}”</p><ol class="mc-clip-cards">{cards}</ol>'


VIEWS: dict[str, Callable[[Run, list[bytes], list[str], str], str]] = {"match": match, "many": many, "search": search}


def taught(model: str, trained_on: str, lang: str) -> str:
    """Return the line that says what the model learned from."""
    sentence = say(lang, "clip.knows", model=model, taught=say(lang, f"trained_on.{trained_on}"))
    return f'<p class="mc-soft mc-clip-taught">{esc(sentence)}</p>'


def _name(name: str, lang: str) -> str:
    if name in clip.NONE.values():
        return f'<i class="mc-clip-none">{esc(say(lang, "clip.none_of_these"))}</i>'
    return esc(name)


def _score(score: float, cosine: bool) -> str:
    return f"{score:.3f}".replace("-", "−") if cosine else f"{100 * score:.1f} %"


def _bar(row: dict[str, Any], place: int, cosine: bool, lang: str) -> str:
    width = max(0.0, min(100.0, 100 * row["score"]))
    return (
        f'<div class="mc-bar{"" if place == 0 else " mc-faint"}"><span class="mc-bar-name">{_name(row["label"], lang)}'
        f'</span><span class="mc-bar-track"><span class="mc-bar-fill" style="width:{width:.1f}%"></span></span>'
        f'<span class="mc-bar-score">{_score(row["score"], cosine)}</span></div>'
    )


def _cell(value: float, strength: float, best: bool, cosine: bool) -> str:
    strength = max(0.0, min(1.0, strength))
    # Between 55 % and 82 % of the blue neither dark nor white figures can be read well.
    shade, ink = (1.1 * strength, "var(--mc-ink)") if strength < 0.5 else (0.82 + 0.36 * (strength - 0.5), "#fff")
    shown = f"{value:.2f}".replace("-", "−") if cosine else f"{100 * value:.0f} %"
    css = ' class="mc-clip-best"' if best else ""
    return f'<td{css} style="background:rgb(0 84 140 / {shade:.2f});color:{ink}">{shown}</td>'


def _image(source: Any, side: int, alt: str) -> str:
    data = images.small(source, side)
    uri = f"data:{images.mime(data)};base64,{base64.b64encode(data).decode()}"
    return f'<img src="{uri}" alt="{esc(alt)}">'
