"""Tokenizers that need no training, to compare sub-words with: words, characters, bytes.

Words and characters are numbered by the text's own vocabulary: 1 is the most frequent, ties by first appearance, 0 is
padding. Bytes are their own numbers; 256 is padding.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable

Pieces = list[tuple[str, int, int]]
PAD = "[PAD]"
BYTE_PAD = 256


def words(text: str) -> Pieces:
    """Cut at white space, and between words and runs of punctuation."""
    out: list[list] = []
    for place, character in enumerate(text):
        kind = _kind(character)
        joins = out and out[-1][2] == place and (kind in ("mark", out[-1][3]))
        if kind == "space":
            continue
        if joins:
            out[-1][2] = place + 1
        else:
            out.append([character, place, place + 1, "word" if kind == "mark" else kind])
    return [(text[start:end], start, end) for _, start, end, _ in out]


def characters(text: str) -> Pieces:
    """Cut into code points."""
    return [(character, place, place + 1) for place, character in enumerate(text)]


def utf8(text: str) -> Pieces:
    """Cut into UTF-8 bytes, written <0xEC> as byte-fallback vocabularies write them."""
    return [
        (f"<0x{byte:02X}>", place, place + 1)
        for place, character in enumerate(text)
        for byte in character.encode("utf-8")
    ]


SIMPLE: dict[str, Callable[[str], Pieces]] = {
    "builtin/words": words,
    "builtin/characters": characters,
    "builtin/bytes": utf8,
}


def encode(name: str, texts: list[str], cut: int | None = None) -> list[dict]:
    """Tokenize texts with one of SIMPLE; the result has the shape of `pipelines.tokenizer.tokenize`.

    Args:
        name: A key of SIMPLE.
        texts: One entry of the result for each.
        cut: Most tokens of a text; None for all.
    """
    pieces = [SIMPLE[name](text)[:cut] for text in texts]
    if name == "builtin/bytes":
        return [_entry(row, [int(token[3:5], 16) for token, _, _ in row]) for row in pieces]
    counts = Counter(token for row in pieces for token, _, _ in row)
    rank = {token: place for place, (token, _) in enumerate(counts.most_common(), start=1)}
    return [_entry(row, [rank[token] for token, _, _ in row]) for row in pieces]


def pad(name: str, entry: dict, width: int) -> dict:
    """Return the entry with padding on its right, up to `width` tokens."""
    missing = max(0, width - len(entry["ids"]))
    filler = {"tokens": PAD, "ids": BYTE_PAD if name == "builtin/bytes" else 0, "offsets": [0, 0],
              "attention_mask": 0, "special_mask": 1}  # fmt: skip
    return entry | {key: entry[key] + [value] * missing for key, value in filler.items()}


def _entry(row: Pieces, ids: list[int]) -> dict:
    return {
        "tokens": [token for token, _, _ in row],
        "ids": ids,
        "offsets": [[start, end] for _, start, end in row],
        "attention_mask": [1] * len(row),
        "token_type_ids": None,
        "special_mask": [0] * len(row),
        "n_unknown": 0,
    }


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    category = unicodedata.category(character)
    if category[0] in "LN" or category == "Pc":
        return "word"
    return "mark" if category[0] == "M" or category == "Cf" else "other"
