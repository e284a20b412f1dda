"""What of the models is here: in memory and on disk, how large, last used when; and how the owner makes room.

The Hub's cache is read and emptied by huggingface_hub's own scan_cache_dir and delete_revisions:
https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import gc
import logging
import shutil
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines import catalog, download, hub, loading
from pipelines.cache import Held, default_budget, return_memory
from pipelines.download import Progress
from pipelines.errors import VisitorError

log = logging.getLogger(__name__)

SCAN_S = 3.0  # what a look at the disk is good for, however many pages ask
STAGES = ("downloading", "loading", "memory", "partial", "disk")


@dataclass(frozen=True)
class Stored:
    """One model that takes memory or disk.

    Attributes:
        id: Hub id or pocket/<name>.
        source: "pocket", "package" (came with requirements.txt) or "hub".
        stage: One of STAGES; "partial" is a download that was cut off.
        memory: Bytes of its weights in memory, and of what runs them.
        disk: Bytes of its files.
        used: When it was last used (time.time); None when that is not known.
        users: Runs that use it now.
        tokenizer: Its tokenizer is in memory by itself.
        progress: How far its download is.
        known: It is listed, or this app fetched or loaded it: its name is no secret of the owner's disk.
    """

    id: str
    source: str
    stage: str
    memory: int = 0
    disk: int = 0
    used: float | None = None
    users: int = 0
    tokenizer: bool = False
    progress: Progress | None = None
    known: bool = True


@dataclass(frozen=True)
class Room:
    """Bytes: taken by loaded models, what they may take together, and free on the disk of the Hub's cache."""

    memory: int
    budget: int
    free_disk: int | None


@dataclass(frozen=True)
class _Repository:
    disk: int
    used: float | None
    whole: bool
    folder: Path
    revisions: tuple[str, ...] = ()


def models() -> list[Stored]:
    """Return every model that is here or on its way: those that travel with the app first, then by id."""
    on_disk, held, moving = _on_disk(), loading.CACHE.held(), download.under_way()
    tokenizers = set(loading.tokenizers())
    packaged = [name for name in _travelling() if _folder(name) is not None]
    seen = {*on_disk, *moving, *tokenizers, *(name for name, _ in held)}
    mine: dict[str, list[Held]] = {}
    for (name, _), entry in held.items():
        mine.setdefault(name, []).append(entry)
    names = packaged + sorted(seen - set(packaged), key=str.lower)
    return [
        _stored(name, mine.get(name, []), on_disk.get(name), moving.get(name), name in tokenizers) for name in names
    ]


def room() -> Room:
    """Return what loaded models take of what they may, and what the disk has left."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE).expanduser()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        free = None
    return Room(sum(entry.size for entry in loading.CACHE.held().values()), default_budget(), free)


def unload(model_id: str) -> int:
    """Let go of a loaded model and its tokenizer; returns the bytes given back.

    Raises:
        VisitorError: model_in_use.
    """
    with loading.without(model_id) as freed:
        if freed is None:
            raise VisitorError("model_in_use", model=model_id)
    gc.collect()
    return_memory()
    return freed


def delete(model_id: str) -> int:
    """Delete a Hub model's files from the cache, all revisions and what a cut-off download left; returns their bytes.

    A loaded copy goes too. Nobody can begin to load or to fetch the model meanwhile.

    Raises:
        VisitorError: pocket_stays, not_on_disk, model_downloading, model_in_use, not_deleted.
    """
    if model_id in _travelling() and _folder(model_id) is not None or model_id.startswith("pocket/"):
        raise VisitorError("pocket_stays", model=model_id)
    with download.without(model_id) as quiet:
        if not quiet:
            raise VisitorError("model_downloading", model=model_id)
        with loading.without(model_id) as freed:
            if freed is None:
                raise VisitorError("model_in_use", model=model_id)
            found = _on_disk(fresh=True).get(model_id)
            if found is None:
                raise VisitorError("not_on_disk", model=model_id)
            _remove(model_id, found)
    gc.collect()
    return_memory()
    return found.disk


def stop(model_id: str) -> bool:
    """End a model's downloads, whoever waits for them; what came so far is kept."""
    return download.stop(model_id)


def _stored(name: str, held: list[Held], found: _Repository | None, moving: Progress | None, tokenizer: bool) -> Stored:
    source = "hub"
    if name in _travelling() and (folder := _folder(name)) is not None:
        source = "pocket" if name.startswith("pocket/") else "package"
        found = _Repository(_size(folder), None, True, folder)
    stage = "disk" if found is None or found.whole else "partial"
    stage = "memory" if tokenizer or any(entry.ready for entry in held) else stage
    stage = "loading" if any(not entry.ready for entry in held) else stage
    used = max((entry.used for entry in held), default=None)
    return Stored(
        name, source, "downloading" if moving else stage,
        memory=sum(entry.size for entry in held if entry.ready),
        disk=found.disk if found else 0,
        used=used or (found.used if found else None),
        users=sum(entry.users for entry in held),
        tokenizer=tokenizer and not held,
        progress=moving,
        known=bool(held or moving or tokenizer or source != "hub" or catalog.card(name)),
    )  # fmt: skip


def _travelling() -> tuple[str, ...]:
    """Ids of the models that come with the app or its requirements, and are never deleted."""
    return (*(card.id for card in catalog.MODELS if card.pocket), catalog.MINILM)


def _folder(name: str) -> Path | None:
    """Where a model that travels along is; None when it is not."""
    if name == catalog.MINILM:
        return hub._packaged_minilm()
    folder = hub.POCKET / name.removeprefix("pocket/")
    return folder if folder.is_dir() else None


@lru_cache(maxsize=64)
def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


_scan_lock = threading.Lock()
_scanned: tuple[float, str, dict[str, _Repository]] = (0.0, "", {})


def _on_disk(fresh: bool = False) -> dict[str, _Repository]:
    """Return {id: what the Hub's cache holds of it}, as of a few seconds ago."""
    from huggingface_hub import constants

    global _scanned
    cache = str(constants.HF_HUB_CACHE)
    with _scan_lock:
        when, where, found = _scanned
        if fresh or where != cache or time.monotonic() - when > SCAN_S:
            try:
                found = _scan(Path(cache).expanduser())
            except OSError:  # a file went away meanwhile
                found = found if where == cache else {}
            _scanned = (time.monotonic(), cache, found)
        return found


def _scan(cache: Path) -> dict[str, _Repository]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = [each for each in scan_cache_dir(cache).repos if each.repo_type == "model"]
    except (CacheNotFound, ValueError):
        return {}
    found = {each.repo_id: _whole(each) for each in repositories}
    for folder in cache.glob("models--*"):  # those that the library calls corrupt: cut off before the first snapshot
        name = folder.name.removeprefix("models--").replace("--", "/")
        if name not in found and folder.is_dir() and not folder.is_symlink():
            found[name] = _Repository(_beside(folder, ()), None, False, folder)
    return found


def _whole(repo: Any) -> _Repository:
    blobs = {file.blob_path.name for revision in repo.revisions for file in revision.files}
    revisions = tuple(revision.commit_hash for revision in repo.revisions)
    size = repo.size_on_disk + _beside(repo.repo_path, blobs)
    return _Repository(size, repo.last_accessed, bool(blobs), repo.repo_path, revisions)


def _beside(folder: Path, counted: Iterable[str]) -> int:
    """Bytes of the blobs that no snapshot shows: of downloads that are under way or were cut off."""
    try:
        return sum(path.stat().st_size for path in (folder / "blobs").iterdir() if path.name not in counted)
    except OSError:
        return 0


def _remove(model_id: str, found: _Repository) -> None:
    from huggingface_hub import scan_cache_dir

    try:
        if found.revisions:
            info = scan_cache_dir(found.folder.parent)
            # Alone, for a copy of the repository under another name has the same revisions.
            alone = replace(info, repos=frozenset(each for each in info.repos if each.repo_path == found.folder))
            alone.delete_revisions(*found.revisions).execute()
        else:
            shutil.rmtree(found.folder)
    except OSError:
        log.warning("%s could not be deleted", model_id, exc_info=True)
    _on_disk(fresh=True)
    if found.folder.exists():  # the library only logs what it could not delete
        raise VisitorError("not_deleted", model=model_id)
