"""Embeddings already computed: kept in memory under their model and content, bounded by bytes, least-recent out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_OVERHEAD = 256


class Vectors:
    """Remembers vectors.

    Args:
        budget: Bytes that the vectors may take together.

    Example:
        >>> vectors = Vectors(1_000_000)
        >>> vectors.fill(["a", "b"], lambda missing: [embed(key) for key in missing]).shape
        (2, 512)
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._bytes = 0
        self._kept: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def fill(
        self, keys: Sequence[Hashable], compute: Callable[[list[Hashable]], Sequence[np.ndarray]]
    ) -> tuple[np.ndarray, int]:
        """Return the vectors of keys, (len(keys), dimensions), and how many of them had to be computed.

        Args:
            keys: One per row; the same key twice is computed once.
            compute: Called with the keys that are not remembered, if there are any.
        """
        import numpy as np

        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            # A row of a matrix would keep the whole matrix alive.
            new = [np.array(row, dtype="float32") for row in compute(missing)]
            found |= dict(zip(missing, new, strict=True))
            self._keep(missing, new)
        return np.stack([found[key] for key in keys]), len(missing)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    @property
    def bytes(self) -> int:
        """Bytes that the remembered vectors take."""
        return self._bytes

    def _keep(self, keys: Sequence[Hashable], rows: Sequence[np.ndarray]) -> None:
        with self._lock:
            for key, row in zip(keys, rows, strict=True):
                if key not in self._kept:
                    self._bytes += row.nbytes + _OVERHEAD
                self._kept[key] = row
            while self._bytes > self._budget:
                _, old = self._kept.popitem(last=False)
                self._bytes -= old.nbytes + _OVERHEAD
