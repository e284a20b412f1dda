"""One run at a time on a device, first come first served, with the wait that is to be expected.

Text and tokenizers never pass through here: only what keeps a device busy for seconds does.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipelines.errors import VisitorError

POLL_S = 0.2


@dataclass(frozen=True)
class Waiting:
    """What stands before a run.

    Attributes:
        ahead: Runs before this one, the one under way included.
        seconds: How long they are expected to take together; None when nothing of the kind has run yet.
    """

    ahead: int
    seconds: float | None


@dataclass
class _Ticket:
    expected: float | None
    started: float | None = None
    turn: threading.Event = field(default_factory=threading.Event)


class Lane:
    """A queue of runs of which one is under way.

    Args:
        most: Runs that may wait; the next is refused at once.
    """

    def __init__(self, most: int = 40) -> None:
        self._most, self._tickets, self._lock = most, deque(), threading.Lock()

    def waiting(self) -> Waiting:
        """Return what a run that came now would wait for."""
        with self._lock:
            return self._before(len(self._tickets))

    @contextmanager
    def turn(self, expected: float | None, tell: Callable[[Waiting], None], stop: threading.Event) -> Iterator[None]:
        """Wait for this run's turn, and keep it while the block runs.

        Args:
            expected: Seconds that the run will take, as far as is known.
            tell: Called with the place in the queue, whenever it changes.
            stop: Set it to give the place up.

        Raises:
            VisitorError: queue_full; stopped, when `stop` is set while waiting.
        """
        ticket = _Ticket(expected)
        with self._lock:
            if len(self._tickets) > self._most:
                raise VisitorError("queue_full", ahead=len(self._tickets))
            self._tickets.append(ticket)
            self._next()
        try:
            told = None
            while not ticket.turn.wait(POLL_S if told else 0):
                if stop.is_set():
                    raise VisitorError("stopped")
                with self._lock:
                    now = self._before(self._tickets.index(ticket))
                if now != told:
                    told = now
                    tell(now)
            yield
        finally:
            with self._lock:
                self._tickets.remove(ticket)
                self._next()

    def _next(self) -> None:
        if self._tickets and not self._tickets[0].turn.is_set():
            self._tickets[0].started = time.monotonic()
            self._tickets[0].turn.set()

    def _before(self, place: int) -> Waiting:
        before = [self._tickets[number] for number in range(place)]
        if any(ticket.expected is None for ticket in before):
            return Waiting(place, None)
        ran = time.monotonic() - before[0].started if before and before[0].started else 0.0
        left = sum(ticket.expected for ticket in before) - min(ran, before[0].expected if before else 0.0)
        return Waiting(place, round(left, 1))
