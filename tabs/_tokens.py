"""Tokens as HTML: pure functions from what a tokenizer returned to a string. Everything that a visitor or a vocabulary
wrote is escaped here."""

from __future__ import annotations

import html
from collections.abc import Sequence

from pipelines.jamo import letters
from settings import SETTINGS
from tabs._i18n import say

HUES = 8
MOST_DRAWN = SETTINGS.max_drawn_tokens
SPACES = {" ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍", "\u00a0": "⍽", "\u3000": "□"}


def esc(value: object) -> str:
    return html.escape(str(value), quote=True)


def t(lang: str, key: str, **params: object) -> str:
    """Return one of the tab's sentences as HTML."""
    return esc(say(lang, f"tokenizer.{key}", **params))


def spelled(piece: str | bytes) -> str:
    """Return what a token spells as HTML: white space made visible, bytes of a cut character as hexadecimal.

    Example:
        >>> spelled(" 안"), spelled(b"\\xeb\\x85")
        ('<i class="tk-ws">␣</i>안', '<i class="tk-hex">EB</i><i class="tk-hex">85</i>')
    """
    text = piece.decode("utf-8", errors="surrogateescape") if isinstance(piece, bytes) else piece
    if text.isalnum() and not "\u1100" <= text[0] <= "\u11ff":
        return text
    if text.startswith("##") and len(text) > 2:
        return f'<i class="tk-ws">##</i>{_visible(text[2:])}'
    return _visible(text)


def _visible(text: str) -> str:
    parts = []
    # A vowel or a final alone would hang in the air: it is shown as the letter of the keyboard.
    if "\u1100" <= text[:1] <= "\u11ff" and not _whole_syllable(text):
        text = "".join(letters(text)) or text
    for character in text:
        if character in SPACES:
            parts.append(f'<i class="tk-ws">{SPACES[character]}</i>')
        elif "\udc80" <= character <= "\udcff":
            parts.append(f'<i class="tk-hex">{ord(character) - 0xDC00:02X}</i>')
        else:
            parts.append(html.escape(character, quote=True))
    return "".join(parts)


def _whole_syllable(text: str) -> bool:
    return len(text) > 1 and "\u1100" <= text[0] <= "\u1112" and "\u1161" <= text[1] <= "\u1175"


def plain(piece: str | bytes) -> str:
    """Return what a token spells as plain text, for attributes."""
    return piece.hex(" ").upper() if isinstance(piece, bytes) else piece


def chip(
    piece: str | bytes,
    number: int,
    title: str,
    hue: int,
    *,
    special: bool = False,
    unknown: bool = False,
    span: Sequence[int] | None = None,
) -> str:
    """Return one token.

    Args:
        piece: What it spells.
        number: Its id.
        title: What stands there on hover, as plain text.
        hue: 0 to 7.
        special: Drawn with an outline instead of a hue.
        unknown: Hatched.
        span: (start, end) in the text, so that the page can show the same place in another tokenizer.
    """
    css = "tk tk-unk" if unknown else "tk tk-special" if special else f"tk mc-hue-{hue}"
    place = f' data-s="{span[0]}" data-e="{span[1]}"' if span is not None and span[1] > span[0] else ""
    return (
        f'<span class="{css}" data-id="{number}" title="{esc(title)}"{place}>{spelled(piece)}</span>{line_break(piece)}'
    )


def line_break(piece: str | bytes) -> str:
    """Return the line break that stands behind a token which holds one."""
    return "\n" if isinstance(piece, str) and "\n" in piece else ""


def chips(entry: dict, pieces: list[str | bytes], unknown: str | None, lang: str, most: int = MOST_DRAWN) -> str:
    """Return one text's tokens in colour; neighbours never share a hue.

    Args:
        entry: One entry of the result of `pipelines.tokenizer.tokenize`.
        pieces: What each token spells; only so many tokens are drawn as there are pieces.
        unknown: The token that stands for the unknown, or None.
        lang: "ko" or "en".
        most: How many tokens to draw at most.
    """
    offsets = entry["offsets"] or [None] * len(entry["ids"])
    template = say(lang, "tokenizer.title_token", token="\0", id="\1")
    out, hue = [], 0
    for token, number, special, span, piece in zip(
        entry["tokens"], entry["ids"], entry["special_mask"], offsets, pieces[:most], strict=False
    ):
        missing = unknown is not None and token == unknown and not special
        title = template.replace("\0", token).replace("\1", str(number))
        out.append(chip(piece, number, title, hue, special=bool(special), unknown=missing, span=span))
        hue = (hue + (not special and not missing)) % HUES
    left = len(entry["ids"]) - len(out)
    more = f'<p class="mc-hint">{t(lang, "more_tokens", n=f"{left:,}")}</p>' if left else ""
    return f'<div class="tk-text">{"".join(out)}</div>{more}'


def figures(entry: dict, n_characters: int, longest: int, cost: tuple[float, float] | None, lang: str) -> str:
    """Return the line of numbers of one tokenizer: how many tokens, how long they are, how many are unknown.

    Args:
        entry: As for `chips`.
        n_characters: Length of the text.
        longest: The most tokens that any of the tokenizers shown needs; the bar is drawn against it.
        cost: (tokens in Korean : tokens in English, share of unknown tokens in Korean), or None to leave it out.
        lang: "ko" or "en".
    """
    count = len(entry["ids"])
    own = count - sum(entry["special_mask"])
    facts = [t(lang, "chars_per_token", n=f"{n_characters / max(1, own):.2f}")]
    if unknown := entry["n_unknown"]:
        facts.append(f'<b class="tk-warn">{t(lang, "n_unknown", n=f"{unknown:,}")}</b>')
    if cost is not None:
        ratio = t(lang, "ratio", n=f"{cost[0]:.2f}")
        doubt = f" ({t(lang, 'ratio_unknown')})" if cost[1] > 0.05 else ""
        facts.append(f'<span class="tk-why" title="{t(lang, "ratio_why")}">{ratio}{doubt}</span>')
    width = 100 * count / max(1, longest)
    return (
        f'<p class="tk-figures"><span class="tk-count"><b>{count:,}</b> {t(lang, "n_tokens")}</span>'
        f'<span class="tk-bar" aria-hidden="true"><span style="width:{width:.1f}%"></span></span>'
        f'<span class="tk-facts">{" · ".join(facts)}</span></p>'
    )


def card(name: str, body: str) -> str:
    """Return one tokenizer's part of the answer; `body` is HTML."""
    return f'<section class="tk-card" aria-label="{esc(name)}"><h3>{esc(name)}</h3>{body}</section>'


def problem(name: str, sentence: str) -> str:
    """Return the part of a tokenizer that cannot answer, with the reason."""
    return card(name, f'<p class="mc-error">{esc(sentence)}</p>')


def legend(lang: str) -> str:
    """Return what outline, hatching and the faint signs mean."""
    items = (
        ('<span class="tk tk-special">[CLS]</span>', "special"),
        ('<span class="tk tk-unk">[UNK]</span>', "unknown"),
        ('<span class="tk mc-hue-1"><i class="tk-hex">EC</i></span>', "bytes"),
        ('<span class="tk mc-hue-2"><i class="tk-ws">␣</i></span>', "space"),
    )
    return (
        '<p class="tk-legend">'
        + "".join(f"<span>{sample} {t(lang, f'legend_{name}')}</span>" for sample, name in items)
        + "</p>"
    )


def stable_hue(token: str, before: int | None) -> int:
    """Return a token's own hue, or the next one where its neighbour has the same. assets/tokenizer.js does likewise."""
    hue = sum(map(ord, token)) % HUES
    return (hue + 1) % HUES if hue == before else hue
