"""Turns on a device: one at a time, in order, given up by whoever stops, and the wait is said."""

import threading
import time

import pytest

from pipelines.errors import VisitorError
from pipelines.lane import Lane, Waiting


def later(work, *arguments):
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def waits(lane, count):
    until(lambda: lane.waiting().ahead == count)


def test_runs_take_turns_in_the_order_in_which_they_came():
    lane, order, inside, most = Lane(), [], [], []
    hold = threading.Event()

    def run(name):
        with lane.turn(1.0, lambda _: None, threading.Event()):
            inside.append(name)
            most.append(len(inside))
            hold.wait(5)
            order.append(name)
            inside.remove(name)

    threads = []
    for name in range(6):
        threads.append(later(run, name))
        waits(lane, name + 1)
    hold.set()
    for thread in threads:
        thread.join(5)
    assert order == list(range(6)) and max(most) == 1
    assert lane.waiting() == Waiting(0, 0.0)


def test_the_place_and_the_wait_are_told():
    lane, told, hold = Lane(), [], threading.Event()

    def first():
        with lane.turn(10.0, lambda _: None, threading.Event()):
            hold.wait(5)

    thread = later(first)
    waits(lane, 1)
    second = later(lambda: lane.turn(4.0, told.append, threading.Event()).__enter__())
    until(lambda: told)
    assert told[0].ahead == 1 and 8 < told[0].seconds <= 10
    assert lane.waiting().ahead == 2 and 12 < lane.waiting().seconds <= 14
    hold.set()
    thread.join(5)
    second.join(5)


def test_a_run_of_unknown_length_makes_the_wait_unknown():
    lane, hold = Lane(), threading.Event()

    def first():
        with lane.turn(None, lambda _: None, threading.Event()):
            hold.wait(5)

    thread = later(first)
    waits(lane, 1)
    assert lane.waiting() == Waiting(1, None)
    hold.set()
    thread.join(5)


def test_who_stops_while_waiting_leaves_the_queue():
    lane, hold, stop, errors = Lane(), threading.Event(), threading.Event(), []

    def first():
        with lane.turn(1.0, lambda _: None, threading.Event()):
            hold.wait(5)

    def second():
        try:
            with lane.turn(1.0, lambda _: None, stop):
                raise AssertionError("it was not its turn")
        except VisitorError as error:
            errors.append(error.key)

    threads = [later(first)]
    waits(lane, 1)
    threads.append(later(second))
    waits(lane, 2)
    stop.set()
    threads[1].join(5)
    assert errors == ["stopped"] and lane.waiting().ahead == 1
    hold.set()
    threads[0].join(5)


def test_a_failed_run_makes_room_for_the_next():
    lane = Lane()
    with pytest.raises(ZeroDivisionError), lane.turn(1.0, lambda _: None, threading.Event()):
        _ = 1 / 0
    with lane.turn(1.0, lambda _: None, threading.Event()):
        assert lane.waiting().ahead == 1


def test_a_full_queue_refuses_at_once():
    lane, hold = Lane(most=0), threading.Event()

    def first():
        with lane.turn(1.0, lambda _: None, threading.Event()):
            hold.wait(5)

    thread = later(first)
    waits(lane, 1)
    with pytest.raises(VisitorError, match="queue_full"):
        with lane.turn(1.0, lambda _: None, threading.Event()):
            pass
    hold.set()
    thread.join(5)
