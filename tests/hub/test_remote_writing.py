"""Text that a provider writes: piece by piece, with its chances where they are told, and stopped."""

from __future__ import annotations

import math
import threading
import time

import pytest

from pipelines.errors import VisitorError
from pipelines.remote_texts import answer_remotely
from pipelines.run import Run
from tests.hub import local_texts
from tests.hub.local_provider import Answer
from tests.hub.remote_asking import MODEL, REQUESTS, fault, offered, ran
from tests.hub.token_watch import TOKEN, watched

pytestmark = pytest.mark.hub


@pytest.fixture
def provider(monkeypatch, caplog):
    with watched(monkeypatch, caplog) as server:
        yield server


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
