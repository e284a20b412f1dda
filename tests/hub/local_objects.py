"""What the local provider answers to requests for the objects in a picture, in hf-inference's own shape.

POST /router/hf-inference/models/{id}    {"inputs": the picture in base64, "parameters": {"threshold": …}}
"""

from __future__ import annotations

import base64
import io
import json
from typing import Any


def sent(body: dict[str, Any]) -> bytes:
    """Return the picture file that came with a request."""
    return base64.b64decode(body["inputs"], validate=True)


def row(label: str, score: float, *edges: float) -> dict[str, Any]:
    return {"label": label, "score": score, "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True))}


def answer(body: dict[str, Any]) -> bytes:
    """Return a cat in the left half, a dog that sticks out on the right, and below a threshold of 0.3 a weak remote."""
    from PIL import Image

    width, height = Image.open(io.BytesIO(sent(body))).size
    rows = [
        row("dog", 0.875, width // 2, height // 4, width + 2, height),
        row("cat", 0.96875, 0, 0, width // 2, height // 2),
        row("remote", 0.3125, width // 4, height // 2, width // 2, 3 * height // 4),
    ]
    least = body["parameters"]["threshold"]
    return json.dumps([each for each in rows if each["score"] >= least]).encode()
