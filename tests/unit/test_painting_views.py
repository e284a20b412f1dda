"""The picture tab without a browser: its HTML escapes what anyone wrote, its form takes only what fits, Stop stops."""

import html
import itertools
import json
import re
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest
from PIL import Image

from pipelines import image_generation, painters, picture_files
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import _jobs, _painting_form, _painting_runs, _painting_views
from tabs import image_generation as tab
from tests.unit.watching import Watching

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{value}} \"'"
RED = Image.new("RGB", (64, 64), "red")
RESULT = {"prompt": HOSTILE, "model": "a/<b>", "seed": 7, "steps": 4, "guidance": 2.5, "width": 64, "height": 64}
RESULT |= {"count": 1, "negative_prompt": HOSTILE, "seconds": 1.25}
SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"


def file(**more):
    return picture_files.png(RED, RESULT | more)


def tags(shown):
    return set(re.findall(r"<([a-z0-9]+)", shown))


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_what_was_written_stays_text(lang):
    step = image_generation.Step(1, 4, RED, 1.0, 3.0)
    shown = _painting_views.pictures([file()], [RED], RESULT, 512, lang)
    shown += _painting_views.comparison([file(), file()], [RESULT, RESULT | {"prompt": HOSTILE + "!"}], 512, lang)
    shown += _painting_views.progress(step, 512, lang) + _painting_views.taught("<b>", "laion", lang)
    shown += _painting_views.turn(2, 3.0, lang) + _painting_views.wait_line(0, None, lang)
    assert "<img src=x" not in shown and shown.count("<b>") == 1  # the step's number
    assert tags(shown) <= set("div figure figcaption img button label input span p ol li small mark br b".split())
    assert all(url.startswith("data:image/") for url in re.findall(r'src="([^"]*)"', shown))


def test_each_picture_carries_its_own_parameters():
    shown = _painting_views.pictures([file(), file()], [RED] * 4, RESULT | {"count": 2}, 512, "en")
    made = [json.loads(html.unescape(text)) for text in re.findall(r'data-made="([^"]*)"', shown)]
    assert [each["seed"] for each in made] == [7, 8] and {each["count"] for each in made} == {1}
    assert re.findall(r"<small>(\d+)</small>", shown) == ["1", "2", "3", "4"]


def test_the_bar_tells_step_and_seconds():
    step = image_generation.Step(3, 12, RED, 3.0, 9.0)
    shown = _painting_views.progress(step, 512, "en")
    assert 'aria-valuenow="3"' in shown and 'aria-valuemax="12"' in shown and "width:25.0%" in shown
    assert "Step 3 of 12" in shown and "9 s left" in shown
    second = _painting_views.progress(step, 512, "en", (2, 2))
    assert 'aria-valuenow="15"' in second and 'aria-valuemax="24"' in second


def test_large_previews_are_made_small():
    large = Image.effect_noise((1024, 1024), 80)
    assert len(_painting_views.data_url(large, 96)) < 20_000
    assert _painting_views.data_url(RED, 96).startswith("data:image/png")


def test_the_words_that_differ_are_marked():
    before, after = _painting_views._changed("a red apple", "a green apple")
    assert (before, after) == ("a <mark>red</mark> apple", "a <mark>green</mark> apple")


def test_a_model_brings_its_habits():
    size, steps, guidance, _, _, negative = _painting_form.of_model(SD)
    habits = painters.habits(SD)
    assert size["visible"] and size["value"] == "{}x{}".format(*habits.sizes[0]) and negative["visible"]
    assert (steps["value"], steps["maximum"]) == (habits.steps, habits.most_steps)
    assert guidance["value"] == habits.guidance
    plain = _painting_form.of_model(None)
    assert not plain[0]["visible"] and not plain[5]["visible"]


@pytest.mark.parametrize("model", ["<b>/x y", "pocket/../../secrets", "../x", "a" * 300, " "])
def test_what_is_no_model_leaves_the_default_habits(model):
    assert _painting_form.of_model(model) == _painting_form.of_model(None)


@pytest.mark.parametrize("model", ["<b>/x y", "pocket/../../secrets"])
def test_what_is_no_model_is_said_beside_the_button(model):
    lines = list(one(Painter())(FORM[0], model, *FORM[2:]))
    assert "is not a model id" in lines[-2][0] and "<b>" not in lines[-2][0]


def test_a_picture_fills_the_form():
    error, prompt, model, size, steps, guidance, seed, count, negative = _painting_form.filled(
        RESULT | {"model": SD, "width": 640, "height": 384}
    )
    assert (error, prompt, model, size["value"]) == ("", HOSTILE, SD, "640x384")
    assert ("640 × 384", "640x384") in size["choices"]
    assert (steps["value"], guidance["value"], seed["value"], count["value"]) == (4, 2.5, 7, 1)
    assert negative["value"] == HOSTILE and negative["visible"]


@pytest.mark.parametrize("bad", [True, float("nan"), float("inf"), "7", [7], {"a": 1}, None])
def test_values_of_a_wrong_type_stay_out(bad):
    untouched = _painting_form.filled({})
    names = ("steps", "guidance", "seed", "count", "width", "height")
    assert _painting_form.filled(dict.fromkeys(names, bad)) == untouched


@pytest.mark.parametrize("details", ["", "[]", "{", "[" * 9_000, '{"prompt": 3}', "null"])
def test_a_press_with_nonsense_changes_nothing(details):
    assert tab._from_details(SimpleNamespace(details=details)) == _painting_form.filled({})


def test_a_link_fills_prompt_model_and_seed():
    query = {"tab": "image_generation", "prompt": HOSTILE, "model": SD, "seed": "12"}
    filled = tab._from_link(SimpleNamespace(query_params=query))
    assert filled[1:3] == [HOSTILE, SD] and filled[6]["value"] == 12
    assert tab._from_link(SimpleNamespace(query_params=query | {"seed": "-1; drop"}))[6] == {"__type__": "update"}
    other = tab._from_link(SimpleNamespace(query_params=query | {"tab": "clip"}))
    assert all(each == {"__type__": "update"} for each in other)


def test_a_png_is_read_back_and_any_other_file_is_a_sentence(tmp_path):
    request = SimpleNamespace(cookies={}, headers={"accept-language": "en"})
    made, plain = tmp_path / "made.png", tmp_path / "plain.png"
    made.write_bytes(file(model=painters.POCKET))
    RED.save(plain)
    assert tab._read_back(request, str(made))[:4] == [None, "", HOSTILE, painters.POCKET]
    for path in (plain, tmp_path / "none.png", __file__):
        cleared, error, *form = tab._read_back(request, str(path))
        assert cleared is None and 'role="alert"' in error and form == [{"__type__": "update"}] * _painting_form.FIELDS


def test_words_for_another_model_are_not_meant():
    values = ("cat", "", "64x64", 4, 1.0, None, 1, "dogs")
    assert _painting_form.arguments(values)["negative_prompt"] == ""
    assert _painting_form.arguments(("cat", SD, *values[2:]))["negative_prompt"] == "dogs"
    assert "width" not in _painting_form.arguments(("cat", "", "<b>", *values[3:]))


class Painter:
    """Paints nothing, and remembers what it was asked for."""

    def __init__(self, hold=False):
        self.asked, self.hold = [], hold

    def __call__(self, asked, stop):
        self.asked.append(asked)
        yield image_generation.Waiting(0, None)
        yield image_generation.Waiting(1, 2.0)
        yield image_generation.Step(1, 1, RED, 1.0, 0.0)
        if self.hold:
            stop.wait(10)
        if stop.is_set():
            raise VisitorError("stopped")
        result = image_generation.details(asked, 1.0)
        yield image_generation.Painted(Run(result, asked.model, timing={"denoise": 3.0}), [RED] * asked.count, [RED])


FORM = ("red apple", "", "64x64", 4, 1.0, 5, 2, "")
NUMBERS = itertools.count()
REQUEST = SimpleNamespace(cookies={}, headers={"accept-language": "en"})


def fresh():
    return f"a-run-of-the-picture-tab-{next(NUMBERS)}"


def one(painter, elsewhere=None, where="here", token=""):
    """run(*form, call=…): what the page is told, step by step, after the Run button was pressed."""
    prepare = partial(_painting_runs.one, painter, elsewhere, image_generation.wish)
    run = _jobs.following(prepare, _painting_runs.shows(), 12)
    return lambda *form, call=None: Watching(run(REQUEST, call or f"run {fresh()}", *form, where, token, "together"))


def two(painter, request=REQUEST, elsewhere=None, where="here", token=""):
    prepare = partial(_painting_runs.two, painter, elsewhere, image_generation.wish)
    run = _jobs.following(prepare, _painting_runs.shows(second=True), 13)
    return lambda *form, call=None: Watching(run(request, call or f"run {fresh()}", *form, where, token, "together"))


def at_work(run):
    while "progressbar" not in str(next(run)[1]):
        pass
    return run


def unchanged(value):
    return isinstance(value, dict) and "value" not in value


def test_a_provider_paints_when_it_is_asked_to_with_the_visitors_token_alone():
    asked = []

    def elsewhere(wish, token, provider, stop):
        asked.append((token, provider))
        yield from Painter()(wish, stop)

    def here(wish, stop):
        raise AssertionError("painted here")

    lines = list(one(here, elsewhere, "elsewhere", " hf_secret ")(*FORM))
    assert asked == [("hf_secret", "together")] and "hf_secret" not in str(lines)
    list(one(here, elsewhere, "elsewhere", "")(*FORM))
    assert asked[1] == (None, "together")
    lines = list(two(here, REQUEST, elsewhere, "elsewhere", "hf_secret")(*FORM, "blue apple", {}))
    assert asked[2:] == [("hf_secret", "together")] * 2 and "hf_secret" not in str(lines)
    assert not any("hf_secret" in str(job.about) + str(job.latest) for job in _jobs.JOBS._jobs.values())


def test_a_painter_that_ends_does_not_stop_the_next_picture():
    def closing(asked, stop):
        try:
            yield from Painter()(asked, stop)
        finally:
            stop.set()

    *_, (error, _, answer, *_), _ = two(closing)(*FORM, "blue apple", {})
    assert error == "" and "mc-paint-compare" in answer


def test_a_stop_ends_each_picture_of_a_run():
    stop = threading.Event()
    first, second = _painting_runs._Part(stop), _painting_runs._Part(stop)
    first.set()
    assert first.is_set() and not second.is_set() and not second.wait(0.01)
    stop.set()
    assert second.is_set() and second.wait(1)


def test_a_run_ends_with_pictures_and_the_mark_that_it_is_over():
    key = fresh()
    *lines, (error, live, answer, last, *form, mark), end = one(Painter())(*FORM, call=f"run {key}")
    assert (error, live) == ("", "") and answer.count("data-made") == 2 and last["seed"] == 5
    assert "mc-wait" in lines[0][0] and all(map(unchanged, form)) and len(form) == _painting_form.FIELDS
    assert all(map(unchanged, end[:-1])) and end[-1] == f'<i data-job="{key}" data-is="over"></i>'
    first, begun, *others = [*(line[-1] for line in lines), mark]
    assert unchanged(first) and 'data-is="begun"' in begun and all(map(unchanged, others))


def test_what_happens_on_the_way_is_shown():
    wait, step = image_generation.Waiting(1, 2.0), image_generation.Step(1, 1, RED, 1.0, 0.0)
    shows, (wait, step) = _painting_runs.shows(), [_painting_runs.Moment(each, 512, (1, 1)) for each in (wait, step)]
    assert "Ahead of you: 1" in shows.event(wait, wait, "en")[0]
    assert "progressbar" in shows.event(step, wait, "en")[1] and all(map(unchanged, shows.event(step, step, "en")))
    assert "mc-wait" in shows.event(None, None, "en")[0]
    assert _painting_runs.weigh(step) == 3 * 64 * 64 and _painting_runs.weigh(wait) == _painting_runs.weigh(None) == 0


def test_both_pictures_of_a_comparison_have_the_same_seed():
    painter = Painter()
    last = {"prompt": "red apple", "seed": 77}
    values = (*FORM[:5], None, *FORM[6:], "green apple", last)
    answer = list(two(painter)(*values))[-2][2]
    assert [(each.prompt, each.seed, each.count) for each in painter.asked] == [
        ("red apple", 77, 1),
        ("green apple", 77, 1),
    ]
    assert 'type="range"' in answer and answer.count("mc-paint-picture") == 2


@pytest.mark.parametrize("prompt", ["", "  ", None])
def test_an_empty_prompt_is_said_beside_the_button_and_begins_nothing(prompt):
    key = fresh()
    lines = list(one(Painter())(prompt, *FORM[1:], call=f"run {key}"))
    assert "what the picture should show" in lines[-2][0] and _jobs.JOBS.find(key) is None


def test_stop_ends_the_runs_that_are_named_only():
    keys = [fresh(), fresh()]
    runs = [at_work(one(Painter(hold=True))(*FORM, call=f"run {key}")) for key in keys]
    start = time.monotonic()
    _jobs.stop(f"{keys[0]} unknown")
    assert "Stopped" in list(runs[0])[-2][0] and time.monotonic() - start < 1
    assert unchanged(next(runs[1])[0])
    _jobs.stop(keys[1])
    assert "Stopped" in list(runs[1])[-2][0]


def test_a_page_that_closes_leaves_its_run_and_one_that_comes_back_finds_it_and_its_form():
    painter, key = Painter(hold=True), fresh()
    at_work(one(painter)(*FORM, call=f"run {key}")).close()
    back = one(painter)("", "", "", 1, 1.0, None, 1, "", call=f"load {key}")
    error, live, _, _, prompt, _, _, steps, *_ = next(back)
    assert "mc-wait" in error and prompt == "red apple" and steps["value"] == 4
    assert "progressbar" in next(back)[1]
    again = one(painter)(*FORM, call=f"run {key}")  # the page was still there, its connection was not
    assert all(map(unchanged, next(again)[4:])) and "progressbar" in next(again)[1]
    _jobs.stop(key)
    assert "Stopped" in list(back)[-2][0] and "Stopped" in list(again)[-2][0] and len(painter.asked) == 1


def test_a_finished_run_is_shown_to_who_was_away_in_the_language_of_the_page():
    painter, key = Painter(), fresh()
    list(two(painter)(*FORM, "green apple", {}, call=f"run {key}"))
    korean = SimpleNamespace(cookies={}, headers={"accept-language": "ko"})
    first, *_, last, _ = two(painter, korean)(*[None] * 10, call=f"load {key}")
    assert first[12] == "green apple" and "단계" in last[2] and len(painter.asked) == 2


def test_a_page_that_was_loaded_anew_too_early_begins_its_run_once():
    painter, key = Painter(hold=True), fresh()
    for _ in range(2):
        run = one(painter)(*FORM, call=f"again {key}")
        assert unchanged(next(run)[4]) and next(run)[4] == "red apple"
        at_work(run).close()
    assert len(painter.asked) == 1
    _jobs.stop(key)


@pytest.mark.parametrize("call", ["load nobody-ever-heard-of-it", "load ", "load <img src=x onerror=alert(1)>"])
def test_an_unknown_run_tells_nothing_but_that_it_is_over(call):
    ((*values, mark),) = one(Painter())(*FORM, call=call)
    assert all(map(unchanged, values)) and "<img" not in mark


@pytest.mark.parametrize("call", ["", None, "run <img src=x onerror=alert(1)>", "<b>"])
def test_a_call_without_an_id_is_answered_and_cannot_be_found(call):
    lines = list(one(Painter())(*FORM, call=call or " "))
    assert "data-made" in lines[-2][2] and lines[-1][-1] == ""
