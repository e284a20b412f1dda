"""The owner's password: a few tries, no key without a setting, nowhere to be read."""

from dataclasses import replace

import settings
from tabs._owner import MOST_EVERYWHERE, MOST_HERE, WINDOW_S, Door


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_only_the_password_opens():
    door = Door("비밀 word")
    assert door.exists and door.opens("비밀 word", "a")
    for word in ("", "비밀", None, 7, ["비밀 word"], "비밀 word ", "x" * 10**6, "\ud800"):
        assert not Door("비밀 word").opens(word, "a")


def test_without_a_password_nothing_opens():
    for password in ("", "  "):
        door = Door(password)
        assert not door.exists and not door.opens(password, "a") and not door.opens("", "a")


def test_a_few_wrong_words_close_it_for_that_address_and_for_a_while():
    clock = Clock()
    door = Door("right", clock)
    for _ in range(MOST_HERE):
        assert not door.seconds_closed("a") and not door.opens("wrong", "a")
    assert door.seconds_closed("a") == WINDOW_S and not door.opens("right", "a")
    assert door.opens("right", "b")
    clock.now = WINDOW_S
    assert not door.seconds_closed("a") and door.opens("right", "a")


def test_many_addresses_do_not_help():
    door = Door("right", Clock())
    for number in range(MOST_EVERYWHERE):
        door.opens("wrong", str(number))
    assert door.seconds_closed("new") and not door.opens("right", "new")


def test_the_setting_is_not_printed():
    read = settings.read({"CLASSROOM_OWNER_PASSWORD": "  Tr0ub4dor  "})
    assert read.owner_password == "  Tr0ub4dor  "
    assert "Tr0ub4dor" not in repr(read) and "Tr0ub4dor" not in repr(replace(read, threads=2))


def test_the_process_that_downloads_does_not_get_it():
    from pipelines import download

    assert "CLASSROOM_OWNER_PASSWORD" in download.SECRET
