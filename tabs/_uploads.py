"""Pictures that programs send and get: only files that were uploaded are opened, and what is made is kept an hour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio.context import LocalContext
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from pipelines import images
from pipelines.errors import VisitorError


def picture(value: object) -> bytes | None:
    """Return the bytes of an uploaded picture, None for none.

    Args:
        value: What gradio_client.handle_file becomes on the way: {"path": a file in gradio's upload folder, …}.

    Raises:
        VisitorError: image_not_uploaded for an address, a data URL, or a path of any other file.
    """
    if value is None:
        return None
    path = value.get("path") if isinstance(value, dict) else None
    if not isinstance(path, str) or not uploaded(path):
        raise VisitorError("image_not_uploaded")
    return images.read(path)


def pictures(value: object) -> list[bytes | None]:
    """Return the bytes of uploaded pictures."""
    return [picture(each) for each in images.several(value)]


def uploaded(path: str) -> bool:
    """Tell whether a path is inside gradio's upload folder, links followed."""
    try:
        return Path(path).resolve(strict=True).is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def foreign(value: object) -> bool:
    """Tell whether a file among a call's values is anything but an upload: gradio would fetch an address itself."""
    if isinstance(value, dict):
        path = value.get("path")
        is_file = isinstance(value.get("meta"), dict) and value["meta"].get("_type") == "gradio.FileData"
        if is_file and not (isinstance(path, str) and uploaded(path)):
            return True
        return any(foreign(each) for each in value.values())
    return isinstance(value, (list, tuple)) and any(foreign(each) for each in value)


def opened(arguments: Any) -> Any:
    """Return an endpoint's arguments, as /show_code gets them, with the bytes of pictures in place of files."""
    if not isinstance(arguments, dict):
        return arguments
    found = dict(arguments)
    if "image" in found:
        found["image"] = picture(found["image"])
    if "images" in found:
        found["images"] = pictures(found["images"])
    return found


def kept(data: bytes, name: str) -> dict[str, Any]:
    """Put a PNG where the caller alone can fetch it, by an address that its content makes; gradio deletes it later.

    Returns:
        The values of a gradio.FileData.
    """
    path = save_bytes_to_cache(data, name, get_upload_folder())
    page = LocalContext.blocks.get(None)
    if page is not None:
        page.upload_file_set.add(path)  # what delete_cache looks through
    return {"path": path, "orig_name": name, "size": len(data), "mime_type": "image/png"}
