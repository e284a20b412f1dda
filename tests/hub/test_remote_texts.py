"""Text tasks elsewhere: right requests, results as those of this machine, one plain sentence for each fault."""

from __future__ import annotations

import io
import json
import math
import threading
import time
from contextlib import redirect_stdout

import pytest

from pipelines import catalog, remote, remote_texts
from pipelines.errors import VisitorError
from pipelines.remote_texts import answer_remotely
from pipelines.run import Run
from pipelines.show_code import notebook
from tests.hub import local_texts
from tests.hub.local_hub import wait_for
from tests.hub.local_provider import Answer, offer
from tests.hub.token_watch import TOKEN, as_a_visitor, fault_of, watched

pytestmark = pytest.mark.hub

MODEL = "owner/reader"
EVIL = "<img src=x onerror=alert(1)>"
TEXT = "Ada lives in Seoul since 1815. It is a lovely town. Bo came later."
# {task: (arguments, the providers' name for the task)}
REQUESTS = {
    "sentiment": ({"texts": ["a good film", "bad"]}, "text-classification"),
    "zero_shot": ({"text": TEXT, "labels": ["news", "sport"], "template": "It is {} {x}."}, "zero-shot-classification"),
    "entities": ({"text": TEXT}, "token-classification"),
    "answer": ({"question": "When?", "context": TEXT}, "question-answering"),
    "fill_mask": ({"text": "A [MASK] day.", "top_k": 3}, "fill-mask"),
    "generate": ({"prompt": "Tell a story.", "max_new_tokens": 9, "seed": 3, "top_p": 0.9}, "conversational"),
    "summarize": ({"text": TEXT, "max_sentences": 2}, "summarization"),
    "translate": ({"text": "hello"}, "translation"),
    "similarity": ({"texts": ["a cat", "a kitten", "xyz"]}, "sentence-similarity"),
    "keywords": ({"text": "Photosynthesis makes sugar from sunlight.", "top_k": 2}, "feature-extraction"),
    "entail": ({"premise": "It rains.", "hypothesis": "It is wet."}, "zero-shot-classification"),
}


@pytest.fixture
def provider(monkeypatch, caplog):
    with watched(monkeypatch, caplog) as server:
        yield server


def ran(task: str, provider=None, token: str | None = TOKEN, model: str = MODEL, **changes) -> Run:
    arguments, _ = REQUESTS[task]
    *_, last = answer_remotely(task, arguments | changes, token, model, provider)
    assert isinstance(last, Run)
    return last


def fault(task: str = "sentiment", **options) -> VisitorError:
    return fault_of(lambda: ran(task, **options))


def offered(server, task: str, name: str = "hf-inference", kind: str | None = None) -> None:
    server.offers[MODEL] = offer(name, task=kind or REQUESTS[task][1])


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


class TestWriting:
    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("hf-inference", f"/router/hf-inference/models/{MODEL}/v1/chat/completions"),
            ("together", "/router/together/v1/chat/completions"),
            ("novita", "/router/novita/v3/openai/chat/completions"),
        ],
    )
    def test_a_chat_comes_piece_by_piece_with_its_chances(self, provider, name, path):
        offered(provider, "generate", name)
        runs = [event for event in answer_remotely("generate", REQUESTS["generate"][0], TOKEN, MODEL) if event]
        assert [len(run.result["tokens"]) for run in runs] == [1, 2, 3, 4, 5]
        last = runs[-1]
        assert last.result["text"] == "Tell a story.\n\nOnce upon a time." and last.method == "method.remote_chat"
        assert last.result["tokens"][1] == {
            "token": " upon",
            "id": None,
            "probability": pytest.approx(0.5),
            "alternatives": [
                {"token": " upon", "id": None, "probability": pytest.approx(0.5)},
                {"token": " other", "id": None, "probability": pytest.approx(math.exp(-2))},
            ],
        }
        (order,) = provider.asked("POST")
        assert order.path == path
        wished = {"max_tokens": 9, "temperature": 1.0, "top_p": 0.9, "seed": 3, "logprobs": True, "top_logprobs": 5}
        said = [{"role": "user", "content": "Tell a story."}]
        assert order.body == wished | {"model": order.body["model"], "messages": said, "stream": True}
        assert order.body["model"] == (MODEL if name == "hf-inference" else f"at-{name}/painter")

    @pytest.mark.parametrize("status", [400, 422])
    def test_a_provider_that_tells_no_chances_is_asked_without(self, provider, status):
        offered(provider, "generate", "together")
        provider.answers.append(Answer(status, b'{"error":"logprobs is not supported"}'))
        tokens = ran("generate").result["tokens"]
        assert "".join(each["token"] for each in tokens) == "Once upon a time."
        assert all(each["probability"] is None and each["alternatives"] == [] for each in tokens)
        assert "logprobs" not in provider.asked("POST")[1].body

    def test_greedy_draws_nothing(self, provider):
        offered(provider, "generate")
        ran("generate", temperature=0)
        body = provider.asked("POST")[0].body
        assert body["temperature"] == 0 and "seed" not in body and "top_p" not in body

    @pytest.mark.parametrize("name", ["hf-inference", "together", "novita", "featherless-ai", "deepinfra"])
    def test_a_model_that_is_no_chat_model_writes_on(self, provider, name):
        offered(provider, "generate", name, "text-generation")
        run = ran("generate", prompt="Once")
        assert run.result["text"] == "Once upon a time." and run.method is None
        assert run.result["tokens"][0]["token"] == " upon a time."

    def test_a_beginning_that_is_given_back_is_not_shown_twice(self, provider):
        offered(provider, "generate", kind="text-generation")
        provider.answers.append(Answer(body=b'[{"generated_text":"Once upon"}]'))
        assert ran("generate", prompt="Once").result["text"] == "Once upon"

    def test_what_one_server_does_not_know_is_still_sent_to_others(self, provider):
        offered(provider, "generate", kind="text-generation")
        refusal = b'{"error":"The following `model_kwargs` are not used by the model: [\'seed\']"}'
        provider.answers.append(Answer(400, refusal))
        ran("generate", prompt="Once")
        assert "seed" not in provider.asked("POST")[1].body["parameters"]
        provider.offers["owner/other"] = provider.offers[MODEL]
        ran("generate", prompt="Once", model="owner/other")
        assert provider.asked("POST")[2].body["parameters"]["seed"] == 3

    def test_a_refusal_that_repeats_itself_ends(self, provider):
        offered(provider, "generate", kind="text-generation")
        refusal = b'{"error":"The following `model_kwargs` are not used by the model: [\'x\']"}'
        provider.answers.extend([Answer(400, refusal)] * 300)
        assert fault("generate", prompt="Once").key in ("remote_odd", "remote_refused", "remote_failed")
        assert len(provider.asked("POST")) <= 100

    def test_beams_and_silence_are_said(self, provider):
        offered(provider, "generate")
        assert fault("generate", num_beams=3).key == "remote_no_beam"
        assert provider.requests == []
        provider.answers.append(Answer(body=local_texts.chat(())))
        assert str(fault("generate")) == f"remote_no_text(model={MODEL}, tokens=9)"

    def test_stop_keeps_what_is_written(self, provider):
        offered(provider, "generate", "together")
        provider.answers.append(Answer(pace=0.1))
        stop = threading.Event()
        runs = []
        begun = time.monotonic()
        for event in answer_remotely("generate", REQUESTS["generate"][0], TOKEN, MODEL, stop=stop):
            if isinstance(event, Run):
                runs.append(event)
                stop.set()
        assert runs and runs[-1].result["text"].startswith("Tell a story.\n\nOnce")
        assert time.monotonic() - begun < 5

    def test_a_stream_that_breaks_off_is_said_after_what_came(self, provider):
        offered(provider, "generate", "together")
        provider.answers.append(Answer(body=local_texts.chat() * 2, headers={"Content-Length": "99999"}, cut=900))
        runs = []
        with pytest.raises(VisitorError, match="remote_no_network"):
            for event in answer_remotely("generate", REQUESTS["generate"][0], TOKEN, MODEL):
                runs += [event] if event else []
        assert runs

    @pytest.mark.parametrize(
        "event",
        [
            {"choices": "x"},
            {"choices": []},
            {"choices": [None]},
            {"choices": [{"delta": {"role": "assistant", "reasoning": "hm"}, "index": 0}]},
            {"choices": [{"delta": None, "index": 0, "logprobs": 3}]},
            {"choices": [{"delta": {"role": "a", "content": "Hi"}, "index": 0, "logprobs": {"content": [3]}}]},
            {"choices": [{"delta": {"role": "a", "content": None}, "index": 0, "logprobs": {"content": "x"}}]},
        ],
    )
    def test_events_without_text_are_passed_over(self, provider, event):
        offered(provider, "generate", "together")
        provider.answers.append(Answer(body=local_texts.sse(event, event)))
        assert fault("generate").key in ("remote_no_text", "remote_failed")

    @pytest.mark.parametrize(
        "told",
        [
            {"content": [{"token": "other", "logprob": -1, "top_logprobs": []}]},
            {"content": [{"token": "Hi", "logprob": 5, "top_logprobs": []}]},
            {"content": [{"token": "Hi", "logprob": "x", "top_logprobs": []}]},
            {"content": [{"token": 7, "logprob": -1, "top_logprobs": None}]},
            {"content": []},
        ],
    )
    def test_chances_that_make_no_sense_are_left_out(self, provider, told):
        offered(provider, "generate", "together")
        event = {"choices": [{"index": 0, "delta": {"role": "a", "content": "Hi"}, "logprobs": told}]}
        provider.answers.append(Answer(body=local_texts.sse(event)))
        (token,) = ran("generate").result["tokens"]
        assert token == {"token": "Hi", "id": None, "probability": None, "alternatives": []}


FAULTS = [
    (Answer(401, f"Invalid token {TOKEN}".encode()), "remote_token_refused", {}),
    (Answer(402, b'{"error":"You have exceeded your monthly included credits"}'), "remote_no_credit", {}),
    (Answer(403, b'{"error":"This token lacks permissions"}'), "remote_not_allowed", {}),
    (Answer(404, b"Not Found"), "remote_gone", {}),
    (Answer(413, TOKEN.encode()), "remote_refused", {"status": 413}),
    (Answer(429, headers={"Retry-After": "600"}), "remote_too_many", {"seconds": 600}),
    (Answer(500, b"x" * 5_000_000), "remote_down", {"status": 500}),
    (Answer(503, b"<html>Service Unavailable</html>"), "remote_down", {"status": 503}),
    (Answer(503, b'{"error":"loading","estimated_time":40.5}'), "remote_loading", {"seconds": 41}),
    (Answer(503, b'{"error":"loading","estimated_time":"40"}'), "remote_down", {}),
    (Answer(307, headers={"Location": "http://127.0.0.1:9/"}), "remote_odd", {"what": "307"}),
    (Answer(body=b'[["', cut=1), "remote_no_network", {}),
    (Answer(body=b"<html>Log in</html>"), "remote_failed", {"reason": "JSONDecodeError"}),
    (Answer(body=b""), "remote_failed", {}),
    (Answer(body=b"[" * 200_000), "remote_failed", {"reason": "RecursionError"}),
    (Answer(body=b"\xff\xfe"), "remote_failed", {}),
]


@pytest.mark.parametrize(("answer", "key", "params"), FAULTS)
def test_each_fault_has_its_sentence(provider, answer, key, params):
    offered(provider, "sentiment")
    provider.answers.append(answer)
    error = fault()
    assert error.key == key and error.params.items() >= ({"model": MODEL} | params).items()
    assert len(provider.asked("POST")) == 1


@pytest.mark.parametrize(("answer", "key", "params"), FAULTS[:10])
def test_faults_of_a_chat_have_the_same_sentences(provider, answer, key, params):
    offered(provider, "generate", "together")
    provider.answers.append(answer)
    error = fault("generate")
    assert error.key == key and error.params.items() >= params.items()


ROW = {"label": "POSITIVE", "score": 0.9}
HOSTILE = {
    "sentiment": [
        None,
        7,
        "text",
        {},
        [],
        [[]],
        [["x"]],
        [[{}]],
        [ROW],
        [[{"label": "A" * 5_000, "score": 0.5}]],
        [[{"label": ["x"], "score": 0.5}]],
        [[{"label": "\u0000\u202e", "score": 0.5}]],
        [[{"label": "A", "score": "0.5"}]],
        [[{"label": "A", "score": True}]],
        [[{"label": "A", "score": float("nan")}]],
        [[{"label": "A", "score": float("inf")}]],
        [[{"label": "A", "score": 1.5}]],
        [[{"label": "A", "score": -3}]],
        [[{"label": "A", "score": 10**400}]],
        [[ROW, ROW]],
        [[ROW] * 5_000],
    ],
    "zero_shot": [
        [{"label": "news", "score": 1}],
        [{"label": "news", "score": 1}, {"label": EVIL, "score": 0}],
        {"labels": []},
    ],
    "entities": [
        [{"entity_group": "PER", "score": 1, "word": "x", "start": 5, "end": 2}],
        [{"entity_group": "PER", "score": 1, "word": "x", "start": -4, "end": 2}],
        [{"entity_group": "PER", "score": 1, "word": "x", "start": 0, "end": 10**9}],
        [{"entity_group": "PER", "score": 1, "word": "x", "start": "0", "end": "2"}],
        [{"entity_group": "PER", "score": 1, "word": "absent"}],
        [{"entity_group": "PER", "score": 1, "word": " ", "start": 3, "end": 4}],
        [{"score": 1, "word": "Ada", "start": 0, "end": 3}],
        [{"entity_group": "PER", "score": None, "word": "Ada", "start": 0, "end": 3}],
        [None],
        "x",
    ],
    "answer": [
        {"answer": "1815", "score": 0.5, "start": 0, "end": 4},
        {"answer": "1815", "score": 0.5, "start": 0, "end": 10**9},
        {"answer": ["1815"], "score": 0.5, "start": 0, "end": 4},
        {"answer": "x" * 10_000, "score": 0.5, "start": 0, "end": 4},
        {"score": 0.5},
        [],
    ],
    "fill_mask": [[], [{"token_str": None, "score": 0.5}], [{"token_str": "a", "score": 7}], {"a": 1}],
    "summarize": [[], [{}], [{"summary_text": 5}], [{"summary_text": ""}], [{"summary_text": "x" * 90_000}]],
    "translate": [[{"translation_text": None}], {"translation_text": ["x"]}, 3],
    "similarity": [
        [],
        [[1.0, 2.0]],
        [[1.0], [2.0, 3.0], [4.0]],
        [[[1.0]], [[2.0]], [[3.0]]],
        [["x"], ["y"], ["z"]],
        [[float("nan")], [1.0], [1.0]],
        [[1e400], [1.0], [1.0]],
        [[], [], []],
        {"error": "x"},
        [[0.5] * 30_000] * 3,
    ],
    "entail": [[], [{"label": "x", "score": 9}], [{"label": "x"}]],
}


@pytest.mark.parametrize(
    ("task", "answer"), [(task, answer) for task, answers in HOSTILE.items() for answer in answers]
)
def test_answers_that_are_none_are_not_shown(provider, task, answer):
    offered(provider, task)
    provider.answers.append(Answer(body=json.dumps(answer).encode()))
    error = fault(task)
    assert error.key in ("remote_odd", "remote_failed") and error.params["model"] == MODEL
    assert len(str(error)) < 200


def test_an_answer_without_end_is_not_read_to_its_end(provider, monkeypatch):
    from pipelines import remote_call

    monkeypatch.setattr(remote_call, "MOST_BYTES", 100_000)
    offered(provider, "sentiment")
    provider.answers.append(Answer(body=b" " * 3_000_000))
    assert str(fault()) == f"remote_odd(model={MODEL}, what=size)"
    offered(provider, "generate", "together")
    provider.answers.append(Answer(body=b"data: " + b"x" * 3_000_000))
    assert str(fault("generate")) == f"remote_odd(model={MODEL}, what=size)"


def test_a_drip_is_given_up(provider, monkeypatch):
    monkeypatch.setattr(remote, "DEADLINE_S", 0.6)
    offered(provider, "sentiment")
    provider.answers.append(Answer(body=b"\n" * 200, pace=0.1))
    begun = time.monotonic()
    assert fault().key == "remote_slow"
    assert time.monotonic() - begun < 5
    assert wait_for(lambda: not any(thread.name == "remote" for thread in threading.enumerate()))


@pytest.mark.parametrize("task", ["sentiment", "generate"])
def test_an_answer_that_does_not_come_is_given_up(provider, monkeypatch, task):
    monkeypatch.setattr(remote, "DEADLINE_S", 0.5)
    offered(provider, task)
    provider.answers.append(Answer(stalled=True))
    begun = time.monotonic()
    assert fault(task).key == "remote_slow"
    assert time.monotonic() - begun < 5


def test_a_short_wait_is_counted_down(provider):
    offered(provider, "sentiment")
    provider.answers.append(Answer(429, headers={"Retry-After": "2"}))
    events = list(answer_remotely("sentiment", {"texts": "good"}, TOKEN, MODEL))
    pauses = [event.seconds for event in events if isinstance(event, remote.Pause)]
    assert pauses[0] == 2 and pauses[-1] == 1 and pauses == sorted(pauses, reverse=True)
    assert isinstance(events[-1], Run)


def test_a_model_that_is_nearly_loaded_is_waited_for(provider):
    offered(provider, "sentiment")
    provider.answers.append(Answer(503, b'{"error":"loading","estimated_time":0.4}'))
    assert ran("sentiment").result
    assert len(provider.asked("POST")) == 3


class TestTokens:
    @pytest.mark.parametrize("token", [None, "", "  ", 7])
    def test_one_is_needed_and_the_owners_is_not_lent(self, provider, token):
        assert fault(token=token).key == "needs_token"
        assert provider.requests == []

    @pytest.mark.parametrize("token", ["sk-other", "hf_a\r\nX-Evil: 1", "hf_two words", "hf_ü", "hf_" + "a" * 9000])
    def test_what_is_none_is_sent_nowhere(self, provider, token):
        assert fault(token=token).key == "remote_token_refused"
        assert provider.requests == []

    def test_no_cookie_of_one_visitor_goes_with_the_next(self, provider):
        offered(provider, "sentiment")
        good = local_texts.answer("", {"inputs": "good"}, "text-classification")
        provider.answers.append(Answer(body=good, headers={"Set-Cookie": "session=first; Path=/"}))
        ran("sentiment", texts="good")
        ran("sentiment", texts="good")
        assert [order.headers.get("cookie") for order in provider.asked("POST")] == [None, None]


def test_two_visitors_at_once_never_share_a_token(monkeypatch, caplog):
    tokens = {"first": "hf_firstVisitor", "second": "hf_secondVisitor"}
    with watched(monkeypatch, caplog, *tokens.values()) as server:
        for task in ("sentiment", "generate"):
            server.offers[f"owner/{task}"] = offer(
                "together" if task == "generate" else "hf-inference", task=REQUESTS[task][1]
            )
        told: list[Run] = []

        def visit(name: str) -> None:
            for number in range(6):
                words = f"{name} {number}"
                told.append(list(answer_remotely("sentiment", {"texts": words}, tokens[name], "owner/sentiment"))[-1])
                told.append(list(answer_remotely("generate", {"prompt": words}, tokens[name], "owner/generate"))[-1])

        visitors = [threading.Thread(target=visit, args=(name,)) for name in tokens for _ in range(3)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join(60)
        assert len(told) == 2 * 3 * 6 * 2 and not any(token in repr(told) for token in tokens.values())
        orders = server.asked("POST")
        assert len(orders) == len(told)
        for order in orders:
            name = json.dumps(order.body).partition("first")[1] or "second"
            assert order.headers["authorization"] == f"Bearer {tokens[name]}"
            assert f"{name} " in json.dumps(order.body)


class TestRefused:
    def test_at_once_and_for_nothing(self, provider, monkeypatch):
        from huggingface_hub import constants

        assert fault(model="pocket/sentiment-en").key == "not_remote"
        assert fault(model="../../etc").key == "bad_model_id"
        assert fault(texts="").key == "empty_text"
        assert fault(texts=["x"] * 31).key == "too_many_texts"
        assert fault("generate", max_new_tokens=10**6).key == "bad_number"
        assert fault("fill_mask", text="no mask").key == "no_mask"
        assert fault("keywords", text="the and").key == "no_keywords"
        assert fault("zero_shot", template="no blank").key == "bad_template"
        assert fault_of(lambda: list(answer_remotely("paint", {}, TOKEN, MODEL))).key == "unknown_task"
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert fault().key == "remote_offline"
        assert provider.requests == []

    def test_a_model_that_nobody_offers_for_the_task(self, provider):
        assert str(fault(model="owner/missing")) == "remote_not_served(model=owner/missing, task=sentiment)"
        offered(provider, "sentiment", kind="translation")
        assert fault().key == "remote_not_served"
        offered(provider, "sentiment", "together")
        assert fault().key == "remote_not_served"  # together has no text classification
        offered(provider, "sentiment")
        assert fault("generate", provider="hf-inference").key == "remote_not_served"
        assert fault(provider="cohere").key == "bad_choice"
        assert provider.asked("POST") == []

    def test_too_many_at_once(self, provider, monkeypatch):
        monkeypatch.setattr(remote, "_places", threading.BoundedSemaphore(1))
        monkeypatch.setattr(remote, "QUEUE_S", 0.3)
        offered(provider, "sentiment")
        provider.answers.append(Answer(stalled=True))
        first = answer_remotely("sentiment", {"texts": "good"}, TOKEN, MODEL)
        next(first)
        assert wait_for(lambda: provider.asked("POST"))
        assert fault().key == "remote_busy"
        first.close()
        provider.released.set()
        assert wait_for(lambda: not any(thread.name == "remote" for thread in threading.enumerate()))
        assert ran("sentiment").result


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


class TestCode:
    @pytest.fixture
    def runnable(self, provider, monkeypatch):
        def execute(code: str) -> object:
            space: dict[str, object] = {}
            with as_a_visitor(monkeypatch, provider), redirect_stdout(io.StringIO()):
                exec(code, space)
            return space["result"]

        return execute

    def same(self, task: str, run: Run, result: object) -> bool:
        """Tell whether what the code leaves in `result` is what was shown."""
        shown = run.result
        if task == "sentiment":
            return [{each.label: each.score for each in row} for row in result] == [row["scores"] for row in shown]
        if task == "zero_shot":
            return list(result.values()) == pytest.approx(shown["scores"], abs=1e-5)
        if task == "entities":
            return [(each.start, each.end) for each in result] == [(each["start"], each["end"]) for each in shown]
        if task == "answer":
            return (result.answer, result.start) == (shown["answer"], shown["start"])
        if task == "fill_mask":
            return [each.token_str for each in result] == [each["token"] for each in shown]
        if task == "generate":
            return result == "".join(each["token"] for each in shown["tokens"])
        if task == "summarize":
            return result.startswith(shown["summary"])
        if task == "translate":
            return result == shown["translation"]
        if task == "similarity":
            return all(row == pytest.approx(kept, abs=1e-5) for row, kept in zip(result, shown["matrix"], strict=True))
        if task == "keywords":
            return [word for word, _ in result] == [each["keyword"] for each in shown]
        return result == pytest.approx(shown["scores"])

    @pytest.mark.parametrize("task", sorted(REQUESTS))
    def test_it_does_what_was_done(self, provider, runnable, task):
        offered(provider, task)
        run = ran(task)
        asked = [order.body for order in provider.asked("POST")]
        assert "InferenceClient" in run.code and 'os.environ["HF_TOKEN"]' in run.code and "hf_" not in run.code
        provider.requests.clear()
        assert self.same(task, run, runnable(run.code))
        again = [order.body for order in provider.asked("POST")]
        for body in (*asked, *again):
            body.pop("logprobs", None), body.pop("top_logprobs", None)
        assert again == asked
        assert '"huggingface_hub' in "".join(notebook(run.code, task)["cells"][1]["source"])

    @pytest.mark.parametrize(
        ("task", "name", "kind"),
        [
            ("generate", "together", "conversational"),
            ("generate", "novita", "text-generation"),
            ("generate", "hf-inference", "text-generation"),
            ("similarity", "scaleway", "feature-extraction"),
            ("summarize", "hf-inference", "feature-extraction"),
            ("zero_shot", "hf-inference", "sentence-similarity"),
            ("entail", "hf-inference", "text-classification"),
        ],
    )
    def test_it_does_so_at_other_providers_and_in_other_ways(self, provider, runnable, task, name, kind):
        offered(provider, task, name, kind)
        changes = {"hypothesis": ""} if task == "entail" else {}
        run = ran(task, **changes)
        assert f'provider="{name}"' in run.code
        result = runnable(run.code)
        if task == "entail":
            assert {each.label: each.score for each in result[0]} == run.result["scores"]
        else:
            assert self.same(task, run, result)

    def test_what_was_typed_never_becomes_code(self, provider):
        offered(provider, "translate")
        evil = "\"\"\"''' + __import__('os').system('x') <<text>> <<model>> {0} \\"
        code = ran("translate", text=evil).code
        compile(code, "shown", "exec")
        assert repr(evil)[1:-1] in code
