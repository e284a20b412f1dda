"""The owner's password: compared in constant time, tried a few times only, never written down."""

from __future__ import annotations

import hmac
import threading
import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 600.0
MOST_HERE, MOST_EVERYWHERE = 5, 50  # wrong words in a window: from one address, from all
LONGEST = 200


class Door:
    """Opens to whoever knows the password.

    Args:
        password: CLASSROOM_OWNER_PASSWORD; empty: the door has no key.
        clock: Seconds that only grow.
    """

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._password, self._clock = password.encode(), clock
        self._wrong: deque[tuple[float, str]] = deque()
        self._lock = threading.Lock()

    @property
    def exists(self) -> bool:
        return bool(self._password.strip())

    def seconds_closed(self, address: str) -> int:
        """Return how long nobody from an address may try; 0 when they may."""
        with self._lock:
            return self._closed(address)

    def opens(self, word: object, address: str) -> bool:
        """Tell whether a word is the password; a wrong one is counted, and nothing is compared while it is closed."""
        with self._lock:
            if not self.exists or self._closed(address):
                return False
            given = word if isinstance(word, str) and len(word) <= LONGEST else ""
            if hmac.compare_digest(given.encode("utf-8", "replace"), self._password):
                return True
            self._wrong.append((self._clock(), address))
            return False

    def _closed(self, address: str) -> int:
        now = self._clock()
        while self._wrong and now - self._wrong[0][0] >= WINDOW_S:
            self._wrong.popleft()
        here = [when for when, where in self._wrong if where == address]
        for times, most in ((here, MOST_HERE), ([when for when, _ in self._wrong], MOST_EVERYWHERE)):
            if len(times) >= most:
                return max(1, round(times[-most] + WINDOW_S - now))
        return 0
