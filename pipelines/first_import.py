"""The first import of transformers, by one thread: a second one that comes in between finds half of the library."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

_lock = threading.Lock()
_done = False


def transformers() -> Any:
    """Return the library, imported."""
    global _done
    with _lock:
        import transformers

        if not _done:
            _import_models(Path(transformers.__file__).parent / "models")
            _done = True
        return transformers


def _import_models(folder: Path) -> None:
    """Import transformers.models with what the library has just learned of it.

    It looks through its five hundred folders of models twice, half a second each: for itself, with names that begin
    with "models.", and for the package of models, without.
    """
    from transformers.utils import import_utils

    look = import_utils.define_import_structure  # keeps what it has found
    known = {
        needs: {name.removeprefix("models."): what for name, what in modules.items() if name.startswith("models.")}
        for needs, modules in look(folder, prefix="models").items()
    }

    def once(path: str, prefix: str | None = None) -> Any:
        return known if prefix is None and Path(path).parent == folder else look(path, prefix)

    import_utils.define_import_structure = once
    try:
        import transformers.models  # noqa: F401
    finally:
        import_utils.define_import_structure = look
