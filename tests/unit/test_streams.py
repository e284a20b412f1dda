"""The streams of a page: a page that lost its connection ends the old one, others stay, and faults stay faults."""

import asyncio
from contextlib import suppress

import pytest

from tabs._streams import HANG_UP, LISTEN, Streams
from tests.unit.watching import run_apart


def request(path, session="", method="GET"):
    return {"type": "http", "method": method, "path": path, "query_string": f"session_hash={session}".encode()}


class Listening:
    """An app whose streams last until they are cancelled, and take a moment to end, as gradio's do."""

    def __init__(self):
        self.ended = []

    async def __call__(self, scope, receive, send):
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            self.ended.append(scope["query_string"])
            raise


async def answer(app, scope):
    sent = []

    async def send(message):
        sent.append(message)

    await app(scope, None, send)
    return sent


def test_hanging_up_ends_the_streams_of_that_session_before_it_is_answered():
    async def story():
        inner = Listening()
        app = Streams(inner)
        streams = [asyncio.create_task(answer(app, request(LISTEN, name))) for name in ("a", "a", "b")]
        await asyncio.sleep(0.01)
        sent = await answer(app, request(HANG_UP, "a", "POST"))
        assert inner.ended == [b"session_hash=a"] * 2 and sent[0]["status"] == 204
        await asyncio.wait(streams[:2], timeout=1)
        assert all(stream.done() for stream in streams[:2]) and not streams[2].done()
        assert list(app.open) == ["b"]
        streams[2].cancel()  # as a server that shuts down does
        with suppress(asyncio.CancelledError):
            await streams[2]
        await asyncio.sleep(0.1)
        assert len(inner.ended) == 3 and not app.open

    run_apart(story())


@pytest.mark.parametrize(("session", "method"), [("unknown", "POST"), ("", "POST"), ("a", "GET")])
def test_for_what_is_no_stream_or_no_order_nothing_happens(session, method):
    async def story():
        inner = Listening()
        app = Streams(inner)
        stream = asyncio.create_task(answer(app, request(LISTEN, "a")))
        await asyncio.sleep(0.01)
        assert (await answer(app, request(HANG_UP, session, method)))[0]["status"] == 204
        assert not inner.ended and not stream.done()
        stream.cancel()

    run_apart(story())


def test_a_stream_that_fails_fails_and_everything_else_passes_through():
    async def broken(scope, receive, send):
        if scope["path"] == LISTEN:
            raise KeyError("session")
        await send(scope["path"])

    async def story():
        app = Streams(broken)
        with pytest.raises(KeyError):
            await answer(app, request(LISTEN, "a"))
        assert not app.open and await answer(app, request("/gradio_api/queue/join")) == ["/gradio_api/queue/join"]

    run_apart(story())
