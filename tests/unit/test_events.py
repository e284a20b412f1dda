"""Events without what nobody looks at: answered as before, over real HTTP."""

import json
import sys
import uuid
from contextlib import contextmanager
from types import SimpleNamespace

import gradio as gr
import httpx2 as httpx
import pytest
from gradio import queueing, route_utils, state_holder, utils

from tabs import _events, _sessions
from tabs._events import FIRST


def double(text: str) -> str:
    if text == "wrong":
        raise gr.Error("no such text", print_exception=False)
    return text * 2


@contextmanager
def serving(**options):
    """Serve a page of one event; what is changed of gradio meanwhile is put back."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (queueing, "run_sync"),
            (utils, "MatplotlibBackendMananger"),
            (state_holder, "SessionState"),
            (route_utils, "SessionState"),
        ):
            patch.setattr(owner, name, getattr(owner, name))
        with gr.Blocks(analytics_enabled=False) as page:
            text = gr.Textbox()
            text.submit(double, text, text, api_name="double")
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, show_error=True, **options)
        try:
            yield page, url
        finally:
            page.close()


class Looking:
    """Notes which modules are looked for on the disk."""

    def __init__(self):
        self.sought = []

    def find_spec(self, name, path=None, target=None):
        self.sought.append(name)


def leads(page):
    """Where each address leads."""
    found = {}
    for included in page.app.routes:
        for route in getattr(getattr(included, "original_router", None), "routes", [included]):
            for method in sorted(getattr(route, "methods", None) or ()):
                found.setdefault((method, route.path), route.endpoint)
    return found


@pytest.fixture(scope="module")
def cheap():
    """A page, made cheap, with what was so before."""
    with serving() as (page, url), pytest.MonkeyPatch.context() as patch:
        looking = Looking()
        patch.setattr(sys, "meta_path", [looking, *sys.meta_path])
        patch.delitem(sys.modules, "matplotlib", raising=False)
        called(url, "before")
        before = leads(page)
        assert page._queue.event_analytics and "matplotlib" in looking.sought  # or there is nothing to leave out
        _events.make_cheap(page)
        _sessions.make_cheap(page)
        page._queue.event_analytics.clear()
        looking.sought.clear()
        yield SimpleNamespace(page=page, url=url, before=before, looking=looking)


def called(url, text):
    with httpx.Client(base_url=url, timeout=30) as client:
        event = client.post("/gradio_api/call/double", json={"data": [text]}).json()["event_id"]
        return client.get(f"/gradio_api/call/double/{event}").text


def queued(url, text, session):
    """The messages of an event as the page asks for it."""
    body = {"data": [text], "fn_index": 0, "session_hash": session}
    with httpx.Client(base_url=url, timeout=30) as client:
        client.post("/gradio_api/queue/join", json=body).raise_for_status()
        with client.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
            return [json.loads(line.removeprefix("data:")) for line in stream.iter_lines() if line]


def test_an_event_is_answered_as_before(cheap):
    assert '["abab"]' in called(cheap.url, "ab")
    assert "no such text" in called(cheap.url, "wrong")
    assert httpx.post(f"{cheap.url}gradio_api/run/double", json={"data": ["ab"]}).json()["data"] == ["abab"]
    told = queued(cheap.url, "ab", "a-page")
    assert [each["msg"] for each in told][-2:] == ["process_completed", "close_stream"]
    assert told[-2]["output"]["data"] == ["abab"]


def test_no_table_of_events_is_kept(cheap, monkeypatch):
    made = []
    monkeypatch.setattr(cheap.page._queue, "_get_df", made.append)
    called(cheap.url, "ab")
    assert not cheap.page._queue.event_analytics and not made


def test_matplotlib_is_not_looked_for(cheap):
    called(cheap.url, "ab")
    assert "matplotlib" not in cheap.looking.sought


def test_what_goes_through_an_event_does_not_stay_with_its_session(cheap):
    secret, session = uuid.uuid4().hex, "another-page"
    assert queued(cheap.url, secret, session)[-2]["output"]["data"] == [secret * 2]
    assert session in cheap.page.app.state_holder
    assert secret not in repr(cheap.page.app.state_holder[session].config_values)


def test_every_address_leads_where_it_led_and_those_of_events_come_first(cheap):
    assert leads(cheap.page) == cheap.before
    first = cheap.page.app.routes[0].original_router.routes[: len(FIRST)]
    assert {route.path.removeprefix("/gradio_api") for route in first} == set(FIRST)


def test_nobody_is_asked_for_a_login_that_there_is_not(cheap):
    asked = [each.dependency.__name__ for each in cheap.page.app.routes[0].original_router.routes[0].dependencies]
    assert "login_check" not in asked


def test_a_page_with_a_login_still_asks_for_it():
    with serving(auth=("teacher", "secret")) as (page, url):
        _events.make_cheap(page)
        for path in ("call/double", "run/double", "queue/join"):
            body = {"data": ["ab"], "fn_index": 0, "session_hash": "a-page"}
            assert httpx.post(f"{url}gradio_api/{path}", json=body).status_code == 401
