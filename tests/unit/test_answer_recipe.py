"""How questions lose their answer: one thing in them changes, and what they are taken from says to what."""

import random

import pytest

from recipes._answer_twists import Twists, opposites
from recipes.answer_en import WANTED, Question, liking

CONTEXT = "In 1912 Anna Berg built the first large bridge over the Rhine. In 1934 Karl Stein opened a small harbour."
OTHER = "The railway of Emil Braun was closed in 1950, and its tunnels were flooded."


def question(text, answers=((44, 48),)):
    return Question("Bridges", text, CONTEXT, True, answers)


@pytest.fixture
def twists():
    return Twists([question("Who?"), Question("Bridges", "What?", OTHER, True, ())], {"large": ["small"]})


def changed(twists, text):
    made = [twists.twisted(question(text), random.Random(seed)) for seed in range(40)]
    assert all(not each.answerable and each.context == CONTEXT and each.answers == ((44, 48),) for each in made if each)
    return {each.text for each in made if each}


def test_names_numbers_opposites_and_words_change_places(twists):
    texts = changed(twists, "When was the large bridge of Anna Berg built?")
    assert "When was the small bridge of Anna Berg built?" in texts
    assert "When wasn't the large bridge of Anna Berg built?" in texts
    assert any("Karl Stein" in text or "Emil Braun" in text for text in texts)
    assert "When was the large bridge of Anna Berg built?" not in texts
    assert changed(twists, "What came in 1912?") <= {"What came in 1934?", "What came in 1950?"}


def test_what_has_nothing_to_change_stays_out(twists):
    assert changed(twists, "Why?") == set()


def test_opposites_go_both_ways(tmp_path):
    for kind in ("adv", "verb", "noun"):
        (tmp_path / f"data.{kind}").write_text("  1 a licence\n")
    (tmp_path / "data.adj").write_text(
        "00000010 00 a 02 big 0 large 0 001 ! 00000020 a 0201 | great\n"
        "00000020 00 s 01 small(p) 0 001 ! 00000010 a 0102 | little\n"
    )
    assert opposites(tmp_path) == {"large": ["small"], "small": ["large"]}


def test_the_line_is_set_by_the_worse_of_two_figures():
    even = {name: wanted for name, wanted in WANTED.items()}
    assert liking(even) == pytest.approx(1)
    assert liking(even | {"f1": 0.9}) == pytest.approx(1)
    assert liking(even | {"f1_answerable": 0.2}) == pytest.approx(0.5)
