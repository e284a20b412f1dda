"""Loaded models: one load however many ask, least-recently-used out, within a memory budget."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.errors import VisitorError
from settings import SETTINGS

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


@dataclass
class _Entry:
    ready: threading.Event = field(default_factory=threading.Event)
    value: Any = None
    error: BaseException | None = None
    size: int = 0
    users: int = 0
    used: float = 0.0


@dataclass(frozen=True)
class Held:
    """What the cache tells of one value: bytes, how many use it now, when it was last used (time.time), is it ready."""

    size: int
    users: int
    used: float
    ready: bool


class ModelCache:
    """Single-flight, least-recently-used cache of loaded models.

    Args:
        budget: Bytes that the loaded models may take together, or a function that returns them.

    A value is loaded once, however many threads ask; the others wait for it. A failed load is not cached: whoever
    waited gets the same error, whoever comes next tries again. A value in use is never evicted.
    """

    def __init__(self, budget: int | Callable[[], int]) -> None:
        self._budget = budget if callable(budget) else lambda: budget
        self._entries: OrderedDict[Any, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._away: list[Callable[[Any], bool]] = []

    @contextmanager
    def use(self, key: Any, load: Callable[[], tuple[Any, int]], expected: int = 0) -> Iterator[Any]:
        """Yield the value under `key`, loading it first when it is not there.

        Args:
            key: Names the value.
            load: Returns (value, bytes it takes).
            expected: Bytes the value is expected to take; room is made before it is loaded.

        Raises:
            VisitorError: too_big, when `expected` is more than the whole budget; being_removed (see `without`).
                Whatever `load` raises.
        """
        entry, mine = self._enter(key, expected)
        try:
            if mine:
                self._load(key, entry, load)
            else:
                entry.ready.wait()
            if entry.error is not None:
                raise entry.error
            yield entry.value
        finally:
            with self._lock:
                entry.users -= 1
                entry.used = time.time()
                left = self._evict(0)
            if left or entry.error is not None:
                return_memory()

    @contextmanager
    def without(self, matches: Callable[[Any], bool]) -> Iterator[int | None]:
        """Let go of the values whose keys match, and keep them out until the block ends.

        Yields:
            The bytes given back; None, and nothing has changed, while one of them is in use or being loaded.
        """
        with self._lock:
            chosen = {key: entry for key, entry in self._entries.items() if matches(key)}
            busy = any(entry.users or not entry.ready.is_set() for entry in chosen.values())
            if not busy:
                self._away.append(matches)
                for key in chosen:
                    del self._entries[key]
        if busy:
            yield None
            return
        freed = sum(entry.size for entry in chosen.values())
        chosen.clear()
        try:
            yield freed
        finally:
            with self._lock:
                self._away.remove(matches)

    def held(self) -> dict[Any, Held]:
        """Return what is known of each value, loaded or being loaded."""
        with self._lock:
            return {
                key: Held(entry.size, entry.users, entry.used, entry.ready.is_set())
                for key, entry in self._entries.items()
            }

    def loaded(self) -> dict[Any, int]:
        """Return {key: bytes} of what is loaded, least recently used first."""
        with self._lock:
            return {key: entry.size for key, entry in self._entries.items() if entry.ready.is_set()}

    def loading(self) -> list[Any]:
        """Return the keys of what is being loaded."""
        with self._lock:
            return [key for key, entry in self._entries.items() if not entry.ready.is_set()]

    def expect(self, key: Any, size: int) -> None:
        """Make room for what is being loaded under `key`, once it is known how large it will be.

        Raises:
            VisitorError: too_big, when that is more than the whole budget.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.ready.is_set():
                return
            self._refuse(size)
            entry.size = size
            left = self._evict(0)
        if left:
            return_memory()

    def grow(self, key: Any, value: Any, more: int) -> bool:
        """Count `more` bytes for a value loaded under `key`; False, and nothing counted, when the budget lacks them.

        Below 0 they are given back. A value that has left, even for one of the same name, counts for nothing.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.value is not value:
                return False
            if more > 0 and sum(each.size for each in self._entries.values()) + more > self._budget():
                return False
            entry.size += more
            return True

    def peek(self, key: Any) -> bool:
        """Tell whether `key` is loaded, without touching its place in the queue."""
        with self._lock:
            entry = self._entries.get(key)
            return entry is not None and entry.ready.is_set()

    def _enter(self, key: Any, expected: int) -> tuple[_Entry, bool]:
        left = False
        with self._lock:
            entry = self._entries.get(key)
            mine = entry is None
            if mine:
                if any(matches(key) for matches in self._away):
                    raise VisitorError("being_removed")
                self._refuse(expected)
                left = self._evict(expected)
                entry = self._entries[key] = _Entry(size=expected)
            self._entries.move_to_end(key)
            entry.users += 1
            entry.used = time.time()
        if left:
            return_memory()
        return entry, mine

    def _load(self, key: Any, entry: _Entry, load: Callable[[], tuple[Any, int]]) -> None:
        try:
            entry.value, entry.size = load()
        except BaseException as error:
            entry.error = error
            with self._lock:
                self._entries.pop(key, None)
            raise
        finally:
            entry.ready.set()

    def _refuse(self, size: int) -> None:
        budget = self._budget()
        if size > budget:
            raise VisitorError("too_big", needs_mb=size // 1_000_000, has_mb=budget // 1_000_000)

    def _evict(self, needed: int) -> bool:
        """Let go of what is used least until `needed` bytes fit; tells whether anything left."""
        left, budget = False, self._budget()
        total = sum(entry.size for entry in self._entries.values()) + needed
        for key in [key for key, entry in self._entries.items() if entry.users == 0 and entry.ready.is_set()]:
            if total <= budget:
                break
            total -= self._entries.pop(key).size
            left = True
        return left


def return_memory() -> None:
    """Ask the C library to give freed memory back to the system; it keeps what small tensors and parsers took."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # another C library
        pass


def few_arenas(count: int = 2) -> None:
    """Ask the C library to serve all threads from so few stores of memory; before threads have their own.

    By default each thread may have a store for itself. What they leave free lies scattered in all of them and is not
    found again by others: after ten minutes of a class it was a third of a gigabyte.
    """
    try:
        ctypes.CDLL(None).mallopt(_ARENA_MAX, count)
    except (OSError, AttributeError, TypeError):  # another C library
        pass


def default_budget() -> int:
    """Return the bytes that loaded models may take: CLASSROOM_MEMORY_BUDGET_MB, or 60 % of what was free at start."""
    return SETTINGS.memory_budget_mb * 1_000_000 or int(0.6 * _free_at_start())


@lru_cache(maxsize=1)
def _free_at_start() -> int:
    """Bytes free on this machine or in its cgroup, whichever is less, as first asked."""
    free = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    limit, used = _read("/sys/fs/cgroup/memory.max").strip(), _read("/sys/fs/cgroup/memory.current").strip()
    if limit.isdigit() and used.isdigit():
        free.append(max(0, int(limit) - int(used)))
    return min(free, default=4_000_000_000)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
