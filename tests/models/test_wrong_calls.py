"""Calls of the API that are wrong before they reach a function: one sentence, never an HTTP 500."""

import json

import httpx2 as httpx
import pytest

NOT_OURS = {"en": "This call names no endpoint", "ko": "이 페이지에 없는 기능"}


def post(address, path, body, lang="en"):
    return httpx.post(
        f"{address}/gradio_api/{path}",
        content=body if isinstance(body, str) else json.dumps(body),
        headers={"content-type": "application/json", "accept-language": lang},
        timeout=60,
    )


def event(address, path, body, lang="en"):
    """Call through the queue and return the last line of what it streams."""
    number = post(address, f"call/{path}", body, lang).json()["event_id"]
    told = httpx.get(f"{address}/gradio_api/call/{path}/{number}", headers={"accept-language": lang}, timeout=60).text
    return told.strip().splitlines()


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(
    "path, body",
    [
        ("run/sentiment", {"data": []}),
        ("run/nothing", {"data": ["a"]}),
        ("call/v2/nothing", {"text": "a"}),
        ("call/v2/sentiment", {"tekst": "a"}),
        ("call/nothing", {"data": ["a"]}),
        ("queue/join", {"data": [], "fn_index": 100_000, "session_hash": "x"}),
    ],
)
def test_a_call_of_nothing_we_have_is_one_sentence(address, path, body, lang):
    answer = post(address, path, body, lang)
    assert answer.status_code in (400, 404)
    assert answer.json().get("error", NOT_OURS[lang]).startswith(NOT_OURS[lang])


def test_a_wrong_input_of_an_unqueued_call_is_no_server_error(address):
    answer = post(address, "run/sentiment", {"data": ["", None]}, "ko")
    assert answer.status_code == 400
    assert answer.json()["error"] == "먼저 글을 써 주세요."


@pytest.mark.parametrize("body", ["nonsense", {}, {"data": {"a": 1}}])
def test_what_is_no_call_at_all_is_refused(address, body):
    assert post(address, "run/sentiment", body).status_code == 422


def test_values_left_out_are_the_defaults(address):
    few = post(address, "run/sentiment", {"data": ["정말 좋아요"]}).json()["data"]
    assert few == post(address, "run/sentiment", {"data": ["정말 좋아요", None]}).json()["data"]
    assert event(address, "sentiment", {"data": ["정말 좋아요"]})[-2] == "event: complete"


def test_too_few_values_through_the_queue_are_one_sentence(address):
    kind, data = event(address, "zero_shot", {"data": []}, "ko")[-2:]
    assert kind == "event: error"
    assert NOT_OURS["ko"] in json.loads(data.removeprefix("data: "))["error"]
