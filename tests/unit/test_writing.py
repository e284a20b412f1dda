"""The text tab's writing: what a form asks for, versions, going on from an alternative, Stop; no markup."""

import html
import json
import re
import threading
import time
from types import SimpleNamespace

import pytest

from pipelines.errors import VisitorError
from pipelines.run import Run
from pipelines.show_code import show_code
from tabs import _writing
from tabs import _writing_views as views
from tabs._forms import FORMS

FORM = {field.name: field.default for field in FORMS["generate"]} | {"prompt": "Once"}
NASTY = "<img src=x onerror=alert(1)>\"'&\n"


def entry(word, number):
    others = [{"token": f" {word}{n}", "id": 10 * number + n, "probability": 0.5 - n / 10} for n in range(5)]
    return {**others[0], "alternatives": others}


def stream(prompt, max_new_tokens=50, begun=(), stop=lambda: False, model=None, **settings):
    tokens = list(begun)
    yield Run({"text": prompt, "tokens": list(tokens)}, "tiny/x")
    for _ in range(max_new_tokens):
        if stop():
            return
        tokens.append(entry("w", len(tokens) + 1))
        yield Run({"text": prompt, "tokens": list(tokens)}, "tiny/x")


def last_of(handler, event=None, values=(), session="s"):
    request = SimpleNamespace(session_hash=session, cookies={"classroom_lang": "en"}, headers={})
    return list(handler(request, SimpleNamespace(**(event or {})), *values))[-1]


def job(**more):
    return _writing.Job({"prompt": "Once", "max_new_tokens": 4, "temperature": 0.8, "seed": 7} | more, None, {}, ())


def first(**more):
    """(answer, last, versions) of a first text."""
    error, answer, last, _, versions = last_of(_writing._running(stream, lambda event: job(**more)))
    assert error == ""
    return answer, last, versions


def numbers(answer):
    return json.loads(html.unescape(re.search('data-tokens="([^"]*)"', answer)[1]))


class TestForm:
    def test_only_what_has_an_effect_is_asked_for(self):
        drawn = _writing.asked(FORM)
        assert set(drawn) == {"prompt", "max_new_tokens", "temperature", "top_k", "top_p", "seed"}
        greedy = _writing.asked(FORM | {"method": "greedy", "seed": "5"})
        assert greedy == {"prompt": "Once", "max_new_tokens": 40, "temperature": 0}
        beam = _writing.asked(FORM | {"method": "beam", "repetition_penalty": 1.2})
        assert beam == {"prompt": "Once", "max_new_tokens": 40, "num_beams": 3, "repetition_penalty": 1.2}

    def test_a_seed_is_always_there_to_be_shown(self):
        seeds = {_writing.asked(FORM)["seed"] for _ in range(20)}
        assert len(seeds) > 10 and all(0 <= seed < _writing.SEEDS for seed in seeds)
        assert _writing.asked(FORM | {"seed": " 0 "})["seed"] == 0

    @pytest.mark.parametrize("seed", ["x", "-1", "1.5", "9" * 30, "²"])
    def test_a_seed_that_is_none_is_refused_by_its_name(self, seed):
        with pytest.raises(VisitorError) as caught:
            show_code("generate", _writing.asked(FORM | {"seed": seed}) | {"model": "a/b"})
        assert caught.value.params["name"] == "seed"

    @pytest.mark.parametrize("method", [None, "", "random", 3])
    def test_a_method_that_is_none_is_refused(self, method):
        with pytest.raises(VisitorError, match="bad_choice"):
            _writing.asked(FORM | {"method": method})

    def test_the_next_token_alone(self):
        assert _writing.asked(FORM, only_next=True)["max_new_tokens"] == 1

    @pytest.mark.parametrize("method", ["sample", "greedy", "beam"])
    def test_what_is_asked_for_is_what_the_pipeline_and_the_code_take(self, method):
        code = show_code("generate", _writing.asked(FORM | {"method": method}) | {"model": "a/b"})["python"]
        assert ("manual_seed" in code) == (method == "sample") and ("num_beams=3" in code) == (method == "beam")


class TestVersions:
    def test_a_text_has_its_seed_its_code_and_all_its_numbers(self):
        answer, last, versions = first()
        assert "seed 7" in answer and 'data-seed="7"' in answer and "torch.manual_seed(7)" in answer
        assert len(numbers(answer)) == 4 and 'data-live="0"' in answer
        assert last["generate"] == ("generate", job().arguments, "tiny/x")
        assert [version.number for version in versions] == [1] and "mc-versions" not in answer

    def test_an_alternative_is_put_in_and_written_on_from(self):
        _, last, versions = first()
        pressed = {"version": 1, "place": 2, "token": 33}
        error, answer, last, _, versions = last_of(
            _writing._running(stream, _writing._what_if), pressed, (last, versions)
        )
        new, old = versions
        tokens = new.run.result["tokens"]
        assert error == "" and tokens[:2] == old.run.result["tokens"][:2]
        assert (tokens[2]["id"], tokens[2]["token"]) == (33, " w3") and len(tokens) == 3 + 4
        assert new.swapped == (2,) and new.change == (" w0", " w3") and new.arguments["seed"] == 7
        assert "kept = torch.tensor([[10, 20, 33]])" in answer and 'data-at="2"' in answer
        assert "begun" not in last["generate"][1]
        assert re.findall('data-version="(.)" aria-current="(true|false)"', answer) == [("2", "true"), ("1", "false")]

    def test_swaps_before_the_new_one_stay_marked_and_later_ones_are_gone(self):
        _, last, versions = first()
        for place, token in ((3, 41), (1, 22), (2, 31)):
            pressed = {"version": versions[0].number, "place": place, "token": token}
            *_, versions = last_of(_writing._running(stream, _writing._what_if), pressed, (last, versions))
        assert versions[0].swapped == (1, 2)

    def test_an_earlier_version_is_shown_again(self):
        answer, last, versions = first()
        pressed = {"version": 1, "place": 0, "token": 12}
        *_, versions = last_of(_writing._running(stream, _writing._what_if), pressed, (last, versions))
        request = SimpleNamespace(cookies={"classroom_lang": "en"}, headers={})
        error, shown, _, stages = _writing._show(request, SimpleNamespace(version=1), {}, versions)
        assert (error, stages) == ("", "") and numbers(shown) == numbers(answer)
        assert re.findall('data-version="(.)" aria-current="true"', shown) == ["1"]

    @pytest.mark.parametrize(
        "pressed",
        [{}, {"version": 9, "place": 0, "token": 12}, {"version": 1, "place": 99, "token": 12}, {"version": 1}],
    )
    def test_a_press_on_what_is_not_there_is_answered_in_words(self, pressed):
        _, last, versions = first()
        error, *rest = last_of(_writing._running(stream, _writing._what_if), pressed, (last, versions))
        assert "not there any more" in error and all(each == rest[0] for each in rest)

    def test_the_list_does_not_grow_without_end(self):
        versions = ()
        for _ in range(_writing.MOST_VERSIONS + 3):
            prepare = lambda event, kept=versions: _writing.Job(job().arguments, None, {}, kept)  # noqa: E731
            *_, versions = last_of(_writing._running(stream, prepare))
        assert len(versions) == _writing.MOST_VERSIONS and versions[0].number == _writing.MOST_VERSIONS + 3


class TestPace:
    def slowly(self, **settings):
        for run in stream(**settings):
            time.sleep(0.02)
            yield run

    def run(self, session="s"):
        request = SimpleNamespace(session_hash=session, cookies={"classroom_lang": "en"}, headers={})
        return _writing._running(self.slowly, lambda event: job(max_new_tokens=200))(request, SimpleNamespace())

    def test_stop_keeps_what_stands_there_and_lets_it_be_pressed(self):
        shown = []
        for number, update in enumerate(self.run()):
            shown.append(update)
            if number == 3:
                _writing._stop(SimpleNamespace(session_hash="other"))
                _writing._stop(SimpleNamespace(session_hash="s"))
        error, answer, _, _, versions = shown[-1]
        assert error == "" and 'data-live="0"' in answer
        assert 0 < len(versions[0].run.result["tokens"]) < 100
        assert not _writing._under_way

    def test_a_new_text_takes_the_place_of_the_one_under_way(self):
        old = self.run()
        assert [next(old) for _ in range(3)]
        new = self.run()
        next(new)
        assert list(old) == []
        assert 'data-live="1"' in next(each for each in new if each[0] == "")[1]
        new.close()

    def test_nothing_is_written_for_a_reader_who_has_gone(self):
        reading = self.run()
        assert [next(reading) for _ in range(3)]
        reading.close()
        for _ in range(100):
            if not [each for each in threading.enumerate() if each.name == "writing"]:
                return
            time.sleep(0.05)
        raise AssertionError("it writes on")

    def test_what_fails_on_the_way_keeps_the_text(self):
        def broken(**settings):
            yield from list(stream(**settings))[:3]
            raise VisitorError("out_of_memory", model="x")

        error, answer, *_ = last_of(_writing._running(broken, lambda event: job()))
        assert 'role="alert"' in error and 'data-live="0"' in answer and len(numbers(answer)) == 2

    def test_what_fails_at_once_leaves_the_old_answer(self):
        def broken(**settings):
            raise VisitorError("empty_prompt")
            yield

        error, *rest = last_of(_writing._running(broken, lambda event: job()))
        assert 'role="alert"' in error and all(each == rest[0] for each in rest)


class TestMarkup:
    def nasty(self, **more):
        token = {**entry("x", 1), "token": NASTY, "alternatives": [{"token": NASTY, "id": 1, "probability": 1.0}]}
        run = Run({"text": NASTY, "tokens": [token, token]}, "tiny/x")
        return views.Version(1, {"prompt": NASTY, "seed": NASTY, "temperature": 0.8}, run, (1,), (NASTY, NASTY), **more)

    @pytest.mark.parametrize("live", [True, False])
    def test_nothing_that_was_written_becomes_markup(self, live):
        version = self.nasty()
        shown = views.generate(version.run.result, version.arguments, "ko", version, live)
        shown += views.versions([version, version], 1, "ko", live)
        assert "<img" not in shown
        tags = re.sub(r'"[^"]*"', '""', shown)
        assert not re.findall(r"<[^>]*onerror", tags) and shown.count("&lt;img") >= 5

    def test_beams_are_escaped_too(self):
        shown = views.generate({"text": "", "tokens": [], "beams": [NASTY]}, {"prompt": "a", "num_beams": 2}, "en")
        assert "<img" not in shown and "&lt;img" in shown

    def test_while_it_is_written_only_the_newest_numbers_travel(self):
        tokens = [entry("w", number) for number in range(100)]
        result, version = {"text": "a", "tokens": tokens}, None
        live, done = (views.generate(result, {"prompt": "a"}, "en", version, each) for each in (True, False))
        assert len(numbers(live)) == 1 and len(numbers(done)) == 100 and len(live) < len(done) / 2
