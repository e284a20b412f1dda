"""The visitor's own token at a provider, and what is refused before anything is sent."""

from __future__ import annotations

import json
import threading

import pytest

from pipelines import remote
from pipelines.remote_texts import answer_remotely
from pipelines.run import Run
from tests.hub import local_texts
from tests.hub.local_hub import wait_for
from tests.hub.local_provider import Answer, offer
from tests.hub.remote_asking import MODEL, REQUESTS, fault, offered, ran
from tests.hub.token_watch import TOKEN, fault_of, watched

pytestmark = pytest.mark.hub


@pytest.fixture
def provider(monkeypatch, caplog):
    with watched(monkeypatch, caplog) as server:
        yield server


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
