"""Objects found in a picture as HTML: the picture with a box around each, and a list below. A provider's words are
escaped here."""

from __future__ import annotations

import base64
import html
from typing import Any

from pipelines import images
from tabs._i18n import say

esc = html.escape
SIDE = 1024
# Rows that stand open; the rest is unfolded.
SHOWN = 12
# Kinds of boxes: what looks different has another label, as far as the eight hues of style.css go.
HUES = 8
# In a picture's right part the names stand at the right edge of their boxes, so that they are not cut off.
RIGHT = 55
# Names of more boxes than this would cover each other on a phone: there they have numbers, and the list has the names.
FEW = 3


def found(objects: list[dict[str, Any]], data: bytes, threshold: float, lang: str) -> str:
    """Return the picture with its boxes, how many there are of what, and the list.

    Args:
        objects: Rows of {label, score, box}, best first.
        data: The picture file.
        threshold: Below which nothing is told.
        lang: "ko" or "en".
    """
    picture, whole = images.measured(data, SIDE)
    kinds = list(dict.fromkeys(each["label"] for each in objects))
    marks = [_mark(n, each, kinds.index(each["label"]) % HUES, whole) for n, each in enumerate(objects, start=1)]
    uri = f"data:image/jpeg;base64,{base64.b64encode(images.jpeg(picture)).decode()}"
    alt = esc(say(lang, "objects.alt", count=len(objects)))
    # No taller than 30 rem: width follows from the shape.
    shape = f"aspect-ratio:{whole[0]}/{whole[1]};max-width:{30 * whole[0] / whole[1]:.2f}rem"
    figure = (
        f'<div class="mc-objects-frame" style="{shape}"><img src="{uri}" alt="{alt}">'
        # The worst first, so that the best lie on top.
        f'<div class="mc-objects-boxes{" mc-objects-many" * (len(objects) > FEW)}" aria-hidden="true">'
        f"{''.join(reversed(marks))}</div></div>"
    )
    if not objects:
        none = say(lang, "objects.none", threshold=f"{100 * threshold:.0f}")
        return f'<div class="mc-objects">{figure}<p class="mc-soft mc-objects-none">{esc(none)}</p></div>'
    rows = [_row(n, each, kinds.index(each["label"]) % HUES, lang) for n, each in enumerate(objects, start=1)]
    named = f'aria-label="{esc(say(lang, "objects.list"))}"'
    listed = f'<ol role="list" class="mc-objects-list" {named}>{"".join(rows[:SHOWN])}</ol>'
    if len(rows) > SHOWN:
        told = esc(say(lang, "objects.more", count=len(rows) - SHOWN))
        rest = f'<ol role="list" class="mc-objects-list" start="{SHOWN + 1}">{"".join(rows[SHOWN:])}</ol>'
        listed += f'<details class="mc-clip-more"><summary>{told}</summary>{rest}</details>'
    hint = f'<p class="mc-soft">{esc(say(lang, "objects.hint"))}</p>'
    return f'<div class="mc-objects">{figure}{_counts(objects, kinds)}{hint}{listed}</div>'


def _counts(objects: list[dict[str, Any]], kinds: list[str]) -> str:
    """Return "cat × 2 · dog": what was found, and how often."""
    labels = [each["label"] for each in objects]
    told = [esc(kind) + (f" × {count}" if (count := labels.count(kind)) > 1 else "") for kind in kinds[:SHOWN]]
    return f'<p class="mc-big mc-objects-counts">{" · ".join(told)}{" …" if len(kinds) > SHOWN else ""}</p>'


def _mark(number: int, each: dict[str, Any], hue: int, whole: tuple[int, int]) -> str:
    """Return a box and its name, both placed in per cent of the picture."""
    box, (width, height) = each["box"], whole
    left, right = 100 * box["xmin"] / width, 100 * box["xmax"] / width
    top, bottom = 100 * box["ymin"] / height, 100 * box["ymax"] / height
    beside = f"left:{left:.2f}%;max-width:{100 - left:.2f}%"
    if left > RIGHT:
        beside = f"right:{100 - right:.2f}%;max-width:{right:.2f}%"
    place = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    above = f"top:{top:.2f}%" if top < 90 else f"bottom:{100 - bottom:.2f}%"
    return (
        f'<span class="mc-object-mark mc-object-{hue}" data-object="{number}"><i style="{place}"></i>'
        f'<b style="{beside};{above}">{number}<span> {esc(each["label"])} {100 * each["score"]:.0f} %</span></b></span>'
    )


def _row(number: int, each: dict[str, Any], hue: int, lang: str) -> str:
    box, score = each["box"], 100 * each["score"]
    place = say(lang, "objects.box", **box)
    return (
        f'<li><button type="button" class="mc-object mc-object-{hue}" data-object="{number}" aria-pressed="false">'
        f'<span class="mc-object-number">{number}</span><span class="mc-object-label">{esc(each["label"])}</span>'
        f'<span class="mc-object-score">{score:.1f} %</span><span class="mc-object-box">{esc(place)}</span>'
        "</button></li>"
    )
