"""Downloads from the Hub: one process for each, however many visitors wait for it; it can be watched and stopped.

A thread cannot be ended while it waits for a silent server, a process can. What it has brought so far stays in the
cache, and the next download takes it up again (see pipelines.fetching).
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines import hub_errors, hub_requests
from pipelines.errors import VisitorError
from settings import ROOT

log = logging.getLogger(__name__)

POLL_S = 0.1
START_S = 120.0  # for Python to start on a machine that is busy
GRACE_S = 15.0  # the process tells a silent server itself, and better; this long after that, it is ended
SPEED_OVER_S = 6.0
JUST_S = 1.0
# The deadline is what a download takes at the slowest speed that is waited for, and not less than the first.
SHORTEST_DEADLINE_S, SLOWEST_BYTES_A_S = 600.0, 20_000
SECRET = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "CLASSROOM_OWNER_PASSWORD")


@dataclass(frozen=True)
class Progress:
    """How far a download is.

    Attributes:
        done: Bytes here.
        total: Bytes in all.
        speed: Bytes a second over the last seconds; None until that can be told.
        seconds_left: At that speed.
        silent_s: Seconds since the last byte.
    """

    done: int
    total: int
    speed: float | None = None
    seconds_left: float | None = None
    silent_s: float = 0.0


@dataclass
class _Flight:
    """One download under way; `finished` is set once `error` is final."""

    model_id: str
    total: int
    timeout_s: float
    done: int = 0
    error: VisitorError | None = None
    stopped: bool = False
    finished: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen | None = None
    last: dict[str, Any] | None = None
    news: float | None = None  # when the last byte came; None while the process starts
    seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64))

    def progress(self) -> Progress:
        seen, now = list(self.seen), time.monotonic()
        recent = [point for point in seen if now - point[0] <= SPEED_OVER_S] or seen[-1:]
        silent = 0.0 if self.news is None else max(0.0, now - self.news)
        if not recent or now - recent[0][0] < POLL_S:
            return Progress(self.done, self.total, silent_s=silent)
        speed = (self.done - recent[0][1]) / (now - recent[0][0])
        if speed <= 0:  # it stands still, or what was here is being verified
            return Progress(self.done, self.total, silent_s=silent)
        return Progress(self.done, self.total, speed, (self.total - self.done) / speed, silent)


_flights: dict[tuple[str, frozenset[str]], _Flight] = {}
_checking: defaultdict[str, list[Future]] = defaultdict(list)  # what ends each question, by model
_away: set[str] = set()
_stopped: dict[str, float] = {}
_lock = threading.Lock()


def progress() -> dict[str, tuple[int, int]]:
    """Return {model id: (bytes here, bytes in all)} of the downloads under way."""
    return {model_id: (now.done, now.total) for model_id, now in under_way().items()}


def under_way() -> dict[str, Progress]:
    """Return {model id: how far} of the downloads under way; of one model's two, the larger."""
    with _lock:
        flights = sorted(_flights.values(), key=lambda flight: flight.total)
    return {flight.model_id: flight.progress() for flight in flights}


def checking(model_id: str) -> bool:
    """Tell whether the Hub is just being asked about a model."""
    return model_id in _checking


def stop(model_id: str) -> bool:
    """End the downloads of a model, and the questions to the Hub about it; whoever waits gets the error `stopped`.

    So does whoever asks for it in the next second, for that was asked before. What came so far is kept.

    Returns:
        Whether one was under way.
    """
    with _lock:
        flights = [flight for flight in _flights.values() if flight.model_id == model_id]
        questions = [end for end in _checking.get(model_id, ()) if not end.done()]
        for end in questions:
            end.set_result(None)
        if flights:
            now = time.monotonic()
            for name in [name for name, when in _stopped.items() if now - when > JUST_S]:
                del _stopped[name]
            _stopped[model_id] = now
    for flight in flights:
        flight.stopped = True
        if flight.process is not None:
            flight.process.kill()
        flight.finished.wait(5)
    return bool(flights or questions)


@contextmanager
def without(model_id: str) -> Iterator[bool]:
    """Begin no download of a model until the block ends; yields False, and forbids nothing, while one is under way."""
    with _lock:
        busy = model_id in _away or any(flight.model_id == model_id for flight in _flights.values())
        if not busy:
            _away.add(model_id)
    try:
        yield not busy
    finally:
        if not busy:
            with _lock:
                _away.discard(model_id)


def fetch(model_id: str, sizes: dict[str, int], token: bool | None, timeout_s: float) -> None:
    """Bring files of a repository into the Hub's cache, verified, going on where an earlier try stopped.

    Whoever asks for a download that is under way waits for that one. It goes on when they leave.

    Args:
        model_id: Hub id.
        sizes: {file name: bytes} of the files to bring.
        token: False sends none; None the owner's.
        timeout_s: Longest time without an answer or a byte.

    Raises:
        VisitorError: what went wrong, in plain words; stopped; being_removed.
    """
    if not sizes:
        return
    if (end := hub_requests.END.get()) is not None and end.done():
        raise VisitorError("stopped")
    key = (model_id, frozenset(sizes))
    order = {"model": model_id, "files": sizes, **_way(token, timeout_s)}
    with _lock:
        flight = _flights.get(key)
        if flight is None:
            if model_id in _away:
                raise VisitorError("being_removed")
            if time.monotonic() - _stopped.get(model_id, -JUST_S) < JUST_S:
                raise VisitorError("stopped")
            flight = _flights[key] = _Flight(model_id, sum(sizes.values()), timeout_s)
            # Not the visitor's thread: it may end before the download does.
            threading.Thread(target=_fly, args=(key, flight, order), name=f"download {model_id}", daemon=True).start()
    flight.finished.wait()
    if flight.error is not None:
        raise VisitorError(flight.error.key, **flight.error.params)


@contextmanager
def plain(model_id: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into one sentence that names the cause; `stop` ends a question within."""
    end: Future = Future()
    with _lock:
        _checking[model_id].append(end)
    before = hub_requests.END.set(end)
    try:
        yield
    except VisitorError:
        raise
    except hub_requests.Ended as error:
        raise VisitorError("stopped") from error
    except Exception as error:
        raise hub_errors.explain(error, model_id) from error
    finally:
        hub_requests.END.reset(before)
        with _lock:
            _checking[model_id].remove(end)
            if not _checking[model_id]:
                del _checking[model_id]


def _way(token: bool | None, timeout_s: float) -> dict[str, Any]:
    from huggingface_hub import constants

    how = hub_requests.access(token, timeout_s)
    cache = str(Path(constants.HF_HUB_CACHE).expanduser().absolute())
    return {"cache": cache, "endpoint": how.endpoint, "token": how.token, "timeout_s": timeout_s}


def _fly(key: tuple[str, frozenset[str]], flight: _Flight, order: dict[str, Any]) -> None:
    try:
        flight.process = _start(order)
        reader = threading.Thread(target=_listen, args=(flight,), name=f"download {flight.model_id}", daemon=True)
        reader.start()
        said = _watch(flight)
        flight.process.wait()
        reader.join()
        flight.process.stdin.close()
        flight.process.stdout.close()
        flight.error = said or _outcome(flight)
    except Exception as error:
        log.warning("the download of %s could not be started", flight.model_id, exc_info=True)
        flight.error = hub_errors.explain(error, flight.model_id)
    finally:
        with _lock:
            _flights.pop(key, None)
        flight.finished.set()


def _start(order: dict[str, Any]) -> subprocess.Popen:
    environ = {name: value for name, value in os.environ.items() if name not in SECRET}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.fetching"], cwd=ROOT, env=environ, text=True, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
    except BrokenPipeError:  # it has ended already: the outcome says so
        pass
    return process


def _listen(flight: _Flight) -> None:
    for line in flight.process.stdout:
        now = time.monotonic()
        try:
            message = json.loads(line)
        except ValueError:  # cut off by a kill
            continue
        if "done" in message:
            if flight.news is None or message["done"] != flight.done:
                flight.news = max(now, flight.news or now)
            flight.done, flight.total = message["done"], message["total"]
            flight.seen.append((now, flight.done))
        elif "wait" in message:
            flight.news = now + message["wait"]
        else:
            flight.last = message


def _watch(flight: _Flight) -> VisitorError | None:
    """Wait for the process to end; end it when nothing comes any more, or too little. Returns why it was ended."""
    began = time.monotonic()
    deadline = began + max(SHORTEST_DEADLINE_S, flight.total / SLOWEST_BYTES_A_S)
    while True:
        try:
            flight.process.wait(POLL_S)
            return None
        except subprocess.TimeoutExpired:
            pass
        now, model_id = time.monotonic(), flight.model_id
        done, total = (f"{count / 1e6:,.1f}" for count in (flight.done, flight.total))
        said = None
        if flight.stopped:
            said = VisitorError("stopped")
        elif flight.news is None and now - began > START_S:
            said = VisitorError("download_crashed", model=model_id)
        elif flight.news is not None and now - flight.news > flight.timeout_s + GRACE_S:
            said = VisitorError("download_stalled", model=model_id, done_mb=done, total_mb=total)
        elif now > deadline:
            said = VisitorError("download_too_slow", model=model_id, done_mb=done, total_mb=total)
        if said is not None:
            flight.process.kill()
            return said


def _outcome(flight: _Flight) -> VisitorError | None:
    if flight.last is not None:
        return VisitorError(flight.last["error"], **flight.last["params"]) if "error" in flight.last else None
    if flight.stopped:
        return VisitorError("stopped")
    log.warning("the process that downloads %s ended with status %s", flight.model_id, flight.process.returncode)
    return VisitorError("download_crashed", model=flight.model_id)
