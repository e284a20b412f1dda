"""Under a choice of several models: a line for each that is not here, with what it costs or why it cannot be used."""

from types import SimpleNamespace

import pytest

from pipelines.errors import VisitorError
from pipelines.model_check import ModelCheck
from tabs import sentiment, tokenizer
from tabs._cost_lines import CostLines

REQUEST = SimpleNamespace(cookies={}, headers={"accept-language": "en"})
HERE = {"pocket/sentiment-ko"}


def check(model):
    if model == "someone/huge":
        problem = VisitorError("too_big", needs_mb=9000, has_mb=100)
        return ModelCheck(model, "sentiment", exists=True, fits_memory=False, problem=problem)
    return ModelCheck(model, "sentiment", exists=True, download=268_000_000, parameters=67_000_000, license="mit")


@pytest.fixture
def lines():
    return CostLines("test", check, 3, here=HERE.__contains__)


def told(lines, *names):
    return list(lines.telling(lambda *given: list(given))(REQUEST, *names))


def test_each_model_that_is_not_here_is_asked_about_and_named(lines):
    steps = told(lines, "pocket/sentiment-ko", "someone/small", "someone/huge", "someone/small")
    assert [step[0].count("Asking the Hub") for step in steps] == [2, 1, 0]
    text, clock, kept = steps[-1]
    assert "someone/small · ↓ 268 MB to download when you press Run · 67 M parameters · mit" in text
    assert "someone/huge · ✕ Too big for this machine" in text and "9000" in text
    assert "sentiment-ko" not in text and clock.active and list(kept) == ["someone/small", "someone/huge"]
    assert not any(step[1].active for step in steps[:-1])


def test_what_is_here_takes_no_line_and_no_clock(lines):
    ((text, clock, kept),) = told(lines, "pocket/sentiment-ko")
    assert (text, clock.active, kept) == ("", False, {})


def test_no_more_are_asked_about_than_can_run(lines):
    assert len(told(lines, *(f"someone/{number}" for number in range(9)))[-1][2]) == 3


def test_a_line_goes_when_its_model_has_come(lines, monkeypatch):
    kept = told(lines, "someone/small", "someone/other")[-1][2]
    assert all(each["__type__"] == "update" for each in lines._settle(kept))
    monkeypatch.setattr(lines, "_here", lambda name: name == "someone/small")
    text, clock, kept = lines._settle(kept)
    assert "someone/other" in text and "someone/small" not in text and clock.active
    monkeypatch.setattr(lines, "_here", lambda name: True)
    assert lines._settle(kept)[0] == "" and not lines._settle(kept)[1].active


def test_what_a_stranger_wrote_is_escaped():
    lines = CostLines("test", lambda model: ModelCheck(model, "sentiment", download=1, license="<img>"), 3)
    assert "<" not in told(lines, "<b>")[-1][0].replace("<p class", "").replace("</p>", "")


def test_the_tabs_ask_about_what_was_ticked_and_typed():
    assert sentiment._names(["a/b"], "c/d, a/b ,") == ["a/b", "c/d"]
    # A listed tokenizer is fetched as soon as it is chosen; of a typed id the cost is shown first.
    assert tokenizer._typed(["builtin/words", "openai-community/gpt2", "pocket/tokenizer-bpe", "someone/own"]) == [
        "someone/own"
    ]


def test_a_typed_tokenizer_is_fetched_only_when_asked_for(monkeypatch):
    monkeypatch.setattr(tokenizer, "_here", lambda name: False)
    monkeypatch.setattr(tokenizer.hub, "offline", lambda: False)
    asked = []

    def tokenize(text, names, **_):
        asked.extend(names)
        raise VisitorError("no_network", model="a/b")

    do = tokenizer.Functions(tokenize=tokenize)
    form = ("A text", ["openai-community/gpt2", "someone/own"], True, False, None, None, *[""] * 8)
    for which, expected in ((None, []), (tokenizer._listed, ["openai-community/gpt2"])):
        answer, *_ = tokenizer._live(do, "en", *form, fetch=which)
        assert asked == expected and "Fetch the tokenizer" in answer
        asked.clear()
    tokenizer._live(do, "en", *form, fetch=lambda name: True)
    assert asked == ["openai-community/gpt2", "someone/own"]
