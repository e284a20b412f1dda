"""Loaded models: single-flight, least recently used out, never one in use, a failure is not kept."""

import platform
import subprocess
import sys
import threading
import time

import pytest

from pipelines.cache import ModelCache
from pipelines.errors import VisitorError
from settings import ROOT


def load(value, size=1):
    return lambda: (value, size)


def test_thirty_first_requests_load_once():
    cache, loads, seen = ModelCache(100), [], []

    def slow():
        loads.append(1)
        time.sleep(0.05)
        return "model", 1

    def visit():
        with cache.use("a", slow) as model:
            seen.append(model)

    threads = [threading.Thread(target=visit) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert (len(loads), seen) == (1, ["model"] * 30)


def test_a_failed_load_is_told_to_all_who_waited_and_tried_again():
    cache, started, errors = ModelCache(100), threading.Event(), []

    def fail():
        started.set()
        time.sleep(0.05)
        raise VisitorError("load_failed", model="a", reason="x")

    def visit():
        try:
            with cache.use("a", fail):
                pass
        except VisitorError as error:
            errors.append(error.key)

    threads = [threading.Thread(target=visit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert errors == ["load_failed"] * 3
    with cache.use("a", load("fine")) as model:
        assert model == "fine"


def test_the_least_recently_used_leaves():
    cache = ModelCache(2)
    for key in ("a", "b"):
        with cache.use(key, load(key)):
            pass
    with cache.use("a", load("again")) as model:
        assert model == "a"
    with cache.use("c", load("c"), expected=1):
        pass
    assert list(cache.loaded()) == ["a", "c"]


def test_a_model_in_use_stays():
    cache = ModelCache(1)
    with cache.use("a", load("a")):
        with cache.use("b", load("b"), expected=1):
            assert set(cache.loaded()) == {"a", "b"}
    assert len(cache.loaded()) == 1


def test_what_cannot_fit_is_refused_before_loading():
    with pytest.raises(VisitorError, match="too_big"):
        with ModelCache(10).use("a", lambda: pytest.fail("was loaded"), expected=11):
            pass


def test_an_error_while_using_leaves_the_model_loaded_and_free():
    cache = ModelCache(10)
    with pytest.raises(RuntimeError):
        with cache.use("a", load("a")):
            raise RuntimeError
    with cache.use("a", lambda: pytest.fail("was loaded again")):
        pass


def test_room_is_made_as_soon_as_the_size_is_known():
    cache, seen = ModelCache(100), []
    for name in ("a", "b"):
        with cache.use(name, load(name, 40)):
            pass

    def large():
        cache.expect("c", 70)
        seen.append(dict(cache.loaded()))
        return "c", 70

    with cache.use("c", large):
        pass
    assert seen == [{}] and set(cache.loaded()) == {"c"}


def test_what_turns_out_too_large_is_refused_and_makes_nobody_leave():
    cache = ModelCache(100)
    with cache.use("a", load("a", 40)):
        pass

    def huge():
        cache.expect("b", 101)

    with pytest.raises(VisitorError, match="too_big"), cache.use("b", huge):
        pass
    assert set(cache.held()) == {"a"}


def test_what_is_not_being_loaded_is_not_counted_anew():
    cache = ModelCache(100)
    with cache.use("a", load("a", 40)):
        cache.expect("a", 90)
        cache.expect("b", 90)
    assert cache.loaded() == {"a": 40}


MANY_THREADS = """
import ctypes, sys, threading
from pipelines import cache
if sys.argv[1] == "few":
    cache.few_arenas(2)
libc, barrier = ctypes.CDLL(None), threading.Barrier(12)
libc.malloc.restype = ctypes.c_void_p
def work():
    barrier.wait()
    for _ in range(200):
        libc.malloc(5000)
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other stores")
def test_many_threads_share_few_stores_of_memory():
    def arenas(which):
        command = [sys.executable, "-c", MANY_THREADS, which]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60).stderr.count("Arena ")

    assert 1 <= arenas("few") <= 2 < arenas("as they come")
