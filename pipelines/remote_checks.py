"""What a provider answered, checked: it is a stranger's, and may be anything."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from pipelines.errors import VisitorError

if TYPE_CHECKING:
    import numpy as np

MOST_ROWS = 1_000
MOST_LABEL = 200
MOST_DIMENSIONS = 20_000
# A rounded 1.0000001 is a probability, 1.5 is not.
SLACK = 1e-3
# No edge of a box lies so far from a picture.
FARTHEST = 1_000_000
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def odd(what: str) -> VisitorError:
    """Return the error for an answer that is none; the model's name is added where it is known."""
    return VisitorError("remote_odd", model="", what=what)


def rows(value: object, least: int = 1, most: int = MOST_ROWS) -> list[dict[str, Any]]:
    """Return a list of dictionaries."""
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise odd("rows")
    if not all(isinstance(row, dict) for row in value):
        raise odd("rows")
    return value


def words(value: object, most: int, what: str) -> str:
    """Return a text of at most `most` characters, without controls and marks that turn the direction of others."""
    if not isinstance(value, str) or len(value) > most:
        raise odd(what)
    return _UNSEEN.sub("", _SURROGATES.sub("\ufffd", value))


def label(value: object) -> str:
    """Return the name of a class."""
    name = words(value, MOST_LABEL, "label").strip()
    if not name:
        raise odd("label")
    return name


def share(value: object) -> float:
    """Return a probability."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -SLACK <= value <= 1 + SLACK:
        raise odd("score")  # NaN is on neither side of anything
    return min(1.0, max(0.0, float(value)))


def shares(value: object) -> dict[str, float]:
    """Return {label: probability}, best first, of rows of {label, score}."""
    found = {label(row.get("label")): share(row.get("score")) for row in rows(value)}
    if len(found) != len(value):
        raise odd("label")
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def place(start: object, end: object, text: str) -> tuple[int, int]:
    """Return a place in a text, which is not empty."""
    whole = all(isinstance(each, int) and not isinstance(each, bool) for each in (start, end))
    if not whole or not 0 <= start < end <= len(text):
        raise odd("place")
    return start, end


def box(value: object, width: int, height: int) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of a box in a picture of width x height pixels; what sticks out is cut."""
    if not isinstance(value, dict):
        raise odd("box")
    edges = [value.get(name) for name in ("xmin", "ymin", "xmax", "ymax")]
    for edge in edges:
        if isinstance(edge, bool) or not isinstance(edge, (int, float)) or not abs(edge) <= FARTHEST:
            raise odd("box")
    left, top, right, bottom = edges
    if not (left <= right and top <= bottom and left < width and top < height and right > 0 and bottom > 0):
        raise odd("box")
    return max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)


def logarithm(value: object) -> float | None:
    """Return the probability that a logarithm stands for; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value <= SLACK:
        return None
    return min(1.0, math.exp(value))


def vectors(value: Any, count: int) -> np.ndarray:
    """Return (count, dimensions) in float32, each scaled to length 1."""
    import numpy as np

    if not isinstance(value, np.ndarray) or value.ndim != 2 or len(value) != count:
        raise odd("shape")
    if not 1 <= value.shape[1] <= MOST_DIMENSIONS or not np.isfinite(value).all():
        raise odd("shape")
    wide = value.astype("float64")
    return (wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)).astype("float32")
