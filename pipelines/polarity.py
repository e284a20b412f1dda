"""What a sentiment label means on one scale: negative, neutral, positive, by declaration and never by guessing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipelines.catalog import ModelCard

_KNOWN = {
    "negative": "negative",
    "neutral": "neutral",
    "positive": "positive",
    "neg": "negative",
    "neu": "neutral",
    "pos": "positive",
    "very negative": "negative",
    "very positive": "positive",
    "부정": "negative",
    "중립": "neutral",
    "긍정": "positive",
}
_STARS = {
    1: "negative",
    2: "negative",
    3: "neutral",
    4: "positive",
    5: "positive",
}


def polarity(label: str, card: ModelCard | None, all_labels: Iterable[str]) -> str | None:
    """Return negative, neutral or positive for a label, or None where nothing says so.

    A listed model's declared map is the only word on it. Elsewhere names that mean one thing only are read
    (positive, NEGATIVE, 중립, "4 stars" on a scale of exactly 1 to 5); LABEL_0 stays None.
    """
    if card is not None and card.polarity is not None:
        return card.polarity.get(label)
    name = re.sub(r"[\s_-]+", " ", label).strip().casefold()
    if name in _KNOWN:
        return _KNOWN[name]
    stars = {each: _stars(each) for each in all_labels}
    if set(stars.values()) == set(_STARS):
        return _STARS.get(stars.get(label))
    return None


def _stars(label: str) -> int | None:
    match = re.fullmatch(r"\s*(\d+)\s*stars?\s*", label, re.IGNORECASE)
    return int(match[1]) if match else None
