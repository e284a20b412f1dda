"""Emoji and their names in two languages, and the example pictures drawn of them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from settings import ROOT

PICTURES = ROOT / "assets" / "examples" / "images"
NAMES = ROOT / "assets" / "examples" / "emoji_names.json"


@lru_cache(maxsize=1)
def rows() -> tuple[dict[str, str], ...]:
    """Return ({"emoji", "en", "ko"}, …) of every emoji that has a name of its own."""
    return tuple(json.loads(NAMES.read_text("utf-8"))) if NAMES.exists() else ()


@lru_cache(maxsize=1)
def names() -> dict[str, dict[str, str]]:
    """Return {slug of the English name: row}."""
    return {slug(row["en"]): row for row in rows()}


@lru_cache(maxsize=1)
def examples() -> dict[str, dict[str, str]]:
    """Return {file name without .png: {"emoji", "en", "ko"}} of the example pictures."""
    return {path.stem: names()[path.stem] for path in sorted(PICTURES.glob("*.png")) if path.stem in names()}


def picture(name: str) -> Path:
    """Return the file of an example picture.

    Raises:
        KeyError: there is none of this name.
    """
    if name not in examples():
        raise KeyError(name)
    return PICTURES / f"{name}.png"


def slug(name: str) -> str:
    """Return a name as a file name: "red apple" -> "red-apple"."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())
