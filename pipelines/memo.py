"""Answers already given: deterministic results kept in memory, bounded by bytes, least-recently-used out."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace

from pipelines.run import Run

_OVERHEAD = 512


class Memo:
    """Remembers runs under a key that holds everything that decides the answer.

    Args:
        budget: Bytes that keys and answers may take together.

    The result is kept as JSON: its size is known, and nobody can change what another caller will get.

    Example:
        >>> memo = Memo(1_000_000)
        >>> memo.put(("sentiment", "good"), Run({"label": "positive"}, "m"))
        >>> memo.get(("sentiment", "good")).cached
        True
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._bytes = 0
        self._runs: OrderedDict[Hashable, tuple[Run, str, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Run | None:
        """Return the run with cached=True and a fresh result (its timing is that of the first time), or None."""
        with self._lock:
            known = self._runs.get(key)
            if known is None:
                return None
            self._runs.move_to_end(key)
        run, result, _ = known
        return replace(run, result=json.loads(result), timing=dict(run.timing), cached=True)

    def put(self, key: Hashable, run: Run) -> None:
        """Remember a run; one that would take more than an eighth of the budget is not worth the others' places."""
        result = json.dumps(run.result)
        size = len(result) + len(repr(key)) + _OVERHEAD
        if size > self._budget // 8:
            return
        with self._lock:
            old = self._runs.pop(key, None)
            self._bytes += size - (old[2] if old else 0)
            self._runs[key] = (replace(run, result=None, timing=dict(run.timing)), result, size)
            while self._bytes > self._budget:
                _, (_, _, freed) = self._runs.popitem(last=False)
                self._bytes -= freed

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._runs.clear()
            self._bytes = 0

    @property
    def bytes(self) -> int:
        """Bytes that the remembered runs take."""
        return self._bytes
