"""A folder of this app's own for what visitors upload and what is made for them: private, bounded, swept.

Gradio keeps uploads in one folder of the machine's temporary files, shared by all its apps, readable to all users, and
deletes only what it remembers; what a killed process left would stay for ever.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

log = logging.getLogger(__name__)

AGE_S = 3_600.0
SWEEP_S = 300.0
ALIVE = ".alive"
_own: Path | None = None


def own() -> Path:
    """Make the folder, once, and let gradio use it; one that the owner named in GRADIO_TEMP_DIR is used as it is."""
    global _own
    if _own is None:
        named = os.environ.get("GRADIO_TEMP_DIR")
        if named:
            _own = Path(named)
            _own.mkdir(parents=True, exist_ok=True)
        else:
            _own = _private()
            os.environ["GRADIO_TEMP_DIR"] = str(_own)
    return _own


def _private() -> Path:
    """Make a folder that only this user can read, beside those of other runs, and take away what those left."""
    user = getattr(os, "getuid", lambda: "user")()
    beside = Path(tempfile.gettempdir()).resolve() / f"model-classroom-{user}"
    try:
        beside.mkdir(mode=0o700, exist_ok=True)
        if beside.is_symlink() or (hasattr(os, "getuid") and beside.stat().st_uid != os.getuid()):
            raise PermissionError(beside)
    except OSError:  # somebody else's: a fresh name, unswept by later runs
        beside = Path(tempfile.mkdtemp(prefix="model-classroom-")).resolve()
    sweep_others(beside)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=beside))
    (folder / ALIVE).touch()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def sweep_others(beside: Path, age_s: float = AGE_S) -> None:
    """Remove the folders of runs that have not been alive for an hour."""
    for folder in beside.glob("run-*"):
        try:
            if time.time() - (folder / ALIVE).stat().st_mtime < age_s:
                continue
        except OSError:
            pass
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, keep: Collection[str] = (), age_s: float = AGE_S) -> int:
    """Delete files older than an hour, and folders that are empty then.

    Args:
        folder: Whose files.
        keep: Paths that stay: what the page itself shows.
        age_s: In seconds.

    Returns:
        Bytes of the files that are left.
    """
    oldest, left = time.time() - age_s, 0
    for where, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = os.path.join(where, name)
            try:
                found = os.lstat(path)
                if max(found.st_mtime, found.st_ctime) >= oldest or path in keep or name == ALIVE:
                    left += found.st_size
                else:
                    os.remove(path)
            except OSError:
                continue
        if where != str(folder):
            try:
                os.rmdir(where)
            except OSError:
                continue
    return left


class Room:
    """How much the folder may hold, and the thread that keeps it clean.

    Args:
        most: In bytes; 0 for no limit.
    """

    def __init__(self, most: int) -> None:
        self._most, self._used = most, 0
        self._lock = threading.Lock()

    def full(self) -> bool:
        """Tell whether nothing more fits."""
        return 0 < self._most <= self._used

    def add(self, size: int) -> None:
        """Count bytes that have come."""
        with self._lock:
            self._used += size

    def sweep(self, keep: Collection[str] = ()) -> None:
        """Clean the folder and measure it."""
        folder = own()
        left = sweep(folder, keep)
        with self._lock:
            self._used = left
        if (folder / ALIVE).exists():
            (folder / ALIVE).touch()
            sweep_others(folder.parent)

    def start(self, keep: Callable[[], Collection[str]]) -> None:
        """Sweep now and then, for as long as the process lives.

        Args:
            keep: () -> paths that are never deleted.
        """
        threading.Thread(target=self._sweep_for_ever, args=(keep,), name="uploads", daemon=True).start()

    def _sweep_for_ever(self, keep: Callable[[], Collection[str]]) -> None:
        while True:
            try:
                self.sweep(keep())
            except Exception:
                log.exception("the upload folder could not be swept")
            time.sleep(SWEEP_S)
