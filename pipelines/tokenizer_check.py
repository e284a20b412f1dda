"""A stranger's tokenizer.json looked at before it is used: how much longer can it make a text?

A normalizer may replace a letter by a book, and forty of them in a row each letter by a trillion; a template may add a
million tokens to every text. The format is that of https://github.com/huggingface/tokenizers.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from pipelines.errors import VisitorError

MOST_GROWTH, MOST_STEPS, MOST_ADDED, DEEPEST = 1_000.0, 200, 256, 20
UNICODE = 18.0  # letters that a letter becomes at most in NFKC and NFKD; a second time none grows
# Matches at least one letter, for sure: a letter, a class of letters, one of them once or more often.
_SOMETHING = re.compile(r"(?:\\[sSdDwW]|\[(?:[^\]\\]|\\.)+\]|[^\\*?|^$(){}\[\].+])+(?:\+|\{[1-9]\d*(?:,\d*)?\})?")
_INSIDE = ("normalizers", "decoders", "pretokenizers", "processors")


def check_file(path: Path, model_id: str) -> None:
    """Look at a tokenizer.json; nothing is said of one that is not there.

    Raises:
        VisitorError: no_tokenizer, tokenizer_grows.
    """
    if not path.exists():
        return
    try:
        parts = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise VisitorError("no_tokenizer", model=model_id, reason=type(error).__name__) from error
    check_parts(parts, model_id)


def check_loaded(tokenizer: Any, model_id: str) -> None:
    """Look at a tokenizer that transformers made of files of another format.

    Raises:
        VisitorError: tokenizer_grows.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return
    parts = {name: getattr(backend, name, None) for name in ("normalizer", "post_processor", "decoder")}
    check_parts({name: json.loads(part.__getstate__()) for name, part in parts.items() if part is not None}, model_id)


def check_parts(parts: Any, model_id: str) -> None:
    """Refuse parts that make a text many times longer, or add many tokens to it.

    Args:
        parts: {"normalizer": ..., "post_processor": ..., "decoder": ...} as tokenizer.json has them.

    Raises:
        VisitorError: tokenizer_grows, no_tokenizer.
    """
    try:
        for name in ("normalizer", "decoder"):
            steps = list(_steps(parts.get(name)))
            unicode = UNICODE if any(step.get("type") in ("NFKC", "NFKD", "NFD") for step in steps) else 1.0
            if len(steps) > MOST_STEPS or unicode * prod(map(_growth, steps)) > MOST_GROWTH:
                raise VisitorError("tokenizer_grows", model=model_id)
        added = max((_added(step) for step in _steps(parts.get("post_processor"))), default=0)
    except (AttributeError, TypeError, ValueError, KeyError, struct.error) as error:
        raise VisitorError("no_tokenizer", model=model_id, reason=type(error).__name__) from error
    if added > MOST_ADDED:
        raise VisitorError("tokenizer_grows", model=model_id)


def _steps(part: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if part is None:
        return
    if depth > DEEPEST:
        raise ValueError("depth")
    inside = [each for name in _INSIDE for each in part.get(name) or ()]
    if not inside:
        yield part
    for each in inside:
        yield from _steps(each, depth + 1)


def _growth(step: dict[str, Any]) -> float:
    """How many times longer a step can make a text, Unicode's own forms aside."""
    kind = step.get("type")
    if kind == "Replace":
        pattern, content = step["pattern"], step["content"]
        if "String" in pattern and pattern["String"]:
            return max(1.0, len(content) / len(pattern["String"]))
        return max(1.0, len(content)) if _SOMETHING.fullmatch(pattern.get("Regex", "")) else 1.0 + len(content)
    if kind == "Prepend":
        return 1.0 + len(step["prepend"]) / 16
    if kind == "Precompiled":
        return _longest(base64.b64decode(step["precompiled_charsmap"] or ""))
    return 2.0 if kind == "ByteLevel" else 1.0


def _longest(charsmap: bytes) -> float:
    """The longest text that one letter becomes in a map of sentencepiece: a trie, then texts that end with a zero."""
    if len(charsmap) < 4:
        return 1.0
    (trie,) = struct.unpack("<I", charsmap[:4])
    return float(max(1, *map(len, charsmap[4 + trie :].split(b"\0"))))


def _added(step: dict[str, Any]) -> int:
    """How many tokens a post-processor adds to a text."""
    if step.get("type") != "TemplateProcessing":
        return 2
    tokens = step.get("special_tokens") or {}
    sizes = [
        len(tokens.get(piece["SpecialToken"]["id"], {}).get("ids", ())) if "SpecialToken" in piece else 0
        for name in ("single", "pair")
        for piece in step.get(name) or ()
    ]
    return sum(sizes) + len(sizes)
