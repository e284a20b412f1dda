"""One stream of events for each page: before a page whose connection broke listens again, the old stream is ended.

Gradio gives all streams of a session the same messages to take from: one whose page is gone, which a server may learn
late, would take every other message, and end the events of the new one when it notices at last.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

LISTEN, HANG_UP = "/gradio_api/queue/data", "/gradio_api/queue/hang_up"


class Streams:
    """ASGI middleware: POST queue/hang_up?session_hash=… ends the streams of a session, and is answered when they are.

    Who asks knows the session's secret name; for one that nobody has it does nothing.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self.open: dict[str, set[asyncio.Task]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].endswith((LISTEN, HANG_UP)):
            return await self.app(scope, receive, send)
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
        if scope["path"].endswith(LISTEN):
            return await self._listen(session, self.app(scope, receive, send))
        streams = self.open.get(session, set()) if scope["method"] == "POST" else set()
        for stream in streams:
            stream.cancel()
        if streams:
            await asyncio.wait(streams, timeout=5)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _listen(self, session: str, answer: Any) -> None:
        stream = asyncio.ensure_future(answer)
        self.open.setdefault(session, set()).add(stream)
        try:
            await asyncio.wait({stream})
        finally:
            stream.cancel()
            streams = self.open[session]
            streams.discard(stream)
            if not streams:
                del self.open[session]
        if not stream.cancelled() and stream.exception() is not None:
            raise stream.exception()
