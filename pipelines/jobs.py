"""Long work that outlives a connection: a job has an id that only the browser that began it knows.

    >>> jobs = Jobs()
    >>> job = jobs.start("an-id-that-nobody-guesses", lambda stop: iter(["half", "done"]))
    >>> [event async for event in job.watch()][-1]
    'done'
    >>> jobs.start("an-id-that-nobody-guesses", None) is job  # asked for twice, run once
    True

A job runs in a thread of its own, watched or not; to watch one takes none. When nobody has watched it for a grace time
it is ended; what came of it is kept for a while, within a number of bytes, and never for an hour.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

from pipelines.errors import VisitorError
from settings import SETTINGS

log = logging.getLogger(__name__)

BEAT_S = 0.4
# Results wait this long for a browser that was away; the ids alone are remembered longer, so that none runs twice.
KEPT_S, REMEMBERED_S, MOST_REMEMBERED = 600.0, 3_600.0, 20_000
MOST_RUNNING, MOST_BYTES = 200, 200_000_000
KEY = re.compile(r"[\w-]{20,64}", re.ASCII)
Work = Callable[[threading.Event], Iterator[Any]]


class Job:
    """One piece of work under way, or what came of it.

    Attributes:
        about: What whoever began it wants to know again when it is found.
        latest: The newest event; in the end, the result. None before the first.
        over: Nothing more will come.
    """

    def __init__(self, about: Any, weigh: Callable[[Any], int]) -> None:
        self.about = about
        self.latest: Any = None
        self.over = False
        self._weigh, self._bytes = weigh, None
        self._count, self._error = 0, None
        self._watchers: list[Callable[[], None]] = []
        self._since = time.monotonic()  # when the last watcher left, and then when it was over
        self._stop, self._left = threading.Event(), threading.Event()
        self._lock = threading.Lock()

    async def watch(self, beat_s: float = BEAT_S) -> AsyncIterator[Any]:
        """Yield the latest event, then each newer one; who is slow misses some, never the last.

        Args:
            beat_s: Without news for so long, the latest event (None before the first) is yielded again, so that
                whoever watches can be told that the watching is over.

        Raises:
            VisitorError: what the job failed with, also `stopped`, `left_alone` and `unexpected`.
        """
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # a watcher whose loop is closed
                loop.call_soon_threadsafe(news.set)

        with self._lock:
            self._watchers.append(wake)
        try:
            seen = 0
            while True:
                with self._lock:
                    event, count, over = self.latest, self._count, self.over
                if not over and count == seen:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), beat_s)
                        news.clear()
                        continue
                if over and self._error is not None:
                    raise VisitorError(self._error.key, **self._error.params)
                if not over or count > seen:
                    yield event
                if over:
                    return
                seen = count
        finally:
            with self._lock:
                self._watchers.remove(wake)
                if not self.over:
                    self._since = time.monotonic()

    def stop(self, reason: str = "stopped") -> None:
        """End the work: whoever watches gets this error at once, the work itself ends at its next event."""
        self._stop.set()
        self._end(VisitorError(reason))

    def _run(self, work: Work) -> None:
        try:
            events = work(self._stop)
            try:
                for event in events:
                    with self._lock:
                        if self.over:
                            break
                        self.latest, self._count = event, self._count + 1
                        self._tell()
            finally:
                getattr(events, "close", lambda: None)()
            self._end(None)
        except VisitorError as error:
            # A new one: a traceback would keep all that the work had in its hands.
            self._end(VisitorError(error.key, **error.params))
        except BaseException as error:
            log.error("a job failed", exc_info=error)
            self._end(VisitorError("unexpected"))
        finally:
            self._left.set()

    def _end(self, error: VisitorError | None) -> None:
        with self._lock:
            if not self.over:
                self.over, self._error, self._since = True, error, time.monotonic()
                self._tell()

    def _tell(self) -> None:
        for wake in self._watchers:
            wake()

    def _idle_s(self) -> float:
        """Seconds since somebody watched it, or since it was over."""
        with self._lock:
            return 0.0 if self._watchers and not self.over else time.monotonic() - self._since

    def _size(self) -> int:
        if self._bytes is None:
            self._bytes = self._weigh(self.latest)
        return self._bytes


class Jobs:
    """The jobs of this process, each under its id.

    Args:
        grace_s: Seconds after which a job that nobody watches is ended.
        kept_s: Seconds for which a result is kept.
        most_running: Jobs that may be under way; the next is refused.
        most_bytes: Bytes that kept results may take together; the oldest go first.
    """

    def __init__(
        self,
        grace_s: float = 60.0,
        kept_s: float = KEPT_S,
        most_running: int = MOST_RUNNING,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._grace_s, self._kept_s, self._most_running, self._most_bytes = grace_s, kept_s, most_running, most_bytes
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._past: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()
        self._keeper: threading.Thread | None = None

    def start(self, key: str, work: Work, about: Any = None, weigh: Callable[[Any], int] = lambda _: 0) -> Job:
        """Begin a job, or return the one that was begun with this id: the same id never runs twice.

        Args:
            key: An id that the browser drew; for what is no id, one is drawn here, and nobody will find it again.
            work: (stop) -> events, the last of which is the result; it ends soon after `stop` is set.
            about: Kept with the job for who finds it.
            weigh: (last event, or None) -> bytes that are kept once it is over.

        Raises:
            VisitorError: left_alone, job_gone or stopped for an id of the past; jobs_full.
        """
        with self._lock:
            key = key if KEY.fullmatch(key) else secrets.token_urlsafe(24)
            if key in self._jobs:
                return self._jobs[key]
            if key in self._past:
                raise VisitorError(self._past[key][1])
            if sum(not job._left.is_set() for job in self._jobs.values()) >= self._most_running:
                raise VisitorError("jobs_full")
            job = self._jobs[key] = Job(about, weigh)
            context = contextvars.copy_context()  # gradio keeps whose request it is there
            threading.Thread(target=context.run, args=(job._run, work), name="job", daemon=True).start()
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="jobs", daemon=True)
                self._keeper.start()
            return job

    def find(self, key: str) -> Job | None:
        """Return a job that is under way or whose result is still here; None for an id that tells nothing.

        Raises:
            VisitorError: left_alone, for a job that was ended because nobody came back.
        """
        with self._lock:
            if self._past.get(key, (0.0, ""))[1] == "left_alone":
                raise VisitorError("left_alone")
            return self._jobs.get(key)

    def stop(self, key: str) -> None:
        """Stop a job; one that was not begun yet never will be."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None and KEY.fullmatch(key):
                self._remember(key, "stopped")
        if job is not None:
            job.stop()

    def _remember(self, key: str, reason: str) -> None:
        self._past.setdefault(key, (time.monotonic(), reason))
        if len(self._past) > MOST_REMEMBERED:
            self._past.popitem(last=False)

    def _keep(self) -> None:
        """End what nobody watches and drop what was kept long enough, until there is nothing left to look after."""
        while True:
            time.sleep(max(0.02, min(1.0, self._grace_s / 4, self._kept_s / 4)))
            with self._lock:
                self._tidy()
                if not self._jobs:
                    self._keeper = None
                    return

    def _tidy(self) -> None:
        room = self._most_bytes
        for key, job in reversed(list(self._jobs.items())):
            if not job.over:
                if job._idle_s() > self._grace_s:
                    job.stop("left_alone")
                continue
            room -= job._size()
            left_alone = job._error is not None and job._error.key == "left_alone"
            if job._left.is_set() and (left_alone or room < 0 or job._idle_s() > self._kept_s):
                del self._jobs[key]
                self._remember(key, "left_alone" if left_alone else "job_gone")
        oldest = time.monotonic() - REMEMBERED_S
        while self._past and next(iter(self._past.values()))[0] < oldest:
            self._past.popitem(last=False)


JOBS = Jobs(max(1, SETTINGS.job_grace_s))  # what has just begun is not watched yet
