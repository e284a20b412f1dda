"""Token buckets and counts, with a clock that the test turns."""

import pytest

from tabs import _rates
from tabs._rates import Buckets, Open


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_bucket_gives_what_it_holds_and_then_as_much_as_comes_back():
    clock = Clock()
    asked = Buckets(per_s=2, burst_s=3, clock=clock)
    assert [asked.take("a") for _ in range(6)] == [0.0] * 6
    assert asked.take("a") == 0.5
    clock.now += 0.5
    assert asked.take("a") == 0.0 and asked.take("a") == 0.5
    clock.now += 1_000
    assert [asked.take("a") for _ in range(7)] == [0.0] * 6 + [0.5]


def test_each_has_a_bucket_of_its_own():
    asked = Buckets(per_s=1, burst_s=1, clock=Clock())
    assert asked.take("a") == 0.0 and asked.take("b") == 0.0 and asked.take("a") == 1.0


def test_asking_while_there_is_nothing_makes_the_wait_no_longer():
    clock = Clock()
    asked = Buckets(per_s=1, burst_s=1, clock=clock)
    asked.take("a")
    assert {asked.take("a") for _ in range(100)} == {1.0}
    clock.now += 1
    assert asked.take("a") == 0.0


def test_no_rate_is_no_limit():
    assert {Buckets(per_s=0, burst_s=10).take("a") for _ in range(1_000)} == {0.0}


def test_only_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr(_rates, "MOST_REMEMBERED", 100)
    asked = Buckets(per_s=1, burst_s=1, clock=Clock())
    for n in range(1_000):
        asked.take(str(n))
    assert len(asked._left) == 100


def test_what_is_open_is_counted_together_and_for_each():
    count = Open(most=3, most_each=2)
    with count.one("a"), count.one("a"):
        assert count.full("a") and not count.full("b")
        with count.one("b"):
            assert count.full("b") and count.full("c")
    assert not count.full("a") and not count._each


def test_what_fails_is_not_counted_any_more():
    count = Open(most=1, most_each=1)
    with pytest.raises(ValueError), count.one("a"):
        raise ValueError
    assert not count.full("a")


def test_zero_is_no_limit():
    count = Open(most=0, most_each=0)
    with count.one("a"):
        assert not count.full("a")
