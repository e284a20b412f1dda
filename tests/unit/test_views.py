"""The text tab's HTML: what a visitor or a model wrote is shown, never run; numbers are where they belong."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.catalog import TASKS
from pipelines.run import Run
from tabs import _ui, _views
from tabs._forms import FORMS, examples

NASTY = "<img src=x onerror=alert(1)>\"'&"
RESULTS = {
    "sentiment": [{"text": NASTY, "label": NASTY, "polarity": "positive", "score": 0.9, "scores": {NASTY: 0.9}}],
    "zero_shot": {"labels": [NASTY], "scores": [1.0]},
    "entities": [{"entity": NASTY, "text": "x", "start": 0, "end": 3, "score": 0.5}],
    "answer": {"answer": NASTY, "start": 0, "end": 3, "score": 0.5},
    "fill_mask": [{"token": NASTY, "score": 0.5, "sentence": NASTY}],
    "generate": {"text": NASTY, "tokens": [{"token": NASTY, "alternatives": [{"token": NASTY, "probability": 1.0}]}]},
    "summarize": {"summary": NASTY, "method": "lexrank"},
    "translate": {"translation": NASTY},
    "similarity": {"embeddings_shape": [1, 3], "matrix": [[1.0]]},
    "keywords": [{"keyword": NASTY, "score": 0.5}],
    "entail": {"label": NASTY, "scores": {NASTY: 1.0}},
}
ARGUMENTS = {"text": NASTY, "texts": [NASTY], "context": NASTY, "prompt": NASTY}


@pytest.mark.parametrize("task", TASKS)
def test_nothing_that_was_written_becomes_markup(task):
    shown = _views.VIEWS[task](RESULTS[task], ARGUMENTS, "ko")
    assert "<img" not in shown
    assert html.escape(NASTY, quote=True) in shown or "&lt;i" in shown


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6).map(sorted))
def test_marked_text_loses_nothing(text, spans):
    shown = _views.marked(text, [(start, min(end, len(text)), "x", "") for start, end in spans if start <= len(text)])
    assert html.unescape(re.sub("<[^>]*>", "", shown)) == text


def test_scores_are_percentages_with_one_decimal():
    assert _views.percent(0.97345) == "97.3 %"


def test_a_kind_of_name_is_said_in_plain_words_beside_the_models_own():
    assert [_views.kind_of_name("LC", lang) for lang in ("ko", "en")] == ["장소 · LC", "place · LC"]
    assert [_views.kind_of_name("person", lang) for lang in ("ko", "en")] == ["사람 · person", "person"]
    assert _views.kind_of_name("XYZ", "ko") == "XYZ"


@pytest.mark.parametrize("value", ["negative", "neutral", "positive"])
def test_polarity_is_never_colour_alone(value):
    shown = _views.polarity(value, "ko")
    assert re.search("[▼●▲]", shown) and re.search("[가-힣]", shown)


def test_every_task_has_a_form_a_view_and_examples_in_both_languages():
    assert set(FORMS) == set(TASKS) == set(_views.VIEWS)
    for task in TASKS:
        assert {example["lang"] for example in examples()[task]} == {"ko", "en"}
        names = {field.name for field in FORMS[task]}
        assert all(set(example["values"]) <= names for example in examples()[task])


@pytest.mark.parametrize(
    ("device", "shown"),
    [("cpu", "CPU · tiny"), ("cpu · ONNX Runtime int8", "CPU · ONNX Runtime int8 · tiny"), ("cuda:0", "GPU · tiny")],
)
def test_the_timing_line_names_what_computed(device, shown):
    run = Run([], "tiny", timing={"model": 1.0}, device=device)
    assert f"1.0 ms · {shown}</p>" in _ui.timing_line(run, "en")


@pytest.mark.parametrize(("lang", "words"), [("en", "contradicts · CONTRADICTION"), ("ko", "어긋나요 · CONTRADICTION")])
def test_how_a_pair_stands_is_said_in_plain_words_beside_the_models_own(lang, words):
    shown = _views.entail({"label": "CONTRADICTION", "scores": {"CONTRADICTION": 0.9, "LABEL_1": 0.1}}, {}, lang)
    assert shown.count(words) == 2 and "LABEL_1" in shown
