"""Safetensors files looked at before they are loaded: is the header one, and do its tensors lie within the file?

The format: https://huggingface.co/docs/safetensors#format. The library checks too, but reads headers of up to 100 MB
and says of every fault only that the file is invalid.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from math import prod
from pathlib import Path
from typing import Any

from pipelines.errors import VisitorError

MOST_HEADER, MOST_TENSORS, MOST_INDEX = 25_000_000, 100_000, 25_000_000
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4,
}  # fmt: skip
_SHARD = re.compile(r"[\w][\w.-]*", re.ASCII)
_sound: dict[tuple[str, int, int], int] = {}


def parameters(files: list[Path], model_id: str) -> int:
    """Return the number of parameters in safetensors files, after checking that each header is true.

    Raises:
        VisitorError: broken_weights.
    """
    return sum(_count(path, model_id) for path in files)


def shards(index: Path) -> list[str]:
    """Return the files that an index of shards names; none when it is broken or names files elsewhere."""
    try:
        with index.open("rb") as file:
            body = file.read(MOST_INDEX + 1)
        places = json.loads(body)["weight_map"].values() if len(body) <= MOST_INDEX else ()
        names = set(places)
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return []
    return sorted(names) if all(isinstance(name, str) and _SHARD.fullmatch(name) for name in names) else []


def intact(path: Path) -> bool:
    """Tell whether a file of the Hub's cache has the bytes that its blob's name, their hash, promises."""
    blob = path.resolve()
    if len(blob.name) != 64:
        return True
    with blob.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == blob.name


def _count(path: Path, model_id: str) -> int:
    facts = path.stat()
    key = (str(path), facts.st_size, facts.st_mtime_ns)
    if key not in _sound:
        try:
            with path.open("rb") as file:
                _sound[key] = _read(file, facts.st_size)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise VisitorError("broken_weights", model=model_id, file=path.name[:80]) from error
    return _sound[key]


def _read(file: Any, size: int) -> int:
    """Return the number of parameters; raises one of many errors for a header that is none."""
    (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    if not 2 <= length <= min(MOST_HEADER, size - 8):
        raise ValueError("header")
    header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    if not header or len(header) > MOST_TENSORS:
        raise ValueError("tensors")
    count, spans = 0, []
    for tensor in header.values():
        shape, (start, end) = tensor["shape"], tensor["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, start, end)) or len(shape) > 16:
            raise ValueError("numbers")
        held = prod(shape)
        if held * BITS[tensor["dtype"]] != (end - start) * 8 or end > size - 8 - length:
            raise ValueError("offsets")
        count += held
        spans.append((start, end))
    spans.sort()
    if any(after < before for (_, before), (after, _) in zip(spans, spans[1:], strict=False)):
        raise ValueError("overlap")
    return count
