"""Which texts a model was not made for, as far as letters can tell."""

import pytest

from pipelines.catalog import ModelCard
from pipelines.languages import note


@pytest.mark.parametrize(
    ("languages", "text", "foreign"),
    [
        (("ko",), "나는 서울에 산다", False),
        (("ko",), "I live in Seoul", True),
        (("ko",), "나는 Seoul에 산다", False),
        (("en",), "I live in Seoul", False),
        (("en",), "나는 서울에 산다", True),
        (("en",), "私は東京に住んでいる", True),
        (("en", "ja"), "私は東京に住んでいる", False),
        (("de",), "Ich wohne in Köln", False),
        (("ko", "en"), "Я живу", True),
        (("en",), "😀 123 !?", False),
        (("multilingual",), "나는", False),
        ((), "나는", False),
    ],
)
def test_letters_tell_a_foreign_text(languages, text, foreign):
    card = ModelCard("a/b", ("sentiment",), languages)
    assert (note(card, text) == "note.language") is foreign


def test_an_unknown_model_is_not_judged():
    assert note(None, "나는") is None
