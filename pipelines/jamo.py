"""Hangul syllables, their letters (jamo) and their UTF-8 bytes; and which token holds which byte.

A composed syllable such as 한 is one code point (U+D55C) and three bytes (ED 95 9C). Its letters ㅎ ㅏ ㄴ stand in
neither: they are computed (Unicode, section 3.12). A byte-level tokenizer may therefore cut a syllable at a place
where no letter ends.

    >>> letters("한")
    ['ㅎ', 'ㅏ', 'ㄴ']
    >>> byte_owners("한", [0, 0, 1])[0]["bytes"]
    [['ED', 0], ['95', 0], ['9C', 1]]
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
FIRST_SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3
JOINER = "\u200d"


def letters(cluster: str) -> list[str]:
    """Return the letters of a Hangul syllable, composed or not, as they stand on a keyboard; [] for anything else."""
    out = []
    for character in unicodedata.normalize("NFD", cluster):
        code = ord(character)
        if 0x1100 <= code < 0x1100 + len(INITIALS):
            out.append(INITIALS[code - 0x1100])
        elif 0x1161 <= code < 0x1161 + len(VOWELS):
            out.append(VOWELS[code - 0x1161])
        elif 0x11A8 <= code < 0x11A8 + len(FINALS):
            out.append(FINALS[code - 0x11A8])
        else:
            return []
    return out


def clusters(text: str) -> list[str]:
    """Cut a text into what a reader calls characters: whole syllables, letters with their marks, joined emoji."""
    out: list[str] = []
    for character in text:
        if out and (_follows(out[-1][-1], character)):
            out[-1] += character
        else:
            out.append(character)
    return out


def _follows(before: str, character: str) -> bool:
    if unicodedata.category(character)[0] == "M" or character == JOINER or before == JOINER:
        return not before.isspace()
    if 0x1F3FB <= ord(character) <= 0x1F3FF:
        return unicodedata.category(before) == "So"
    return _joins(ord(before), ord(character))


def _joins(before: int, code: int) -> bool:
    """Tell whether a conjoining vowel or final goes on with the syllable before it."""
    initial, vowel = 0x1100 <= before <= 0x115F, 0x1160 <= before <= 0x11A7
    open_syllable = FIRST_SYLLABLE <= before <= LAST_SYLLABLE and (before - FIRST_SYLLABLE) % 28 == 0
    return 0x1160 <= code <= 0x11A7 and initial or 0x11A8 <= code <= 0x11FF and (vowel or open_syllable)


def byte_owners(text: str, owners: list[int | None]) -> list[dict]:
    """Say for each character of `text` which of its bytes belongs to which token.

    Args:
        text: Any text.
        owners: For each of its UTF-8 bytes the index of the token that holds it, or None.

    Returns:
        One entry for each character: ``char``, ``letters`` (jamo, or []), ``codepoints`` (U+...), ``bytes``
        ([hex, token index] each) and ``split`` (more than one token holds it).
    """
    out, place = [], 0
    for cluster in clusters(text):
        raw = cluster.encode("utf-8")
        mine = owners[place : place + len(raw)]
        place += len(raw)
        out.append(
            {
                "char": cluster,
                "letters": letters(cluster),
                "codepoints": [f"U+{ord(character):04X}" for character in cluster],
                "bytes": [[f"{byte:02X}", token] for byte, token in zip(raw, mine, strict=True)],
                "split": len(set(mine)) > 1,
            }
        )
    return out


@lru_cache(maxsize=1)
def _byte_of() -> dict[str, int]:
    """GPT-2's table from the printable character that stands for a byte to the byte.

    Printable Latin-1 stands for itself; the other bytes, in order, are the characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(rest)}


def byte_level(token: str) -> bytes:
    """Return the bytes that a byte-level token ("ìķĪ") stands for; a token outside GPT-2's table is plain text."""
    table = _byte_of()
    try:
        return bytes([table[character] for character in token])
    except KeyError:
        return token.encode("utf-8")


def byte_level_token(text: str) -> str:
    """Return how a byte-level vocabulary writes a text: the inverse of `byte_level`."""
    table = {byte: character for character, byte in _byte_of().items()}
    return "".join(table[byte] for byte in text.encode("utf-8"))
