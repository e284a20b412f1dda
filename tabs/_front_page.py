"""The page itself: made once for each address it is reached by, language.js first in its head, its scripts named in its
policy.

Gradio makes the half megabyte anew for every visitor, a tenth of a second of the processor, and sends it uncompressed.
Nothing in it depends on who asks: language, tab and answers are all found later.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from collections import OrderedDict
from typing import Any

import brotli

from settings import ROOT
from tabs._headers import INLINE, policy

MOST_KEPT = 8
# All that gradio makes the page's own address from.
ADDRESS = (b"host", b"x-forwarded-host", b"x-forwarded-proto", b"x-gradio-server")
TEXT = re.compile(rb"text/|application/(?:javascript|json|manifest)|image/svg")
OWN = {b"content-length", b"etag", b"last-modified", b"accept-ranges", b"cache-control", b"vary"}


class FrontPage:
    """ASGI middleware.

    Args:
        app: What makes the page.
        paths: Of the pages, without slashes around them.
        head: The HTML that gradio's own script adds to the head.
    """

    def __init__(self, app: Any, paths: tuple[str, ...], head: str) -> None:
        self._app, self._paths = app, paths
        self._script = f"<script>{(ROOT / 'assets' / 'language.js').read_text('utf-8')}</script>".encode()
        self._later = [found.group(1).decode() for found in INLINE.finditer(head.encode())]
        self._kept: OrderedDict[tuple[Any, ...], Made] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not asked or scope["path"].strip("/") not in self._paths:
            return await self._app(scope, receive, send)
        given = dict(scope["headers"])
        if scope["method"] == "HEAD":  # gradio's own question whether it is up: not worth making the page for
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
            return await send({"type": "http.response.body"})
        key = (scope["path"], scope.get("root_path"), *(given.get(name) for name in ADDRESS))
        async with self._one_at_a_time:
            made = self._kept.pop(key, None) or await self._make(scope, receive)
            if made.status == 200:
                self._kept[key] = made
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
        await made.answer(given, False, send)

    async def _make(self, scope: Any, receive: Any) -> Made:
        start, body = await ask(self._app, scope, receive)
        body = body.replace(b"<head>", b"<head>" + self._script, 1)
        named = (b"content-security-policy", policy(body, self._later))
        return Made(start["status"], [*start["headers"], named], body)


class Made:
    """An answer that is the same for everybody, as it is sent: plain, and compressed once.

    Args:
        status: Of HTTP.
        headers: Of the app's answer.
        body: Not compressed.
        fresh: How long a browser may keep it without asking.
    """

    def __init__(self, status: int, headers: Any, body: bytes, fresh: bytes = b"no-cache") -> None:
        self.status = status
        self._tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
        self._headers = [pair for pair in headers if pair[0].lower() not in OWN]
        self._headers += [(b"etag", self._tag), (b"cache-control", fresh), (b"vary", b"accept-encoding")]
        kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
        self._bodies = {}
        if len(body) > 400 and TEXT.match(kind):
            self._bodies = {b"br": brotli.compress(body, quality=6), b"gzip": gzip.compress(body, 6)}
        self._bodies[b""] = body
        self.size = sum(map(len, self._bodies.values()))

    async def answer(self, given: dict[bytes, bytes], only_head: bool, send: Any) -> None:
        """Send what the visitor's browser can read, or nothing when it has it already.

        Args:
            given: The request's headers.
            only_head: Send no body.
            send: Of ASGI.
        """
        if self.status == 200 and self._tag in given.get(b"if-none-match", b""):
            await send({"type": "http.response.start", "status": 304, "headers": self._headers})
            return await send({"type": "http.response.body"})
        accepted = given.get(b"accept-encoding", b"").lower()
        coding = next(name for name in self._bodies if name in accepted)
        body = self._bodies[coding]
        headers = [*self._headers, (b"content-length", str(len(body)).encode())]
        if coding:
            headers.append((b"content-encoding", coding))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if only_head else body})


async def ask(app: Any, scope: Any, receive: Any) -> tuple[dict[str, Any], bytes]:
    """Return what an ASGI app answers to a GET, as (start message, body)."""
    start: dict[str, Any] = {}
    chunks: list[bytes] = []

    async def hold(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            chunks.append(message.get("body", b""))

    await app(scope | {"method": "GET", "query_string": b""}, receive, hold)
    return start, b"".join(chunks)
