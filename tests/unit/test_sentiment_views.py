"""The comparison as HTML, and the handlers behind the tab, with models that are functions."""

from __future__ import annotations

import itertools
import re
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest

from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import _jobs
from tabs import _sentiment_views as views
from tabs import sentiment as tab
from tests.unit.watching import Watching

HOSTILE = "<img src=x onerror=alert(1)> \"'&"
KO, EN = "pocket/sentiment-ko", "pocket/sentiment-en"
NUMBERS = itertools.count()


def answer(polarity="positive", label="POS", foreign=False):
    return {"label": label, "polarity": polarity, "score": 0.9, "scores": {label: 0.9}, "foreign": foreign}


def facts(**more):
    return {
        "ms": 4.0,
        "cached": False,
        "size_mb": 13,
        "languages": ["ko"],
        "trained_on": "nsmc",
        "says": ["negative", "positive"],
    } | more


def result(*rows, models=(KO, EN), **more):
    return {"rows": list(rows), "models": {name: facts(**more) for name in models}}


def row(text, *polarities, models=(KO, EN), **more):
    results = {name: answer(polarity) for name, polarity in zip(models, polarities, strict=True)}
    return {"text": text, "results": results, "agree": len(set(polarities)) == 1} | more


def plain(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_disagreements_stand_first_and_are_marked():
    html = views.comparison(result(row("same", "positive", "positive"), row("apart", "negative", "positive")), "en")
    assert html.index("apart") < html.index("same")
    assert html.count("≠") == 1


def test_polarity_is_a_glyph_and_a_word_never_colour_alone():
    text = plain(views.comparison(result(row("x", "negative", "neutral")), "ko"))
    assert "▼ 부정" in text and "● 중립" in text


def test_raw_label_and_score_stay_visible():
    assert "POS 0.900" in plain(views.comparison(result(row("x", "positive", "positive")), "en"))


def test_everything_a_visitor_or_a_model_wrote_is_escaped():
    hostile = row(HOSTILE, "positive", "positive", models=(HOSTILE, EN), gold="positive")
    hostile["results"][HOSTILE]["label"] = HOSTILE
    measured = result(
        hostile,
        models=(HOSTILE, EN),
        labelled=1,
        accuracy=1.0,
        macro_f1=1.0,
        confusion=[[0] * 3] * 3,
        unmapped=0,
        languages=[HOSTILE],
    )
    found = {HOSTILE: explained(HOSTILE)}
    html = views.comparison(measured, "en", pending=[HOSTILE + "2"], explained=0, explanation="")
    html += views.words(HOSTILE, found, [HOSTILE], 0, "gradient", "en")
    assert "<img" not in html
    assert "onerror" in plain(html)


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_the_summary_says_how_far_the_models_agree(lang):
    same, apart = row("a", "positive", "positive"), row("b", "negative", "positive")
    texts = [views.summary(result(*rows), lang) for rows in ((same,), (apart,), (same, apart, apart))]
    assert len(set(texts)) == 3
    assert "1" in texts[2] and "3" in texts[2]


def test_a_foreign_sentence_is_badged():
    foreign = row("좋아요", "positive", "positive")
    foreign["results"][EN]["foreign"] = True
    assert plain(views.comparison(result(foreign), "en")).count("not trained on Korean") == 1


def test_a_failed_model_is_one_sentence_and_no_column():
    one = row("x", "positive", models=(KO,))
    failed = {"error": {"key": "no_network", "params": {"model": "x/gone"}}}
    compared = {"rows": [one], "models": {KO: facts(), "x/gone": failed}}
    html = views.comparison(compared, "en")
    assert html.count("x/gone") == 1
    assert html.count("<td data-model") == 1


def test_a_model_still_at_work_has_a_waiting_column():
    html = views.comparison(result(row("x", "positive", models=(KO,)), models=(KO,)), "en", pending=[EN])
    assert html.count("mc-sc-waiting") == 2


def test_with_gold_the_answers_are_ticked_and_each_model_gets_its_marks():
    confusion = [[1, 0, 0], [1, 0, 0], [0, 0, 2]]
    marks = {"labelled": 4, "accuracy": 0.75, "macro_f1": 0.6, "confusion": confusion, "unmapped": 0}
    html = views.comparison(result(row("x", "positive", "negative", gold="positive"), **marks), "en")
    assert html.count("mc-sc-right") == html.count("mc-sc-wrong") == 1
    assert plain(html).count("right: 3 of 4") == 2
    assert "knows no neutral, so it is wrong on all 1 neutral" in plain(html)


def test_a_long_table_is_cut_but_an_explained_row_stays():
    rows = [row(f"s{i}", "positive", "positive") for i in range(150)]
    html = views.comparison(result(*rows), "en", explained=149, explanation="here")
    assert html.count('<th scope="row">') == views.MOST_ROWS + 1
    assert "s149" in html and "here" in html
    assert "49 more sentences" in plain(html)


def explained(text, weights=(0.5, -0.3), unit="probability"):
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    return {
        "label": "POS",
        "polarity": "positive",
        "score": 0.9,
        "unit": unit,
        "words": [
            {"word": text[a:b], "start": a, "end": b, "weight": weight}
            for (a, b), weight in zip(spans, (*weights, *[0.0] * 20), strict=False)
        ],
    }


def test_words_are_painted_for_and_against_with_their_weight():
    html = views.words("good film", {KO: explained("good film")}, [], 0, "leave_one_out", "en")
    assert html.count("mc-sc-for") == html.count("mc-sc-against") == 1
    assert "+50.0" in html and "-30.0" in html


def test_when_no_word_decides_it_is_said():
    html = views.words("good film", {KO: explained("good film", (0.01, 0.0))}, [], 0, "leave_one_out", "en")
    assert "No single word decides" in plain(html)
    assert "mc-sc-for" not in html


def test_a_model_that_cannot_explain_says_why():
    html = views.words("x", {KO: VisitorError("no_offsets", model=KO)}, [], 0, "gradient", "en")
    assert "cannot tell where a token stands" in plain(html)


REQUEST = SimpleNamespace(cookies={}, headers={"accept-language": "en"}, query_params={})


def steps(*runs, delay=0.0):
    def compare(texts, models, gold):
        for run in runs:
            time.sleep(delay)
            if isinstance(run, Exception):
                raise run
            yield run

    return compare


def done(*models):
    compared = result(row("x", *["positive"] * len(models), models=models), models=models)
    return Run(compared, ", ".join(models), timing=dict.fromkeys(models, 4.0))


def comparing(compare, *form, call=None):
    run = _jobs.following(partial(tab._prepare, compare), tab._shows(), 6)
    return Watching(run(REQUEST, call or f"run a-run-of-the-sentiment-tab-{next(NUMBERS)}", *form))


def unchanged(values):
    return all(value["__type__"] == "update" and "value" not in value for value in values)


def test_columns_are_shown_as_they_arrive():
    *outputs, _ = comparing(steps(done(KO), done(KO, EN), delay=0.2), "x", [KO, EN], "")
    first, second = [output for output in outputs if isinstance(output[1], str)]
    assert "mc-wait" in first[0] and "mc-sc-waiting" in first[1] and isinstance(first[2], tab._Shown)
    assert second[0] == "" and "mc-sc-waiting" not in second[1]
    assert all(unchanged(output[3:-1]) for output in outputs)


def test_a_slow_model_says_that_it_is_at_work():
    outputs = list(comparing(steps(done(KO), delay=1.0), "x", [KO], ""))
    assert "mc-wait" in outputs[1][0]
    assert "mc-sc" in outputs[-2][1]


def test_an_error_is_one_line_and_leaves_the_last_answer():
    *_, last, _ = comparing(steps(VisitorError("no_models")), "x", [], "")
    assert "choose at least one model" in last[0]
    assert unchanged(last[1:-1])


def test_typed_labels_and_typed_ids_reach_the_pipeline():
    asked = []

    def compare(texts, models, gold):
        asked.append((texts, models, gold))
        yield done(KO)

    list(comparing(compare, "good\tpos\nbad", [KO], f" x/y, {KO} ,"))
    assert asked == [(["good", "bad"], [KO, "x/y"], ["pos", ""])]


def test_stopping_does_not_wait_for_the_model_at_work_and_keeps_what_had_arrived():
    release, key = threading.Event(), "a-run-of-the-sentiment-tab-to-stop"

    def compare(texts, models, gold):
        yield done(KO)
        release.wait(10)
        yield done(KO, EN)

    run = comparing(compare, "x", [KO, EN], "", call=f"run {key}")
    while not isinstance(next(run)[1], str):
        pass
    start = time.perf_counter()
    _jobs.stop(key)
    last = list(run)[-2]
    assert time.perf_counter() - start < 1
    assert last[0] == "" and "mc-sc-waiting" not in last[1] and KO in last[1]
    release.set()


def test_a_page_that_comes_back_finds_the_run_and_its_form():
    release, begun, key = threading.Event(), [], "a-run-of-the-sentiment-tab-to-find"

    def compare(texts, models, gold):
        begun.append(texts)
        yield done(KO)
        release.wait(10)
        yield done(KO, EN)

    form = ("good\tpos", [KO, EN], "")
    run = comparing(compare, *form, call=f"run {key}")
    while not isinstance(next(run)[1], str):
        pass
    run.close()
    back = comparing(compare, "", [], "", call=f"load {key}")
    first, second = next(back), next(back)
    assert "mc-wait" in first[0] and first[3:6] == list(form)
    assert "mc-sc-waiting" in second[1] and unchanged(second[3:-1])
    release.set()
    assert "mc-sc-waiting" not in list(back)[-2][1] and begun == [["good"]]


def test_why_opens_under_the_row_and_a_failing_model_leaves_the_others():
    def explain(text, model, method):
        if model == KO:
            raise VisitorError("no_offsets", model=model)
        return Run(explained(text), model)

    shown = tab._Shown(done(KO, EN), {"texts": ["x"]})
    event = SimpleNamespace(row=0, method="gradient")
    outputs = list(tab._explaining(explain)(REQUEST, shown, event))
    assert outputs[-1][0] == ""
    assert "mc-sc-opened" in outputs[-1][1] and "cannot tell where" in outputs[-1][1]
    closed = list(tab._explaining(explain)(REQUEST, shown, SimpleNamespace(row=-1)))
    assert "mc-sc-opened" not in closed[-1][1]


def test_a_click_that_is_no_question_changes_nothing():
    (only,) = tab._explaining(lambda *_: None)(REQUEST, None, SimpleNamespace())
    assert all(update == {"__type__": "update"} for update in only)


def test_an_uploaded_table_becomes_lines_the_visitor_sees(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('문장,정답\n"좋아요,\n정말",긍정\n별로,\n', "utf-8")
    assert tab._read_file("ko", str(path)) == "좋아요, 정말\t긍정\n별로"


def test_a_link_fills_text_and_models():
    request = SimpleNamespace(query_params={"tab": "sentiment", "text": "good", "model": f"{KO},x/y"})
    assert tab._from_link(request) == ["good", [KO], "x/y"]


def test_the_examples_can_be_read_and_show_what_they_promise():
    for lang, _, values in tab._chips():
        texts, gold = tab.table_files.parse_lines(values["mc-sentiment-text"])
        assert len(texts) >= 6
        assert all(tab.sentiment.inputs.is_korean(text) == (lang == "ko") for text in texts)
        assert gold is None or set(tab.sentiment.read_gold(gold)) == {"negative", "neutral", "positive"}


@pytest.mark.parametrize(("lang", "word"), [("en", "8 bits"), ("ko", "8비트")])
def test_a_table_computed_in_8_bits_says_so(lang, word):
    rows = row("good", "positive", "positive")
    assert word not in plain(views.comparison(result(rows), lang))
    assert word in plain(views.comparison(result(rows, rounded=True), lang))
