"""Texts into tokens and ids, exactly as each model's own `AutoTokenizer` does it; and what a language costs.

No model weights are read. A fast tokenizer keeps its padding and truncation inside itself, so every call holds
`loading.tokenizer_lock`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from pipelines import catalog, hub, inputs, loading
from pipelines.errors import VisitorError
from pipelines.run import Run, Stopwatch
from pipelines.simple_tokenizers import SIMPLE, encode, pad
from settings import ROOT, SETTINGS

MOST_TOKENIZERS = 4
MOST_LENGTH = 100_000
MOST_CELLS = 300_000
PADDINGS = ("longest", "max_length", "do_not_pad")


def tokenize(
    text: str | list[str],
    tokenizers: str | list[str] | None = None,
    add_special_tokens: bool = True,
    padding: bool | str = False,
    truncation: bool = False,
    max_length: int | None = None,
) -> Run:
    """Tokenize one text or several with up to four tokenizers.

    Args:
        text: One string or a list; together up to SETTINGS.max_chars characters. Blank strings of a list stay.
        tokenizers: Hub ids, pocket/<name>, or builtin/words, builtin/characters, builtin/bytes.
        add_special_tokens: Add what the model expects around a text, such as [CLS] and [SEP].
        padding: False; True or "longest"; or "max_length".
        truncation: Cut at max_length, or at the model's own limit when max_length is None.
        max_length: In tokens.

    Returns:
        {tokenizer: [entry for each text]} with tokens, ids, offsets ([start, end] in characters of the text; None for
        a tokenizer that has none), attention_mask, token_type_ids (None when the model has none), special_mask (1 for
        tokens that the tokenizer added) and n_unknown.

    Raises:
        VisitorError: empty_text, not_text, text_too_long, too_many_texts, no_tokenizers, too_many_tokenizers,
            bad_choice, bad_number, no_pad_token, too_many_cells, and whatever `loading.tokenizer` says.
    """
    texts = _texts(text)
    names = _names(tokenizers)
    if max_length is not None:
        max_length = int(inputs.number(max_length, "max_length", 1, MOST_LENGTH, whole=True))
    how = {
        "add_special_tokens": _flag(add_special_tokens, "add_special_tokens"),
        "padding": _padding(padding),
        "truncation": _flag(truncation, "truncation"),
        "max_length": max_length,
    }
    watch = Stopwatch()
    result = {}
    for name in names:
        with watch("tokenize"):
            result[name] = _simple(name, texts, how) if name in SIMPLE else _exact(name, texts, how)
    return Run(result=result, model=", ".join(names), timing=watch.timing)


def defaults() -> list[str]:
    """Return the tokenizers to begin with: up to four that are on this machine."""
    return [name for name in available() if name not in SIMPLE][:MOST_TOKENIZERS] or list(SIMPLE)


def available() -> list[str]:
    """Return the listed tokenizers that are on this machine, then the simple ones."""
    here = []
    for card in catalog.offered("tokenize"):
        try:
            if hub.state(card.id) != "remote":
                here.append(card.id)
        except VisitorError:
            continue
    return [*here, *SIMPLE]


def cost(tokenizers: list[str], pairs: list[tuple[str, str]] | None = None) -> dict:
    """Compare what the same content costs in Korean and in English.

    Args:
        tokenizers: Up to four ids.
        pairs: (Korean, English) sentences that say the same; None takes those of assets/examples/parallel.json.

    Returns:
        {tokenizer: {ko, en (tokens in all), ko_unknown, en_unknown, ratio, rows: [{ko, en, ko_tokens, en_tokens}]}};
        special tokens do not count. A tokenizer that knows no Hangul may seem cheap: ko_unknown tells.

    Raises:
        VisitorError: as `tokenize`.
    """
    pairs = parallel() if pairs is None else [(inputs.text(ko), inputs.text(en)) for ko, en in pairs]
    run = tokenize([side for pair in pairs for side in pair], tokenizers, add_special_tokens=False)
    out = {}
    for name, entries in run.result.items():
        counts = [len(entry["ids"]) for entry in entries]
        rows = [
            {"ko": ko, "en": en, "ko_tokens": counts[2 * i], "en_tokens": counts[2 * i + 1]}
            for i, (ko, en) in enumerate(pairs)
        ]
        unknown = [entry["n_unknown"] for entry in entries]
        total_ko, total_en = sum(counts[::2]), sum(counts[1::2])
        out[name] = {
            "ko": total_ko,
            "en": total_en,
            "ko_unknown": sum(unknown[::2]),
            "en_unknown": sum(unknown[1::2]),
            "ratio": total_ko / max(1, total_en),
            "rows": rows,
        }
    return out


@lru_cache(maxsize=64)
def usual_cost(tokenizer: str) -> tuple[float, float]:
    """Return (tokens in Korean : tokens in English, share of unknown tokens in Korean) of the everyday sentences."""
    found = cost([tokenizer])[tokenizer]
    return found["ratio"], found["ko_unknown"] / max(1, found["ko"])


@lru_cache(maxsize=1)
def parallel() -> list[tuple[str, str]]:
    """Return the everyday sentences of assets/examples/parallel.json as (Korean, English)."""
    rows = json.loads((ROOT / "assets" / "examples" / "parallel.json").read_text("utf-8"))
    return [(row["ko"], row["en"]) for row in rows]


def unknown_mask(tok: Any, ids: list[int]) -> list[bool]:
    """Say which ids stand for something the vocabulary does not hold.

    GPT-2 names its end-of-text token as the unknown one, yet nothing is unknown to it.
    """
    unknown = tok.unk_token_id
    if unknown in (None, tok.eos_token_id, tok.bos_token_id):
        return [False] * len(ids)
    return [number == unknown for number in ids]


def _exact(name: str, texts: list[str], how: dict) -> list[dict]:
    """Call the tokenizer itself and take what it returns."""
    with loading.tokenizer_lock(name):
        tok = loading.tokenizer(name)
        if how["padding"] != "do_not_pad":
            if tok.pad_token_id is None:
                raise VisitorError("no_pad_token", tokenizer=name)
            _bound_cells(tok, texts, how)
        encoded = _call(
            name, tok, texts, **how, return_offsets_mapping=tok.is_fast, return_special_tokens_mask=True,
            return_attention_mask=True, verbose=False,
        )  # fmt: skip
        return [_entry(tok, encoded, row) for row in range(len(texts))]


def _call(name: str, tok: Any, texts: list[str], **how: Any) -> Any:
    try:
        return tok(texts, **how)
    except (KeyboardInterrupt, SystemExit):
        raise
    # A panic in the Rust half arrives as a BaseException that is no Exception.
    except BaseException as error:
        raise VisitorError("tokenizer_failed", tokenizer=name, reason=type(error).__name__) from error


def _entry(tok: Any, encoded: Any, row: int) -> dict:
    ids = encoded["input_ids"][row]
    special = encoded["special_tokens_mask"][row]
    offsets = encoded.get("offset_mapping")
    types = encoded.get("token_type_ids")
    return {
        "tokens": tok.convert_ids_to_tokens(ids),
        "ids": ids,
        "offsets": None if offsets is None else [list(pair) for pair in offsets[row]],
        "attention_mask": encoded["attention_mask"][row],
        "token_type_ids": None if types is None else types[row],
        "special_mask": special,
        "n_unknown": sum(bad and not added for bad, added in zip(unknown_mask(tok, ids), special, strict=True)),
    }


def _simple(name: str, texts: list[str], how: dict) -> list[dict]:
    most, width = how["max_length"], 0
    if how["padding"] == "max_length":
        width = most or 0
    cut = most if how["truncation"] else None
    entries = encode(name, texts, cut)
    if how["padding"] == "longest":
        width = max(len(entry["ids"]) for entry in entries)
    _check_cells(len(texts) * width)
    return [pad(name, entry, width) for entry in entries]


def _bound_cells(tok: Any, texts: list[str], how: dict) -> None:
    """Refuse a padded batch that would fill the memory: one long text among hundreds of short ones."""
    width = 0
    if how["padding"] == "max_length":
        width = how["max_length"] or (tok.model_max_length if tok.model_max_length < 10**9 else 0)
    _check_cells(len(texts) * width)
    if len(texts) * max(map(len, texts)) > MOST_CELLS // 8:
        unpadded = tok(texts, **{**how, "padding": False}, verbose=False)["input_ids"]
        _check_cells(len(texts) * max(map(len, unpadded)))


def _check_cells(cells: int) -> None:
    if cells > MOST_CELLS:
        raise VisitorError("too_many_cells", cells=f"{cells:,}", limit=f"{MOST_CELLS:,}")


def _texts(value: object) -> list[str]:
    """As `inputs.texts`, but blank strings of a list stay: the answer has an entry for each."""
    clean = iter(inputs.texts(value, limit=SETTINGS.max_chars))
    items = [value] if isinstance(value, str) else value
    return [next(clean) if item.strip() else item for item in items]


def _names(value: object) -> list[str]:
    if value is None:
        return defaults()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise VisitorError("no_tokenizers")
    names = list(dict.fromkeys(names))
    if len(names) > MOST_TOKENIZERS:
        raise VisitorError("too_many_tokenizers", limit=MOST_TOKENIZERS, count=len(names))
    return names


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise VisitorError("bad_choice", name=name, allowed="true, false")
    return value


def _padding(value: object) -> str:
    if isinstance(value, bool):
        return "longest" if value else "do_not_pad"
    if not isinstance(value, str) or value not in PADDINGS:
        raise VisitorError("bad_choice", name="padding", allowed=", ".join(("true", "false", *PADDINGS)))
    return value
