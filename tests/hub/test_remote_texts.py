"""Text tasks elsewhere: the right requests, and results as those of this machine."""

from __future__ import annotations

import json
import math

import pytest

from pipelines import catalog, remote_texts
from pipelines.remote_texts import answer_remotely
from tests.hub import local_texts
from tests.hub.local_provider import Answer
from tests.hub.remote_asking import MODEL, REQUESTS, TEXT, fault, offered, ran
from tests.hub.token_watch import TOKEN, fault_of, watched

pytestmark = pytest.mark.hub


@pytest.fixture
def provider(monkeypatch, caplog):
    with watched(monkeypatch, caplog) as server:
        yield server


def test_every_text_task_can_run_elsewhere():
    assert set(REQUESTS) == set(catalog.TASKS) == set(remote_texts.DEFAULTS)


@pytest.mark.parametrize("task", sorted(REQUESTS))
def test_each_task_is_answered(provider, task):
    offered(provider, task)
    run = ran(task)
    assert run.model == MODEL and run.provider == "hf-inference" and run.timing["remote"] > 0 and not run.cached
    assert TOKEN not in repr(run)
    (question,) = provider.asked("GET")
    assert question.path.startswith(f"/api/models/{MODEL}?expand=inferenceProviderMapping")
    assert all(order.path.startswith(f"/router/hf-inference/models/{MODEL}") for order in provider.asked("POST"))


def test_sentiment(provider):
    offered(provider, "sentiment")
    first, second = ran("sentiment").result
    assert first == {
        "text": "a good film",
        "label": "POSITIVE",
        "polarity": "positive",
        "score": 0.9,
        "scores": {"POSITIVE": 0.9, "NEGATIVE": pytest.approx(0.1)},
        "model": MODEL,
    }
    assert (second["polarity"], list(second["scores"])) == ("negative", ["NEGATIVE", "POSITIVE"])
    assert [order.body for order in provider.asked("POST")] == [
        {"inputs": text, "parameters": {"top_k": 100}} for text in ("a good film", "bad")
    ]


def test_zero_shot(provider):
    offered(provider, "zero_shot")
    assert ran("zero_shot").result == {"labels": ["news", "sport"], "scores": [2 / 3, 1 / 3]}
    wished = provider.asked("POST")[0].body["parameters"]
    assert wished["hypothesis_template"] == "It is {} {{x}}." and wished["multi_label"] is False
    assert wished["hypothesis_template"].format("news") == "It is news {x}."


def test_entities_lie_in_the_text(provider):
    offered(provider, "entities")
    found = ran("entities").result
    assert [each["text"] for each in found] == ["Ada", "Seoul", "It", "Bo"]
    assert all(TEXT[each["start"] : each["end"]] == each["text"] and each["score"] == 0.75 for each in found)
    assert provider.asked("POST")[0].body["parameters"] == {"aggregation_strategy": "first"}
    ran("entities", text="아다는 서울에 산다")
    assert provider.asked("POST")[1].body["parameters"] == {"aggregation_strategy": "simple"}
    assert ran("entities", text="nobody").result == []
    # A tokenizer without offsets; white space at the ends.
    rows = [{"entity": "PER", "score": 1, "word": "Bo"}, {"entity": "X", "score": 1, "word": "", "start": 9, "end": 13}]
    provider.answers.append(Answer(body=json.dumps(rows).encode()))
    assert [each["text"] for each in ran("entities").result] == ["in", "Bo"]


def test_answer(provider):
    offered(provider, "answer")
    place = TEXT.index("1815")
    assert ran("answer").result == {"answer": "1815", "start": place, "end": place + 4, "score": 0.625}
    assert ran("answer", context="Nothing.").result == {"answer": "", "start": 0, "end": 0, "score": 0.5}
    assert provider.asked("POST")[0].body["parameters"] == {"handle_impossible_answer": False}


def test_fill_mask_writes_the_mask_as_the_model_does(provider):
    offered(provider, "fill_mask")
    provider.masks[MODEL] = "<mask>"
    assert ran("fill_mask").result == [
        {"token": "good", "score": 0.5, "sentence": "A good day."},
        {"token": "new", "score": 0.25, "sentence": "A new day."},
        {"token": "##s", "score": 0.5 / 3, "sentence": "As day."},
    ]
    assert provider.asked("POST")[0].body == {"inputs": "A <mask> day.", "parameters": {"top_k": 3}}
    provider.masks.clear()
    ran("fill_mask")
    assert provider.asked("POST")[1].body["inputs"] == "A [MASK] day."


def test_summaries_are_written_or_chosen(provider):
    offered(provider, "summarize")
    run = ran("summarize")
    assert run.result == {"summary": "It is short. It is new.", "method": "seq2seq"} and run.method == "method.seq2seq"
    offered(provider, "summarize", kind="feature-extraction")
    run = ran("summarize")
    assert run.result["method"] == "lexrank" and run.method == "method.lexrank"
    assert all(sentence in TEXT for sentence in run.result["summary"].split(". "))


def test_translation_names_the_languages_of_models_that_have_many(provider):
    offered(provider, "translate")
    assert ran("translate").result == {"translation": "<hello>"}
    assert provider.asked("POST")[0].body == {"inputs": "hello", "parameters": {}}
    provider.offers["facebook/nllb-200"] = provider.offers[MODEL]
    ran("translate", model="facebook/nllb-200", text="안녕하세요")
    assert provider.asked("POST")[1].body["parameters"] == {"src_lang": "kor_Hang", "tgt_lang": "eng_Latn"}


def cosine(one: str, two: str) -> float:
    a, b = local_texts.vector(one), local_texts.vector(two)
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.dist(a, [0] * 8) / math.dist(b, [0] * 8)


@pytest.mark.parametrize("name", ["hf-inference", "together", "scaleway", "deepinfra"])
def test_vectors_come_from_each_provider_that_has_them(provider, name):
    offered(provider, "similarity", name, "feature-extraction")
    result = ran("similarity").result
    assert result["embeddings_shape"] == [3, 8]
    assert result["matrix"][0][1] == pytest.approx(cosine("a cat", "a kitten"), abs=1e-5)
    assert [result["matrix"][i][i] for i in range(3)] == pytest.approx([1, 1, 1], abs=1e-5)


def test_many_texts_go_in_several_requests(provider):
    offered(provider, "similarity")
    texts = [f"text {number}" for number in range(40)]
    assert ran("similarity", texts=texts).result["embeddings_shape"] == [40, 8]
    assert [len(order.body["inputs"]) for order in provider.asked("POST")] == [32, 8]


def test_vectors_answer_keywords_and_zero_shot_too(provider):
    offered(provider, "keywords")
    run = ran("keywords")
    assert run.method == "method.keybert" and len(run.result) == 2
    best = run.result[0]
    text = REQUESTS["keywords"][0]["text"]
    assert best["score"] == pytest.approx(cosine(text, best["keyword"]), abs=1e-5)
    run = ran("zero_shot")
    assert run.method == "method.embeddings_zero_shot" and sum(run.result["scores"]) == pytest.approx(1)


def test_a_pair_is_asked_as_one_label(provider):
    offered(provider, "entail")
    run = ran("entail")
    assert run.result == {"label": "entailment", "scores": {"entailment": 0.8, "contradiction": pytest.approx(0.2)}}
    assert run.method == "method.remote_entail"
    assert provider.asked("POST")[0].body == {
        "inputs": "It rains.",
        "parameters": {"candidate_labels": ["It is wet."], "multi_label": True, "hypothesis_template": "{}"},
    }
    assert fault("entail", hypothesis=" ").key == "empty_hypothesis"


def test_a_model_of_single_sentences_judges_one_and_refuses_two(provider):
    offered(provider, "entail", kind="text-classification")
    assert ran("entail", hypothesis="").result["label"] == "NEGATIVE"
    assert str(fault("entail")) == f"remote_pair(model={MODEL})"


def test_the_defaults_are_taken_by_language(provider):
    for models in remote_texts.DEFAULTS.values():
        for model in models.values():
            provider.offers[model] = {}
    for text, language in (("a good film", "en"), ("좋은 영화", "ko")):
        error = fault_of(lambda text=text: list(answer_remotely("sentiment", {"texts": text}, TOKEN)))
        assert error.params["model"] == remote_texts.DEFAULTS["sentiment"][language]


def test_the_list_of_providers_is_the_librarys():
    from huggingface_hub.inference._providers import PROVIDERS

    tasks = {task for _, task in REQUESTS.values()} | {"text-generation"}
    assert remote_texts.PROVIDERS == tuple(name for name, able in PROVIDERS.items() if tasks & set(able))
