"""pocket/answer-en: answers are words of the text, and some texts hold none."""

import pytest

from pipelines import loading, spans, text_tasks
from settings import POCKET

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not (POCKET / "answer-en" / "config.json").exists(), reason="answer-en is not trained yet"),
]
MODEL = "pocket/answer-en"
MEGABYTE = 2**20

NILE = (
    "The Nile flows north through eleven countries and ends in the Mediterranean Sea, near Alexandria in Egypt. "
    "It is about 6,650 kilometres long. The Aswan High Dam was finished in 1970."
)
TELEPHONE = (
    "Alexander Graham Bell was born in Edinburgh in 1847. He moved to Canada with his parents in 1870. In 1876 he was "
    "granted a patent for the telephone in the United States."
)
QUESTIONS = [
    ("Where does the Nile end?", NILE, "Mediterranean"),
    ("How long is the Nile?", NILE, "6,650"),
    ("When was the Aswan High Dam finished?", NILE, "1970"),
    ("Through how many countries does the Nile flow?", NILE, "eleven"),
    ("Where was Bell born?", TELEPHONE, "Edinburgh"),
    ("When was Bell born?", TELEPHONE, "1847"),
    ("What was Bell granted a patent for?", TELEPHONE, "telephone"),
    ("Where did Bell move in 1870?", TELEPHONE, "Canada"),
]
STRANGE = [
    ("Who painted the ceiling of the chapel?", NILE),
    ("How many people speak Portuguese?", TELEPHONE),
    ("What is the boiling point of water?", NILE),
    ("Which team won the final?", TELEPHONE),
]


def test_answers_are_found_where_they_stand():
    right = 0
    for question, context, wanted in QUESTIONS:
        found = text_tasks.answer(question, context, MODEL).result
        assert found["answer"] == context[found["start"] : found["end"]]
        right += wanted in found["answer"]
    assert right >= 5


def test_a_text_without_the_answer_gives_none():
    assert sum(text_tasks.answer(*each, MODEL).result["answer"] == "" for each in STRANGE) >= 3


def test_it_answers_when_no_model_is_named_and_may_say_that_there_is_none():
    assert loading.default_model("answer", NILE) == MODEL
    with loading.use(MODEL, "answer") as loaded:
        assert spans.knows_no_answer(loaded.card, loaded.id)
        assert type(loaded.pipe.model).__name__ == "BertForQuestionAnswering"


def test_an_answer_at_the_end_of_a_long_text_is_found():
    filler = "The hills around the valley are covered with grass. " * 60
    found = text_tasks.answer("Where was Bell born?", filler + TELEPHONE, MODEL).result
    assert found["answer"] == "" or found["start"] >= len(filler)


def test_the_adapter_is_small_and_in_float16():
    import torch
    from safetensors import safe_open

    weights = POCKET / "answer-en" / "adapter_model.safetensors"
    assert weights.stat().st_size <= 4 * MEGABYTE
    with safe_open(weights, "pt") as tensors:
        assert {tensors.get_tensor(key).dtype for key in tensors.keys()} == {torch.float16}
