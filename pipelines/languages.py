"""Which language a text is in, as far as its letters say, and whether a model was made for it."""

from __future__ import annotations

import unicodedata

from pipelines.catalog import ModelCard
from pipelines.inputs import is_korean

_OTHER_SCRIPTS = {"ko", "ja", "zh", "ru", "uk", "bg", "el", "ar", "fa", "ur", "he", "hi", "bn", "ta", "te", "th", "ka"}
_SAMPLE = 2_000


def note(card: ModelCard | None, *texts: str) -> str | None:
    """Return "note.language" when a text is in none of the languages of a model's card.

    Letters tell Korean from the rest and Latin letters from other scripts; between languages of one script nothing is
    claimed. Without letters (digits, emoji), or without known languages, there is no note.
    """
    if card is None or not card.languages or "multilingual" in card.languages:
        return None
    known = set(card.languages)
    return "note.language" if any(not _fits(text[:_SAMPLE], known) for text in texts) else None


def _fits(text: str, known: set[str]) -> bool:
    if is_korean(text):
        return "ko" in known
    letters = [char for char in text if char.isalpha()]
    latin = sum("LATIN" in unicodedata.name(char, "") for char in letters)
    if not letters:
        return True
    if latin * 2 >= len(letters):
        return bool(known - _OTHER_SCRIPTS)
    return bool(known & (_OTHER_SCRIPTS - {"ko"}))
