"""Faults of a provider, and answers that are none: one plain sentence for each, and nobody waits for ever."""

from __future__ import annotations

import json
import threading
import time

import pytest

from pipelines import remote
from pipelines.remote_texts import answer_remotely
from pipelines.run import Run
from tests.hub.local_hub import wait_for
from tests.hub.local_provider import Answer
from tests.hub.remote_asking import MODEL, fault, offered, ran
from tests.hub.token_watch import TOKEN, watched

pytestmark = pytest.mark.hub


@pytest.fixture
def provider(monkeypatch, caplog):
    with watched(monkeypatch, caplog) as server:
        yield server


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


EVIL = "<img src=x onerror=alert(1)>"
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
