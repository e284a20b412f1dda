"""Visitors' pictures, opened safely: by what is in the file, bounded before anything is decoded, upright, RGB on white.

    >>> load("holiday.jpg").size
    (1024, 768)

A file of 20 KB may hold 13,000 x 13,000 pixels, so the pixels are counted in the header first. JPEGs are decoded
straight to a smaller size. What has many pixels is decoded one at a time.
"""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import VisitorError
from settings import SETTINGS

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
SIDE = 1024
# How many pixels of each format decode within 300 MB: JPEG comes smaller from the decoder, WEBP is held three times.
MOST_PIXELS = {"JPEG": 100_000_000, "PNG": 25_000_000, "GIF": 25_000_000, "WEBP": 16_000_000}
PROGRESSIVE = 25_000_000
# Exif: the orientations in which width and height change places.
ORIENTATION, ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
LARGE = 4_000_000
_one_large_at_a_time = threading.Lock()


def read(source: object) -> bytes:
    """Return a picture file's bytes.

    Args:
        source: Path, bytes, or PIL image.

    Raises:
        VisitorError: no_image, image_too_big (in bytes), image_unreadable for an empty or missing file.
    """
    if source is None or source == "":
        raise VisitorError("no_image")
    if hasattr(source, "tobytes") and hasattr(source, "save"):
        return _as_png(source)
    limit = SETTINGS.max_image_mb * 1_000_000
    if isinstance(source, (str, Path)):
        try:
            with Path(source).open("rb") as file:
                source = file.read(limit + 1)
        except (OSError, ValueError) as error:
            raise VisitorError("image_unreadable") from error
    if not isinstance(source, bytes):
        raise VisitorError("not_an_image", formats=", ".join(FORMATS))
    if len(source) > limit:
        raise VisitorError("image_too_big", limit_mb=SETTINGS.max_image_mb)
    if not source:
        raise VisitorError("image_unreadable")
    return source


def load(source: object, side: int = SIDE) -> Image:
    """Return a picture as an upright RGB image of at most `side` pixels a side; of an animation the first frame.

    Args:
        source: Path, bytes, or PIL image.
        side: Longest side in pixels.

    Raises:
        VisitorError: as `read`; not_an_image, image_too_large (in pixels), image_unreadable.
    """
    return measured(source, side)[0]


def measured(source: object, side: int = SIDE) -> tuple[Image, tuple[int, int]]:
    """Return a picture as `load` does, and the width and height in pixels of the whole of it, upright.

    Raises:
        VisitorError: as `load`.
    """
    from PIL import Image, UnidentifiedImageError

    data = read(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pixels are counted below, more strictly than Pillow does
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError as error:
            raise VisitorError("not_an_image", formats=", ".join(FORMATS)) from error
        except Image.DecompressionBombError as error:
            raise VisitorError("image_too_large", limit=MOST_PIXELS["JPEG"] // 1_000_000) from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise VisitorError("image_unreadable") from error
        pixels = image.width * image.height
        progressive = image.info.get("progressive") or image.info.get("progression")
        limit = PROGRESSIVE if progressive else MOST_PIXELS[image.format]
        if pixels > limit:
            raise VisitorError("image_too_large", limit=limit // 1_000_000)
        with _one_large_at_a_time if pixels > LARGE else nullcontext():
            try:
                return _upright_rgb(image, side)
            except VisitorError:
                raise
            except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
                raise VisitorError("image_unreadable") from error


def several(value: object) -> list[Any]:
    """Return pictures as a list; one alone will do.

    Raises:
        VisitorError: no_image, too_many_images.
    """
    items = value if isinstance(value, (list, tuple)) else [value]
    items = [item for item in items if item is not None and item != ""]
    if not items:
        raise VisitorError("no_image")
    if len(items) > SETTINGS.max_images:
        raise VisitorError("too_many_images", limit=SETTINGS.max_images, count=len(items))
    return list(items)


def digest(data: bytes) -> str:
    """Return the SHA-256 of a picture file, under which its embedding is remembered."""
    return hashlib.sha256(data).hexdigest()


def small(source: object, side: int) -> bytes:
    """Return a picture as a small JPEG or, where that is no larger, PNG file, for showing and for code."""
    image = load(source, side)
    files = []
    for form, options in (("JPEG", {"quality": 85}), ("PNG", {"optimize": True})):
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        files.append(buffer.getvalue())
    return min(files, key=len)


def jpeg(image: Image) -> bytes:
    """Return an RGB image as a JPEG file that holds its pixels and nothing that was known of it."""
    bare, buffer = image.copy(), io.BytesIO()
    bare.info = {}
    bare.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def mime(data: bytes) -> str:
    """Return the media type of what `small` made."""
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def _as_png(image: Any) -> bytes:
    if image.width * image.height > MOST_PIXELS["PNG"]:
        raise VisitorError("image_too_large", limit=MOST_PIXELS["PNG"] // 1_000_000)
    buffer = io.BytesIO()
    _flat(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _upright_rgb(image: Any, side: int) -> tuple[Image, tuple[int, int]]:
    from PIL import ImageOps

    width, height = image.size
    if image.format == "JPEG":
        image.draft(None, (side, side))
    image.seek(0)
    image.load()
    if image.mode not in ("RGB", "L", "CMYK"):
        image = _known(image)
    image.thumbnail((side, side), reducing_gap=2.0)
    flat = _flat(image)
    turned = flat.getexif().get(ORIENTATION) in ON_ITS_SIDE
    return ImageOps.exif_transpose(flat), (height, width) if turned else (width, height)


def _known(image: Any) -> Any:
    """Return an image in L, RGB or RGBA, keeping its Exif: what cannot be scaled well as it is."""
    info = image.info
    if image.mode.startswith("I") or image.mode == "F":
        image = _from_16_bits(image)
        info = {name: value for name, value in info.items() if name != "transparency"}
    elif image.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in info:
        image = image.convert("RGBA") if "transparency" in info or image.mode != "P" else image.convert("RGB")
    elif image.mode != "RGBA":
        image = image.convert("RGB")
    image.info = info
    return image


def _from_16_bits(image: Any) -> Any:
    """Return grey of 16 bits in 8; Pillow's own conversion of mode I cuts off at 255."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image)
    if values.max(initial=0) > 255:
        values = values // values.dtype.type(257)  # a float would take four times the memory
    return Image.fromarray(values.clip(0, 255).astype("uint8"))


def _flat(image: Any) -> Any:
    """Return an image as RGB, what is transparent on white."""
    from PIL import Image

    info = image.info
    if image.mode not in ("RGB", "L", "CMYK", "RGBA"):
        image = _known(image)
    if "transparency" in info and image.mode in ("RGB", "L"):
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    elif image.mode != "RGB":
        image = image.convert("RGB")
    image.info = {name: value for name, value in info.items() if name == "exif"}
    return image
