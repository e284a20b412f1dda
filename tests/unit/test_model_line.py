"""The line under the model picker: what it says of a model, in both languages, and when it follows one."""

import threading

import pytest

from pipelines.errors import VisitorError
from pipelines.model_check import ModelCheck
from pipelines.model_stage import Stage
from tabs import _model_line, _ui
from tabs._model_line import ModelLine, badge, moving


def found(**facts):
    return ModelCheck("someone/raw", "sentiment", exists=True, **facts)


@pytest.mark.parametrize(
    ("facts", "en", "ko"),
    [
        ({"state": "pocket"}, "Pocket model", "포켓 모델"),
        ({"state": "cached"}, "Downloaded", "내려받음"),
        ({"download": 268_000_000, "parameters": 67_000_000}, "268 MB", "268 MB"),
        ({"download": 268_000_000, "license": "apache-2.0"}, "apache-2.0", "apache-2.0"),
        ({"problem": VisitorError("gated", model="a/b"), "gated": True}, "licence must be accepted", "동의"),
        ({"problem": VisitorError("too_big", needs_mb=9, has_mb=1)}, "Too big", "너무 커요"),
        ({"problem": VisitorError("pickle_only", model="a/b")}, "pickle file", "피클"),
    ],
)
def test_a_badge_says_where_the_model_is_and_what_it_costs(facts, en, ko):
    assert en in badge(found(**facts), "en")
    assert ko in badge(found(**facts), "ko") or "pickle" in badge(found(**facts), "ko")


def test_what_a_stranger_wrote_is_escaped():
    html = badge(found(license="<script>", download=1), "en") + badge(
        found(problem=VisitorError("wrong_task", model="a/b", task="answer", made_for="<img>")), "ko"
    )
    assert "<script>" not in html and "<img>" not in html


def test_a_download_shows_bytes_speed_and_time_left():
    html = moving(Stage("downloading", 120_000_000, 268_000_000, 12_345_000.0, 12.0), "en")
    assert "120 of 268 MB" in html and "12.3 MB/s" in html and "0:12 left" in html and 'value="44.8"' in html
    assert "MB/s" not in moving(Stage("downloading", 0, 5_000_000), "en")
    assert "1:01:05" in moving(Stage("downloading", 1, 2_000_000, 1.0, 3665.0), "ko")


class _Request:
    cookies, headers = {}, {"accept-language": "en"}


def shown(stage, state, monkeypatch):
    monkeypatch.setattr(_model_line.hub, "state", lambda model_id: state)
    line = ModelLine("test", check=None, stage=lambda model_id: stage, stop=lambda model_id: True)
    return line._follow({"model": "someone/raw", "idle": "IDLE"}, _Request())


def test_the_clock_runs_until_the_model_is_here(monkeypatch):
    text, stop, clock, _ = shown(Stage("downloading", 1, 2), "remote", monkeypatch)
    assert "Downloading" in text and stop["visible"] and clock["__type__"] == "update"
    text, stop, clock, _ = shown(Stage("none"), "remote", monkeypatch)
    assert text == "IDLE" and not stop["visible"] and clock.active
    text, stop, clock, chosen = shown(Stage("ready"), "cached", monkeypatch)
    assert "Downloaded" in text and not stop["visible"] and not clock.active and chosen["idle"] == text


def test_the_check_is_made_when_a_model_is_chosen():
    asked = []
    line = ModelLine("test", check=lambda *given: asked.append(given) or found(download=9), stage=None, stop=None)
    text, _, clock, chosen = line._choose("sentiment", " someone/raw ", _Request())
    assert asked == [("someone/raw", "sentiment")] and clock.active and chosen["model"] == "someone/raw" and text
    text, _, clock, chosen = line._choose("sentiment", "", _Request())
    assert len(asked) == 1 and not clock.active and (text, chosen["model"]) == ("", "")


def test_the_hub_is_being_asked_and_may_be_stopped_meanwhile(monkeypatch):
    monkeypatch.setattr(_model_line.hub, "state", lambda model_id: "remote")
    stopped = found(problem=VisitorError("stopped"))
    line = ModelLine("test", check=lambda *given: stopped, stage=None, stop=lambda model_id: model_id == "someone/raw")
    steps = list(line._chooser("sentiment")("someone/raw", _Request()))
    text, stop, clock, chosen = steps[0]
    assert "Asking the Hub" in text and stop["visible"] and not clock.active and chosen["model"] == "someone/raw"
    assert "Download stopped" in line._halt(chosen, _Request())[0]
    text, stop, clock, _ = steps[1]
    assert "Run asks the Hub again" in text and not stop["visible"] and clock.active
    text, stop, *_ = ModelLine("test", stage=lambda model_id: Stage("checking"))._follow(chosen, _Request())
    assert "Asking the Hub" in text and stop["visible"]


def test_what_is_here_is_not_asked_about(monkeypatch):
    monkeypatch.setattr(_model_line.hub, "state", lambda model_id: "cached")
    line = ModelLine("test", check=lambda *given: found(state="cached"))
    (step,) = line._chooser("sentiment")("someone/raw", _Request())
    assert "Downloaded" in step[0]


def test_whoever_waits_sees_a_line_for_each_model_on_its_way(monkeypatch):
    stages = {
        "a/one": Stage("downloading", 1_000_000, 4_000_000, 1e6, 3.0),
        "a/two": Stage("checking"),
        "a/three": Stage("ready"),
    }
    monkeypatch.setattr(_ui.model_stage, "of", lambda model_id: stages.get(model_id, Stage("none")))
    html = _ui.waiting("en", ["a/one", "a/two", "a/three", "a/four"])
    assert "a/one · Downloading 1.0 of 4.0 MB · 1.0 MB/s · 0:03 left" in html and "a/two · Asking the Hub" in html
    assert html.count("mc-model-state") == 2 and html.count("<progress") == 1 and "mc-wait" in html
    assert "Working" in _ui.waiting("en", ["a/three"]) and "Working" in _ui.waiting("en", [])
    assert "&lt;b&gt;" in _ui.waiting("en", ["<b>"]) or "<b>" not in _ui.waiting("en", ["<b>"])


def test_the_button_under_that_line_stops_every_model(monkeypatch):
    ended = []
    monkeypatch.setattr(_ui.model_stage, "stop", ended.append)
    _ui.halting(lambda ticked, typed: [*ticked, typed])(["a/one", "a/two"], "a/three")
    assert ended == ["a/one", "a/two", "a/three"]


def test_a_line_that_has_not_changed_is_not_sent_again(monkeypatch):
    monkeypatch.setattr(_ui, "POLL_S", 0.02)
    lines = iter(["one", "one", "two", *["two"] * 1_000])
    monkeypatch.setattr(_ui, "waiting", lambda lang, names: next(lines))
    done = threading.Event()
    shown = _ui.watched(lambda lang: done.wait(5) and "answer", names=lambda: [])(_Request())
    assert next(shown)[0] == "one" and next(shown)[0] == "two"
    threading.Timer(0.2, done.set).start()
    assert list(shown) == [["", "answer"]]
