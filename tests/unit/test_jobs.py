"""Jobs: the same id runs once, whoever comes back finds it, and what nobody comes back for is ended and forgotten."""

import asyncio
import gc
import random
import threading
import time
import weakref
from contextlib import aclosing

import pytest

from pipelines.errors import VisitorError
from pipelines.jobs import Jobs
from tests.unit.watching import Watching, run_apart


def key(number=0):
    return f"an-id-that-nobody-guesses-{number}"


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


class Steps:
    """Work that counts how often it began, and gives a number every `pause` seconds until it is stopped."""

    def __init__(self, steps=3, pause=0.01):
        self.begun, self.stopped, self.given = 0, 0, 0
        self.steps, self.pause = steps, pause

    def __call__(self, stop):
        self.begun += 1
        for number in range(self.steps):
            time.sleep(self.pause)
            if stop.is_set():
                self.stopped += 1
                raise VisitorError("stopped")
            self.given += 1
            yield number
        yield "result"


def fails(error):
    def work(stop):
        yield "half"
        raise error

    return work


def watch(job, beat_s=0.05):
    return Watching(job.watch(beat_s))


def seen(job):
    return [event for event in watch(job) if event is not None]


def test_the_same_id_runs_once_however_often_it_is_asked_for():
    jobs, work, found = Jobs(), Steps(), []
    threads = [threading.Thread(target=lambda: found.append(jobs.start(key(), work))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert seen(found[0])[-1] == "result" and len(set(map(id, found))) == 1 and work.begun == 1
    assert seen(jobs.start(key(), work)) == ["result"] and work.begun == 1


def test_every_watcher_begins_with_the_latest_and_ends_with_the_result():
    jobs, go = Jobs(), threading.Event()

    def work(stop):
        yield "first"
        go.wait(5)
        yield "result"

    job = jobs.start(key(), work)
    watchers = [watch(job) for _ in range(3)]
    until(lambda: job.latest == "first")
    assert [next(watcher) for watcher in watchers] == ["first"] * 3
    go.set()
    assert [list(watcher)[-1] for watcher in watchers] == ["result"] * 3


def test_without_news_a_watcher_may_leave_at_every_beat():
    go = threading.Event()
    job = Jobs().start(key(), lambda stop: iter(go.wait, True))
    start, watcher = time.monotonic(), watch(job)
    assert next(watcher) is None and next(watcher) is None and time.monotonic() - start < 1
    watcher.close()
    go.set()


def test_a_slow_watcher_misses_events_but_never_the_last():
    job = Jobs().start(key(), Steps(200, 0.0))
    watcher = watch(job)
    next(watcher)
    until(lambda: job.over)
    assert list(watcher) == ["result"]


@pytest.mark.parametrize(
    ("error", "told"), [(VisitorError("bad_side", name="width"), "bad_side"), (ZeroDivisionError(), "unexpected")]
)
def test_an_error_is_told_to_each_watcher_and_what_came_before_stays(error, told):
    jobs = Jobs()
    job = jobs.start(key(), fails(error))
    until(lambda: job.over)
    for _ in range(2):
        with pytest.raises(VisitorError) as caught:
            seen(jobs.find(key()))
        assert caught.value.key == told
    assert job.latest == "half"
    assert caught.value.params == getattr(error, "params", {})


def test_stop_is_told_at_once_and_ends_the_work_at_its_next_step():
    jobs, work = Jobs(), Steps(1_000, 0.05)
    job = jobs.start(key(), work)
    watcher = watch(job)
    next(watcher)
    jobs.stop(key())
    start = time.monotonic()
    with pytest.raises(VisitorError, match="stopped"):
        list(watcher)
    assert time.monotonic() - start < 0.04
    until(lambda: work.stopped == 1)
    assert seen_error(jobs.find(key())) == "stopped"


def test_what_is_stopped_before_it_begins_never_does():
    jobs, work = Jobs(), Steps()
    jobs.stop(key())
    with pytest.raises(VisitorError, match="stopped"):
        jobs.start(key(), work)
    assert work.begun == 0 and jobs.find(key()) is None
    jobs.stop("what is no id is not remembered")
    assert len(jobs._past) == 1


def seen_error(job):
    with pytest.raises(VisitorError) as caught:
        seen(job)
    return caught.value.key


def test_work_that_knows_no_stop_ends_between_two_events():
    gone = []

    def work(stop):
        try:
            for number in range(1_000):
                time.sleep(0.01)
                yield number
        finally:
            gone.append(True)

    jobs = Jobs()
    job = jobs.start(key(), work)
    until(lambda: job.latest is not None)
    job.stop()
    until(lambda: gone)


def test_what_nobody_watches_is_ended_after_the_grace_and_says_so():
    jobs, work = Jobs(grace_s=0.2), Steps(1_000, 0.01)
    jobs.start(key(), work)
    until(lambda: work.stopped == 1)
    for _ in range(2):  # while it is still held, and afterwards
        with pytest.raises(VisitorError, match="left_alone"):
            seen(jobs.find(key()))
        until(lambda: not jobs._jobs)
    with pytest.raises(VisitorError, match="left_alone"):
        jobs.start(key(), work)
    assert work.begun == 1


def test_who_comes_back_within_the_grace_finds_it_at_work():
    jobs, work = Jobs(grace_s=0.4), Steps(150, 0.01)
    job = jobs.start(key(), work)
    for _ in range(5):
        watcher = watch(jobs.find(key()))
        next(watcher)
        watcher.close()
        time.sleep(0.2)
    assert seen(job)[-1] == "result" and work.begun == 1 and work.stopped == 0


def test_while_somebody_watches_it_goes_on():
    jobs, work = Jobs(grace_s=0.1), Steps(50, 0.01)
    assert seen(jobs.start(key(), work))[-1] == "result"


def test_a_result_waits_for_its_visitor_and_is_dropped_in_time():
    jobs, work = Jobs(grace_s=0.1, kept_s=0.5), Steps(0)
    jobs.start(key(), work)
    time.sleep(0.3)
    assert seen(jobs.find(key())) == ["result"]
    until(lambda: not jobs._jobs)
    assert jobs.find(key()) is None
    with pytest.raises(VisitorError, match="job_gone"):
        jobs.start(key(), work)
    assert work.begun == 1


def test_kept_results_are_bounded_in_bytes_and_the_oldest_go_first():
    jobs = Jobs(kept_s=60, most_bytes=25, grace_s=0.1)
    for number in range(4):
        seen(jobs.start(key(number), Steps(0), weigh=lambda event: 10))
    until(lambda: len(jobs._jobs) == 2)
    assert jobs.find(key(0)) is None and seen(jobs.find(key(3))) == ["result"]


class Thing:
    """Something whose end can be seen."""


def test_a_dropped_result_and_what_made_it_leave_memory():
    jobs, refs = Jobs(grace_s=0.1, kept_s=0.2), []

    def start():
        thing, tool = Thing(), Thing()
        refs.extend([weakref.ref(thing), weakref.ref(tool)])

        def work(stop):
            yield thing if tool else None
            raise VisitorError("stopped")

        return jobs.start(key(), work)

    job = start()
    until(job._left.is_set)
    gc.collect()
    assert refs[0]() is job.latest and refs[1]() is None  # what the work held is gone, its latest event is still here
    del job
    until(lambda: not jobs._jobs)
    gc.collect()
    assert refs[0]() is None


def test_too_many_at_once_are_refused_and_make_room_when_done():
    jobs, go = Jobs(most_running=2), threading.Event()
    running = [jobs.start(key(number), lambda stop: iter(go.wait, True)) for number in range(2)]
    with pytest.raises(VisitorError, match="jobs_full"):
        jobs.start(key(2), Steps())
    go.set()
    until(lambda: all(job._left.is_set() for job in running))
    assert seen(jobs.start(key(2), Steps()))[-1] == "result"


@pytest.mark.parametrize("wrong", ["", "short", "x" * 65, "with a space and more letters", "../../etc/passwd/aaaaaa"])
def test_what_is_no_id_runs_but_nobody_can_ask_for_it(wrong):
    jobs, work = Jobs(), Steps()
    first, second = jobs.start(wrong, work), jobs.start(wrong, work)
    assert first is not second and jobs.find(wrong) is None


def test_an_unknown_id_tells_nothing():
    assert Jobs().find(key()) is None


def test_nothing_is_looked_after_when_nothing_is_left():
    jobs = Jobs(grace_s=0.05, kept_s=0.05)
    for _ in range(2):
        jobs.start(f"{key()}-{time.monotonic_ns()}", Steps(0))
        assert jobs._keeper.is_alive()
        until(lambda: jobs._keeper is None)


def test_two_hundred_visitors_come_and_go_and_every_run_is_found_and_runs_once():
    """Watchers leave at any moment and return after 1-30 units of time, as connections that break do."""
    unit, count = 0.01, 200
    jobs = Jobs(grace_s=60 * unit + 1.0, most_running=count)
    works = [Steps(100, unit) for _ in range(count)]
    results, away = {}, 0

    async def visit(number):
        nonlocal away
        dice = random.Random(number)
        while number not in results:
            # A page that is still open asks for the run again; one that was loaded anew looks for it.
            job = jobs.start(key(number), works[number]) if dice.random() < 0.5 else jobs.find(key(number))
            if job is None:
                job = jobs.start(key(number), works[number])
            leaves = time.monotonic() + dice.random() * 10 * unit
            async with aclosing(job.watch(0.02)) as events:
                async for event in events:
                    if event == "result":
                        results[number] = event
                    elif time.monotonic() > leaves:
                        away += 1
                        break
            await asyncio.sleep(dice.uniform(1, 30) * unit)

    async def everybody():
        await asyncio.gather(*map(visit, range(count)))

    run_apart(everybody())
    assert len(results) == count and away > count
    assert [work.begun for work in works] == [1] * count
    assert [work.given for work in works] == [100] * count
