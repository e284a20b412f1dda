"""Labels and probabilities: the model's own arithmetic, one scale for sentiment, honest names for what scores are."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import text_tasks
from pipelines.catalog import ModelCard
from pipelines.errors import VisitorError
from pipelines.polarity import polarity
from tests.unit.tiny_models import LENGTH, install, loaded

NLI = ("contradiction", "neutral", "entailment")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    torch.set_num_threads(1)
    text_tasks.MEMO.clear()
    install(
        monkeypatch,
        sentiment=loaded("sentiment"),
        zero_shot=loaded("zero_shot", NLI),
        entail=loaded("entail", NLI),
    )


def logits(pipe, *texts):
    with torch.inference_mode():
        return pipe.model(**pipe.tokenizer(*texts, return_tensors="pt")).logits[0]


def test_scores_are_the_softmax_of_the_logits():
    row = text_tasks.sentiment("the cat sat").result[0]
    expected = logits(loaded("sentiment").pipe, "the cat sat").softmax(-1).tolist()
    assert row["scores"] == pytest.approx({"NEGATIVE": expected[0], "POSITIVE": expected[1]})
    assert row["score"] == max(row["scores"].values()) == row["scores"][row["label"]]
    assert list(row) == ["text", "label", "polarity", "score", "scores", "model"]


def test_a_batch_answers_as_its_texts_do_alone_and_in_their_order():
    texts = ["the cat " * n + "sat" for n in (9, 1, 30, 4, 2)] + ["나는 서울에 산다", "!?"]
    together = text_tasks.sentiment(texts).result
    text_tasks.MEMO.clear()
    alone = [text_tasks.sentiment(text).result[0] for text in texts]
    assert [row["text"] for row in together] == texts
    for one, other in zip(together, alone, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-5)


def test_a_text_that_was_cut_says_so():
    assert text_tasks.sentiment("cat " * (LENGTH - 2)).note is None
    assert text_tasks.sentiment(["fine", "cat " * LENGTH]).note == "note.truncated"


def test_a_language_the_model_does_not_know_is_noted(monkeypatch):
    korean = dataclasses.replace(loaded("sentiment"), card=ModelCard("tiny/ko", ("sentiment",), ("ko",)))
    install(monkeypatch, sentiment=korean)
    assert text_tasks.sentiment("나는 서울에 산다").note is None
    assert text_tasks.sentiment("the cat sat").note == "note.language"
    assert text_tasks.sentiment("cat " * LENGTH).note == "note.language_truncated"
    assert text_tasks.sentiment(["cat " * LENGTH, "나는"]).note == "note.language_truncated"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(), min_size=1, max_size=60), min_size=1, max_size=4))
def test_any_text_gets_an_answer_or_a_sentence(texts):
    try:
        rows = text_tasks.sentiment(texts).result
    except VisitorError as error:
        assert error.key == "empty_text"
    else:
        assert len(rows) == sum(bool(text.strip()) for text in texts)
        assert all(sum(row["scores"].values()) == pytest.approx(1) for row in rows)


def test_the_same_text_again_comes_from_memory_and_cannot_be_spoiled():
    first = text_tasks.sentiment(["the cat", "the dog"])
    again = text_tasks.sentiment("the dog")
    assert not first.cached and again.cached
    assert again.result == first.result[1:]
    again.result[0]["label"] = "changed"
    assert text_tasks.sentiment("the dog").result == first.result[1:]
    assert not text_tasks.sentiment(["the dog", "new"]).cached


DECLARED = ModelCard("a/b", ("sentiment",), polarity={"LABEL_0": "negative", "LABEL_1": "positive"})


@pytest.mark.parametrize(
    ("label", "card", "all_labels", "expected"),
    [
        ("LABEL_1", DECLARED, ("LABEL_0", "LABEL_1"), "positive"),
        ("POSITIVE", DECLARED, ("POSITIVE",), None),
        ("LABEL_1", None, ("LABEL_0", "LABEL_1"), None),
        ("POSITIVE", None, ("POSITIVE", "NEGATIVE"), "positive"),
        ("neg", None, ("neg", "pos"), "negative"),
        ("Very Negative", None, ("Very Negative",), "negative"),
        ("중립", None, ("중립",), "neutral"),
        ("2 stars", None, [f"{n} star{'s' * (n > 1)}" for n in range(1, 6)], "negative"),
        ("3 stars", None, [f"{n} stars" for n in range(1, 6)], "neutral"),
        ("4 stars", None, [f"{n} stars" for n in range(1, 11)], None),
        ("joy", None, ("joy", "anger"), None),
    ],
)
def test_polarity_is_declared_or_plain_and_never_guessed(label, card, all_labels, expected):
    assert polarity(label, card, all_labels) == expected


def test_zero_shot_is_the_library_pipelines_answer():
    pipe = loaded("zero_shot", NLI).pipe
    for several in (False, True):
        expected = pipe("the cat sat", ["cat", "dog", "Seoul"], multi_label=several)
        found = text_tasks.zero_shot("the cat sat", ["cat", "dog", "Seoul"], several).result
        assert found["labels"] == expected["labels"]
        assert found["scores"] == pytest.approx(expected["scores"], abs=1e-5)


def test_zero_shot_by_vectors_says_so(monkeypatch):
    install(monkeypatch, zero_shot=loaded("similarity"))
    run = text_tasks.zero_shot("the cat sat", "cat, dog")
    assert run.method == "method.embeddings_zero_shot"
    assert sum(run.result["scores"]) == pytest.approx(1)
    several = text_tasks.zero_shot("the cat sat", "cat, dog", True)
    assert several.method == "method.embeddings_zero_shot_multi"
    assert all(0 <= score <= 1 for score in several.result["scores"])


def test_a_template_is_filled_and_never_formatted():
    odd = text_tasks.zero_shot("the cat sat", ["cat", "{0.__class__}"], template="{} {x} {0.__class__}").result
    assert sorted(odd["labels"]) == ["cat", "{0.__class__}"]


def test_zero_shot_needs_a_model_that_knows_entailment(monkeypatch):
    install(monkeypatch, zero_shot=loaded("sentiment"))
    with pytest.raises(VisitorError, match="wrong_task"):
        text_tasks.zero_shot("the cat", ["a", "b"])


def test_entailment_is_the_softmax_of_a_pair():
    found = text_tasks.entail("the cat sat", "a dog").result
    expected = dict(
        zip(NLI, logits(loaded("entail", NLI).pipe, "the cat sat", "a dog").softmax(-1).tolist(), strict=True)
    )
    assert found["scores"] == pytest.approx(expected)
    assert found["label"] == max(expected, key=expected.__getitem__)


def test_one_sentence_is_enough_for_a_model_of_sentences_only(monkeypatch):
    with pytest.raises(VisitorError, match="empty_hypothesis"):
        text_tasks.entail("the cat sat", "  ")
    install(monkeypatch, entail=loaded("entail", ("unacceptable", "acceptable")))
    found = text_tasks.entail("the cat sat").result
    assert set(found["scores"]) == {"unacceptable", "acceptable"}


@pytest.mark.parametrize(
    ("call", "key"),
    [
        (lambda: text_tasks.sentiment(""), "empty_text"),
        (lambda: text_tasks.sentiment(None), "empty_text"),
        (lambda: text_tasks.sentiment({"a": 1}), "not_text"),
        (lambda: text_tasks.sentiment("x" * 30_000), "text_too_long"),
        (lambda: text_tasks.sentiment(["x"] * 501), "too_many_texts"),
        (lambda: text_tasks.zero_shot("text", []), "no_labels"),
        (lambda: text_tasks.zero_shot("text", "a, b", template="no slot"), "bad_template"),
        (lambda: text_tasks.zero_shot("text", "a, b", template=" "), "empty_template"),
        (lambda: text_tasks.zero_shot("text", "a, b", multi_label="yes"), "bad_choice"),
        (lambda: text_tasks.answer("", "context"), "empty_question"),
        (lambda: text_tasks.answer("who", "  "), "empty_context"),
        (lambda: text_tasks.fill_mask("[MASK]", 0), "bad_number"),
        (lambda: text_tasks.entail("", "b"), "empty_premise"),
        (lambda: text_tasks.generate(""), "empty_prompt"),
        (lambda: text_tasks.generate("a", temperature=float("nan")), "bad_number"),
        (lambda: text_tasks.generate("a", max_new_tokens=10**9), "bad_number"),
        (lambda: text_tasks.generate("a", seed=-1), "bad_number"),
        (lambda: text_tasks.summarize("a", max_sentences=0), "bad_number"),
        (lambda: text_tasks.similarity(["a"] * 101), "too_many_texts"),
        (lambda: text_tasks.keywords("a", top_k="5"), "bad_number"),
        (lambda: text_tasks.translate(5), "not_text"),
    ],
)
def test_bad_input_gets_a_sentence(call, key):
    with pytest.raises(VisitorError) as caught:
        call()
    assert caught.value.key == key
