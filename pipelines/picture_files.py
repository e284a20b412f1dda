"""PNG files that carry how they were made, written and read back."""

from __future__ import annotations

import io
import json
import math
import zlib
from typing import Any

TEXT, JSON = "parameters", "model-classroom"
# What is read back: the types of each value.
FIELDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("prompt", "model", "negative_prompt"), (str,)),
    **dict.fromkeys(("seed", "steps", "width", "height", "count"), (int,)),
    **dict.fromkeys(("guidance", "seconds"), (int, float)),
    "step_cache": (str,),
}
MOST_BYTES = 16_000


def png(picture: Any, details: dict[str, Any]) -> bytes:
    """Return a picture as a PNG file with its parameters, as a line for people and as JSON.

    Args:
        picture: PIL image.
        details: As `image_generation.details` returns them.
    """
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    shown = [name for name in FIELDS if name not in ("prompt", "negative_prompt") and name in details]
    line = ", ".join(f"{name}: {details[name]}" for name in shown)
    told.add_itxt(TEXT, f"{details.get('prompt', '')}\n{line}")
    told.add_itxt(JSON, json.dumps(details, ensure_ascii=False))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=told)
    return buffer.getvalue()


def details(data: bytes) -> dict[str, Any] | None:
    """Return the parameters in a PNG that `png` wrote; None for any other bytes.

    Only known names with values of their type come back; no pixel is decoded.
    """
    text = _chunk(data)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    known = {name: value for name, value in found.items() if name in FIELDS and _fits(value, FIELDS[name])}
    return known if known.get("prompt") else None


def _fits(value: object, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool) or not isinstance(value, types):
        return False
    return not isinstance(value, float) or math.isfinite(value)


def _chunk(data: bytes) -> str | None:
    """Walk through the chunks of a PNG to the text named JSON; bounded, and blind to everything else."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    place = 8
    while place + 8 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        body = data[place + 8 : place + 8 + length]
        place += 12 + length
        if kind == b"iTXt" and body.startswith(JSON.encode() + b"\0"):
            return _text(body[len(JSON) + 1 :])
    return None


def _text(body: bytes) -> str | None:
    """iTXt after the keyword: compressed?, method, language, translated keyword, text."""
    flag, rest = body[:1], body[2:].split(b"\0", 2)
    if len(rest) != 3:
        return None
    try:
        value = zlib.decompressobj().decompress(rest[2], MOST_BYTES) if flag == b"\1" else rest[2][:MOST_BYTES]
        return value.decode("utf-8")
    except (zlib.error, UnicodeDecodeError):
        return None
