"""The three stages of every task: their numbers are those that the answer rests on."""

import json

import pytest
import torch

from pipelines import catalog, text_tasks
from pipelines.errors import VisitorError
from pipelines.stages import MOST_TOKENS, stages
from tests.unit.tiny_models import install, loaded

NLI = ("contradiction", "neutral", "entailment")
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
TEXT = "Anna works in Berlin . 나는 서울에 산다"
REQUESTS = {
    "sentiment": {"texts": ["the cat sat", "not this one"]},
    "zero_shot": {"text": TEXT, "labels": ["cat", "dog"]},
    "entities": {"text": TEXT},
    "answer": {"question": "where is Anna", "context": TEXT * 12},
    "fill_mask": {"text": "the cat [MASK] on", "top_k": 3},
    "generate": {"prompt": "the cat", "max_new_tokens": 4, "temperature": 0.7, "top_k": 10, "top_p": 0.9, "seed": 3},
    "summarize": {"text": TEXT, "max_length": 6},
    "translate": {"text": "the cat"},
    "similarity": {"texts": "a cat\nthe dog"},
    "keywords": {"text": TEXT, "top_k": 3},
    "entail": {"premise": "a cat", "hypothesis": "the dog"},
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    torch.set_num_threads(1)
    text_tasks.MEMO.clear()
    labels = {"entities": TAGS, "zero_shot": NLI, "entail": NLI}
    install(
        monkeypatch,
        **{task: loaded(task, labels[task]) if task in labels else loaded(task) for task in catalog.TASKS},
    )


@pytest.mark.parametrize("task", catalog.TASKS)
def test_every_task_can_be_opened(task):
    opened = stages(task, REQUESTS[task], "tiny/any")
    assert json.loads(json.dumps(opened)) == opened
    assert 0 < len(opened["tokens"]) <= MOST_TOKENS
    assert all(isinstance(token, str) and isinstance(number, int) for token, number in opened["tokens"])
    for tensor in opened["tensors"]:
        assert {"name", "shape", "dtype", "min", "max", "mean", "sample"} == set(tensor)
        assert tensor["min"] <= tensor["mean"] <= tensor["max"] and tensor["dtype"] == "float32"
    assert opened["post"] and all(isinstance(step, str) for step in opened["post"])


@pytest.mark.parametrize("task", ["zero_shot", "summarize"])
def test_an_encoder_opens_its_vectors_instead(task, monkeypatch):
    install(monkeypatch, **{task: loaded("similarity")})
    names = [tensor["name"] for tensor in stages(task, REQUESTS[task], None)["tensors"]]
    assert names == ["last_hidden_state", "embedding"]


def test_the_steps_carry_the_answers_own_numbers():
    row = text_tasks.sentiment("the cat sat").result[0]
    opened = stages("sentiment", REQUESTS["sentiment"], "a/b, c/d")
    assert f"= {row['label']} · {row['score']:.4f}" in opened["post"][2]
    values = [cell[1] for cell in opened["tensors"][0]["sample"]]
    assert torch.tensor(values).softmax(-1).max().item() == pytest.approx(row["score"])
    found = text_tasks.answer(**REQUESTS["answer"]).result
    assert any(
        f"context[{found['start']}:{found['end']}]" in step for step in stages("answer", REQUESTS["answer"])["post"]
    )
    token = text_tasks.generate(**REQUESTS["generate"]).result["tokens"][0]
    assert f"{token['probability']:.4f}" in stages("generate", REQUESTS["generate"])["post"][-1]


def test_what_the_task_refuses_the_stages_refuse():
    with pytest.raises(VisitorError, match="empty_text"):
        stages("sentiment", {"texts": ""})
    with pytest.raises(VisitorError, match="unknown_task"):
        stages("no_such", {})
