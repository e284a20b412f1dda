"""How often and how many: token buckets, and counts of what is open, each by whoever asks."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_REMEMBERED = 20_000


class Buckets:
    """A token bucket for each key (https://en.wikipedia.org/wiki/Token_bucket); for one thread, as an event loop is.

    Args:
        per_s: Tokens that come back each second; 0 lets everything through.
        burst_s: Seconds' worth of tokens that a full bucket holds.
        clock: Seconds that only grow.

    Example:
        >>> asked = Buckets(per_s=2, burst_s=1, clock=lambda: 0.0)
        >>> [asked.take("a") for _ in range(3)]
        [0.0, 0.0, 0.5]
    """

    def __init__(self, per_s: float, burst_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._most, self._clock = per_s, max(1.0, per_s * burst_s), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one token; return 0.0, or the seconds until there will be one."""
        if not self._per_s:
            return 0.0
        now = self._clock()
        left, then = self._left.pop(key, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_s)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_s
        self._left[key] = (left if wait else left - 1, now)
        if len(self._left) > MOST_REMEMBERED:
            self._left.popitem(last=False)
        return wait


class Open:
    """Counts what is open at this moment, for each key and together.

    Args:
        most: Together; 0 for no limit.
        most_each: For one key; 0 for no limit.
    """

    def __init__(self, most: int, most_each: int) -> None:
        self._most, self._most_each = most, most_each
        self._each: Counter[str] = Counter()
        self._all = 0

    def full(self, key: str) -> bool:
        """Tell whether one more would be too many."""
        return 0 < self._most <= self._all or 0 < self._most_each <= self._each[key]

    @contextmanager
    def one(self, key: str) -> Iterator[None]:
        """Count one while the block runs."""
        self._all += 1
        self._each[key] += 1
        try:
            yield
        finally:
            self._all -= 1
            self._each[key] -= 1
            if not self._each[key]:
                del self._each[key]
