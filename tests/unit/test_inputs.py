"""Validators: whatever arrives, a clean value or one named error."""

import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import inputs, text_tasks
from pipelines.errors import VisitorError

ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.lists(st.integers())


@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_text_comes_back_encodable_and_as_long(value):
    try:
        clean = inputs.text(value)
    except VisitorError as error:
        assert error.key == "empty_text" and not value.strip()
        return
    assert len(clean) == len(value)
    clean.encode("utf-8")


@given(ANYTHING)
def test_what_is_not_text_is_refused(value):
    with pytest.raises(VisitorError):
        inputs.text(value)


@given(st.recursive(ANYTHING | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_texts_never_fail_otherwise(value):
    try:
        assert all(isinstance(item, str) and item.strip() for item in inputs.texts(value))
    except VisitorError:
        pass


@pytest.mark.parametrize(
    ("value", "key"), [("", "empty_text"), (" \n", "empty_text"), (None, "empty_text"), ("x" * 20_001, "text_too_long")]
)
def test_text_errors_are_named(value, key):
    with pytest.raises(VisitorError, match=key):
        inputs.text(value)


def test_lone_surrogates_are_replaced_in_place():
    assert inputs.text("a\ud800b") == "a\ufffdb"


def test_lines_drop_blank_ones():
    assert inputs.lines("하나\n\n  \n둘") == ["하나", "둘"]


@pytest.mark.parametrize("value", ["기쁨, 슬픔,기쁨", ["기쁨", " 슬픔 ", "기쁨", "", None], "기쁨\n슬픔"])
def test_labels_are_parted_trimmed_and_unique(value):
    assert inputs.labels(value) == ["기쁨", "슬픔"]


@pytest.mark.parametrize("value", ["", " , ", [], None, 3])
def test_no_labels_is_an_error(value):
    with pytest.raises(VisitorError, match="no_labels"):
        inputs.labels(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, "3", None, True, -1, 11, 2.5])
def test_bad_numbers_are_refused(value):
    with pytest.raises(VisitorError, match="bad_number"):
        inputs.number(value, "top_k", 0, 10, whole=True)


@pytest.mark.parametrize(
    ("value", "expected"), [("안녕하세요 world", True), ("hello", False), ("ㅋㅋㅋ", True), ("123", False)]
)
def test_korean_is_told_from_english(value, expected):
    assert inputs.is_korean(value) is expected


@pytest.mark.parametrize(
    "task",
    [
        partial(text_tasks.sentiment, "a"),
        partial(text_tasks.zero_shot, "a", ["b"]),
        partial(text_tasks.entities, "a"),
        partial(text_tasks.answer, "a", "b"),
        partial(text_tasks.fill_mask, "a [MASK]"),
        partial(text_tasks.generate, "a"),
        partial(text_tasks.summarize, "a"),
        partial(text_tasks.translate, "a"),
        partial(text_tasks.similarity, ["a", "b"]),
        partial(text_tasks.keywords, "a"),
        partial(text_tasks.entail, "a", "b"),
    ],
    ids=lambda task: task.func.__name__,
)
@given(model=ANYTHING.filter(lambda value: value is not None) | st.dictionaries(st.text(), st.integers()))
def test_what_is_no_model_id_is_refused_by_name(task, model):
    with pytest.raises(VisitorError, match="bad_model_id"):
        task(model=model)
