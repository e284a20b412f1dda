"""Gradio's own scripts, styles and fonts: read and compressed once, and told to browsers to keep.

Gradio reads and compresses each of the hundred anew for every visitor, a second of the processor when thirty open the
page at once, and lets no browser keep them. Those below /assets carry a hash of their content in their names.
"""

from __future__ import annotations

from typing import Any

from tabs._front_page import Made, ask

FOREVER = b"public, max-age=31536000, immutable"
A_DAY = b"public, max-age=86400"
LARGEST = 4_000_000
MOST_BYTES = 64_000_000
CONDITIONS = {b"range", b"if-none-match", b"if-modified-since"}


class KeptFiles:
    """ASGI middleware that answers for files it has seen once."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._kept: dict[str, Made] = {}
        self._bytes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        asked = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not asked or not path.startswith(("/assets/", "/static/")):
            return await self._app(scope, receive, send)
        made = self._kept.get(path)
        if made is None:
            whole = [pair for pair in scope["headers"] if pair[0] not in CONDITIONS]
            start, body = await ask(self._app, scope | {"headers": whole, "extensions": {}}, receive)
            made = self._keep(path, start, body)
        if made is not None:
            return await made.answer(dict(scope["headers"]), scope["method"] == "HEAD", send)
        await send(start)
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _keep(self, path: str, start: Any, body: bytes) -> Made | None:
        """Keep a file; None for one that is not there, is large, or finds no room."""
        if start["status"] != 200 or len(body) > LARGEST or self._bytes + len(body) > MOST_BYTES:
            return None
        self._bytes += len(body)
        return self._kept.setdefault(
            path, Made(200, start["headers"], body, FOREVER if path.startswith("/assets/") else A_DAY)
        )
