"""The first import of transformers, by one thread: a second one that comes in between finds half of the library."""

from __future__ import annotations

import threading
from typing import Any

_lock = threading.Lock()


def transformers() -> Any:
    """Return the library, imported."""
    with _lock:
        import transformers

        return transformers
