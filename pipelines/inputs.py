"""One validator for each kind of input a visitor sends; every public pipeline function begins here.

What arrives may be anything (limits in the page are not limits), so each function takes any object and returns a
clean value or raises VisitorError.
"""

from __future__ import annotations

import math
import re

from pipelines.errors import VisitorError
from settings import SETTINGS

_SURROGATES = re.compile("[\ud800-\udfff]")


def text(value: object, *, limit: int | None = None, what: str = "text") -> str:
    """Return `value` as a string that tokenizers and JSON can carry.

    Lone surrogates become U+FFFD. The text is otherwise unchanged, so that offsets refer to what was typed.

    Raises:
        VisitorError: empty_<what> when nothing but white space is there, text_too_long, not_text.
    """
    if not isinstance(value, str):
        raise VisitorError("empty_" + what if value is None else "not_text")
    limit = SETTINGS.max_model_chars if limit is None else limit
    if len(value) > limit:
        raise VisitorError("text_too_long", limit=f"{limit:,}", length=f"{len(value):,}")
    clean = _SURROGATES.sub("\ufffd", value)
    if not clean.strip():
        raise VisitorError("empty_" + what)
    return clean


def texts(value: object, *, limit: int | None = None, what: str = "text") -> list[str]:
    """Return one string or a list of strings as a list; blank entries are dropped.

    Raises:
        VisitorError: as `text`, and too_many_texts. The limit on characters is for all texts together.
    """
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        raise VisitorError("empty_" + what if value is None else "not_text")
    if len(items) > SETTINGS.max_texts:
        raise VisitorError("too_many_texts", limit=SETTINGS.max_texts, count=len(items))
    clean = [text(item, limit=limit, what=what) for item in items if not (isinstance(item, str) and not item.strip())]
    if not clean:
        raise VisitorError("empty_" + what)
    total, limit = sum(map(len, clean)), SETTINGS.max_chars if limit is None else limit
    if total > limit:
        raise VisitorError("text_too_long", limit=f"{limit:,}", length=f"{total:,}")
    return clean


def lines(value: object, **options: object) -> list[str]:
    """Return the non-blank lines of a string (or a list as it is)."""
    return texts(value.splitlines() if isinstance(value, str) else value, **options)


def labels(value: object, *, most: int = 50) -> list[str]:
    """Return labels from a list, or from one string parted by commas or new lines; duplicates go, order stays.

    Raises:
        VisitorError: no_labels, too_many_labels, text_too_long.
    """
    items = re.split(r"[,\n、，]", value) if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        raise VisitorError("no_labels")
    clean = [text(str(item), limit=200).strip() for item in items if item is not None and str(item).strip()]
    clean = list(dict.fromkeys(clean))
    if not clean:
        raise VisitorError("no_labels")
    if len(clean) > most:
        raise VisitorError("too_many_labels", limit=most, count=len(clean))
    return clean


def number(value: object, name: str, low: float, high: float, *, whole: bool = False) -> float:
    """Return a finite number between low and high.

    Raises:
        VisitorError: bad_number, with the name and the range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise VisitorError("bad_number", name=name, low=low, high=high)
    if not low <= value <= high or (whole and value != int(value)):
        raise VisitorError("bad_number", name=name, low=low, high=high)
    return int(value) if whole else float(value)


def choice(value: object, name: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of `allowed`.

    Raises:
        VisitorError: bad_choice.
    """
    if value not in allowed:
        raise VisitorError("bad_choice", name=name, allowed=", ".join(allowed))
    return value


def is_korean(value: str) -> bool:
    """Tell whether Hangul outweighs Latin letters in a text."""
    hangul = len(re.findall("[\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f]", value))
    return hangul > len(re.findall("[A-Za-z]", value)) / 2 and hangul > 0
