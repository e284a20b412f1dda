"""Answers kept in memory: bounded in bytes, safe among threads, unspoilable."""

import threading

from pipelines.memo import Memo
from pipelines.run import Run


def run(size=10):
    return Run({"text": "x" * size}, "model", timing={"model": 1.0})


def test_a_known_answer_is_marked_and_equal():
    memo = Memo(100_000)
    memo.put("key", run())
    known = memo.get("key")
    assert known.cached and known.result == run().result and known.timing == {"model": 1.0}
    assert memo.get("other") is None


def test_bytes_stay_within_the_budget_and_the_oldest_leave():
    memo = Memo(20_000)
    for number in range(50):
        memo.put(number, run(1_000))
        memo.get(0)
        assert memo.bytes <= 20_000
    assert memo.get(0) is not None and memo.get(49) is not None and memo.get(5) is None
    memo.clear()
    assert memo.bytes == 0 and memo.get(49) is None


def test_one_big_answer_does_not_push_the_others_out():
    memo = Memo(20_000)
    memo.put("small", run())
    memo.put("big", run(10_000))
    assert memo.get("small") is not None and memo.get("big") is None


def test_the_same_key_is_counted_once():
    memo = Memo(20_000)
    for _ in range(5):
        memo.put("key", run(500))
    once = memo.bytes
    memo.put("key", run(500))
    assert memo.bytes == once


def test_threads_do_not_break_it():
    memo = Memo(30_000)

    def work(seed):
        for number in range(200):
            memo.put((seed * number) % 37, run(number))
            found = memo.get(number % 37)
            assert found is None or found.cached

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < memo.bytes <= 30_000
