"""Gold labels as people write them -> negative/neutral/positive."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from pipelines.errors import VisitorError

WORDS = {
    "negative": ("negative", "neg", "부정", "부정적", "나쁨", "▼", "👎"),
    "neutral": ("neutral", "neu", "neut", "중립", "중립적", "보통", "●"),
    "positive": ("positive", "pos", "긍정", "긍정적", "좋음", "▲", "👍"),
}
_BY_WORD = {word: polarity for polarity, words in WORDS.items() for word in words}
_STARS = {"1": "negative", "2": "negative", "3": "neutral", "4": "positive", "5": "positive"}


def read_gold(values: Sequence[object]) -> list[str | None]:
    """Read a column of gold labels.

    Words in English and Korean are read case-insensitively (see WORDS). Numbers are read only where the column leaves
    no doubt: only 0 and 1 are negative and positive; with a -1 among them 0 is neutral; 1 to 5 with a 4 or 5 among
    them are stars (1-2 negative, 3 neutral, 4-5 positive). Blank stays None.

    Raises:
        VisitorError: gold_unreadable with the row (from 1) and the value; gold_ambiguous with the numbers found.

    Example:
        >>> read_gold(["긍정", "neg", "", "NEUTRAL"])
        ['positive', 'negative', None, 'neutral']
        >>> read_gold([0, 1])
        ['negative', 'positive']
    """
    words = [_word(value) for value in values]
    table = _BY_WORD | _numbers({word for word in words if _is_number(word)}, any(word in _BY_WORD for word in words))
    answers = []
    for row, (word, value) in enumerate(zip(words, values, strict=True), start=1):
        if word and word not in table:
            raise VisitorError("gold_unreadable", row=row, value=str(value).strip()[:40])
        answers.append(table.get(word))
    return answers


def is_gold_word(value: object) -> bool:
    """Tell whether a cell is a gold label in words (a bare number could be anything)."""
    return _word(value) in _BY_WORD


def _is_number(word: str) -> bool:
    return word.lstrip("+-").isdecimal()


def _numbers(found: set[str], words_too: bool) -> dict[str, str]:
    plain = {word.lstrip("+") for word in found}
    if not plain or not plain <= set("012345") | {"-1"}:
        return {}
    if "-1" in plain and plain <= {"-1", "0", "1"}:
        table = {"-1": "negative", "0": "neutral", "1": "positive"}
    elif plain <= {"0", "1"}:
        table = {"0": "negative", "1": "positive"}
    elif plain <= set(_STARS) and plain & {"4", "5"}:
        table = dict(_STARS)
    else:
        raise VisitorError("gold_ambiguous", values=", ".join(sorted(plain)))
    if words_too:
        raise VisitorError("gold_ambiguous", values=", ".join(sorted(plain)))
    return table | {f"+{word}": polarity for word, polarity in table.items()}


def _word(value: object) -> str:
    if value is None:
        return ""
    word = unicodedata.normalize("NFKC", str(value)).strip().lower()
    return word[:-2] if word.endswith(".0") else word
