"""Gradio's own scripts, styles and fonts: read and compressed once, and told to browsers to keep.

Gradio reads and compresses each of the hundred anew for every visitor, a second of the processor when thirty open the
page at once, and lets no browser keep them. Those below /assets carry a hash of their content in their names.
"""

from __future__ import annotations

from typing import Any

from tabs._front_page import Made

FOREVER = b"public, max-age=31536000, immutable"
A_DAY = b"public, max-age=86400"
LARGEST = 4_000_000
MOST_BYTES = 64_000_000
AS_SENT = {b"content-length", b"accept-ranges", b"etag", b"last-modified"}


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
        given = dict(scope["headers"])
        if path not in self._kept and (b"range" in given or not await self._keep(path, scope, receive)):
            return await self._app(scope, receive, send)
        await self._kept[path].answer(given, scope["method"] == "HEAD", send)

    async def _keep(self, path: str, scope: Any, receive: Any) -> bool:
        """Read a file; False for one that is not there, is large, or finds no room."""
        start: dict[str, Any] = {}
        chunks: list[bytes] = []

        async def hold(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                chunks.append(message.get("body", b""))

        plain = [pair for pair in scope["headers"] if pair[0] not in (b"if-none-match", b"if-modified-since")]
        await self._app(scope | {"method": "GET", "headers": plain, "extensions": {}}, receive, hold)
        body = b"".join(chunks)
        if start["status"] != 200 or len(body) > LARGEST or self._bytes + len(body) > MOST_BYTES:
            return False
        headers = [pair for pair in start["headers"] if pair[0].lower() not in AS_SENT]
        self._bytes += len(body)
        self._kept[path] = Made(200, headers, body, FOREVER if path.startswith("/assets/") else A_DAY)
        return True
