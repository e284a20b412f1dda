"""What stands before gradio's web server: which addresses exist, how much may come, how often, and how many at once.

Everything that is refused gets one sentence in the caller's language, at once, and before anything of it is understood.
Static files and what a health check asks are free.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from ipaddress import IPv6Address, ip_address
from typing import Any

from starlette.formparsers import MultiPartException
from starlette.requests import Request

from settings import SETTINGS, Settings
from tabs import _uploads
from tabs._headers import secured
from tabs._i18n import language, say
from tabs._rates import Buckets, Open
from tabs._upload_folder import Room

log = logging.getLogger(__name__)

MB = 1_000_000
BURST_S = 10.0
# What only fetches an answer that was promised is cheaper than what asks for one.
FOLLOWING = 3
MOST_VALUES = 50_000
MOST_DIRECT = 64  # of app.py's max_threads: what does not wait in the queue shall leave some to what does
BUSY_S = 5
SPARE_FILES = 1_000
BODY_S = 30.0  # for what is no upload
FREE = re.compile(
    r"/(?:(?:assets|static|svelte)/.*|favicon\.ico|robots\.txt|manifest\.json|pwa_icon.*|health.*"
    r"|(?:gradio_api/)?theme\.css|gradio_api/(?:startup-events|app_id)/?)",
    re.DOTALL,
)
# All of gradio's own addresses that the page, its clients and MCP use; what is new in a later gradio stays closed.
OPEN_API = re.compile(
    r"/gradio_api/(?:info|openapi\.json|app_id|user|login_check|startup-events|theme\.css|queue/(?:join|data|status|hang_up)"
    r"|upload|upload_progress|heartbeat/[^/]+|(?:run|api)/[^/]+|call/(?:v2/)?[^/]+(?:/[^/]+)?|cancel|reset"
    r"|file=.+|mcp(?:/.*)?)/?",
    re.DOTALL,
)
CLOSED = re.compile(r"/(?:login|logout|monitoring|openapi\.json|docs|redoc)(?:/.*)?", re.DOTALL)
CALL = re.compile(r"/gradio_api/(?:queue/join|(?:run|api)/[^/]+|call/(?:v2/)?[^/]+)/?")
SESSION = re.compile(rb'(?<!\\)"session_hash"\s*:\s*"([^"\\]{1,80})"')
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


class Refused(Exception):
    """A request that goes no further.

    Attributes:
        status: Of HTTP.
        key: Of the sentence, bounds.<key>.
        params: What the sentence names.
        retry_s: When to try again, in seconds; None where that would not help.
    """

    def __init__(self, status: int, key: str, retry_s: int | None = None, **params: object) -> None:
        self.status, self.key, self.retry_s, self.params = status, key, retry_s, params
        super().__init__(key)

    async def answer(self, scope: Any, send: Any) -> None:
        """Send the sentence: as JSON to programs, as text to an upload, as a page to who opens one."""
        path, lang = scope["path"], language(Request(scope))
        said = say(lang, f"bounds.{self.key}", **self.params)
        if path.endswith("/upload"):
            kind, body = "text/plain", said
        elif "/gradio_api/" in path or scope["method"] not in ("GET", "HEAD"):
            kind, body = "application/json", json.dumps({"error": said, "detail": said}, ensure_ascii=False)
        else:
            kind = "text/html"
            body = f'<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{said}</title><p>{said}</p></html>'
        data = body.encode()
        headers = [
            (b"content-type", f"{kind}; charset=utf-8".encode()),
            (b"content-length", str(len(data)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if self.retry_s is not None:
            headers.append((b"retry-after", str(self.retry_s).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else data})


class Guard:
    """ASGI middleware that refuses what is closed, too much, too often, or too many at once.

    Args:
        app: What comes after it.
        room: Of the upload folder.
        bounds: The settings.
    """

    def __init__(self, app: Any, room: Room, bounds: Settings = SETTINGS) -> None:
        self.app, self.room, self.bounds = app, room, bounds
        self._pages = Buckets(bounds.calls_per_s, BURST_S)
        self._addresses = Buckets(bounds.address_calls_per_s, BURST_S)
        self._followers = Buckets(bounds.address_calls_per_s * FOLLOWING, BURST_S)
        self._open = Open(bounds.max_open, bounds.address_open)
        self._direct = Open(MOST_DIRECT, 0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":  # gradio has none
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"].removeprefix(scope.get("root_path") or "") or "/"
        send = _Sent(secured(path, send))
        try:
            if FREE.fullmatch(path):
                return await self.app(scope, receive, send)
            _exists(path)
            address = self._address(scope)
            if self._open.full(address):
                raise Refused(503, "busy", BUSY_S, seconds=BUSY_S)
            with self._open.one(address):
                await self._let_in(scope, path, address, receive, send)
        except Refused as refused:
            await _refuse(refused, scope, send)
        except Exception as error:
            if not send.begun:
                raise
            # The answer is under way, so all that is left is to end it in order.
            log.info("an answer broke off: %s %r", path, error)
            await send({"type": "http.response.body", "body": b""})

    async def _let_in(self, scope: Any, path: str, address: str, receive: Any, send: _Sent) -> None:
        posts = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        uploads = posts and path.rstrip("/") == "/gradio_api/upload"
        asks = (posts and CALL.fullmatch(path)) or uploads or (not posts and "/gradio_api/" not in path)
        _slow_down((self._addresses if asks else self._followers).take(address))
        if uploads:
            await self.app(scope, self._bounded(scope, receive, send), send)
            if send.refused is not None:
                raise send.refused
            return
        if not posts:
            return await self.app(scope, receive, send)
        try:
            async with asyncio.timeout(BODY_S):
                body = await self._whole(scope, receive)
        except TimeoutError:
            raise Refused(408, "slow") from None
        session = SESSION.search(body)
        if session:
            _slow_down(self._pages.take(session[1].decode("latin-1")))
        if not path.startswith(("/gradio_api/run/", "/gradio_api/api/")):
            return await self.app(scope, _again(body, receive), send)
        if self._direct.full(""):
            raise Refused(429, "busy", BUSY_S, seconds=BUSY_S)
        with self._direct.one(""):
            await self.app(scope, _again(body, receive), send)

    async def _whole(self, scope: Any, receive: Any) -> bytes:
        """Read a body that is no upload, and no more of it than may come."""
        most = self.bounds.max_body_mb * MB
        too_much = Refused(413, "body", limit_mb=self.bounds.max_body_mb)
        if 0 < most < _length(scope):
            raise too_much
        chunks, size = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                break
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if 0 < most < size:
                raise too_much
            if not message.get("more_body"):
                break
        body = b"".join(chunks)
        if body.count(b",") > MOST_VALUES and _STRINGS.sub(b"", body).count(b",") > MOST_VALUES:
            raise Refused(413, "values", limit=f"{MOST_VALUES:,}")
        return body

    def _bounded(self, scope: Any, receive: Any, send: _Sent) -> Any:
        """Return a receive that counts an upload's bytes and files as they come, and ends it when it is too much."""
        bounds = self.bounds
        too_much = Refused(413, "upload", limit_mb=bounds.max_upload_mb)
        if self.room.full():
            raise Refused(507, "full", 600)
        if 0 < bounds.max_upload_mb * MB < _length(scope):
            raise too_much
        found = re.search(r'boundary="?([^";,]+)', _header(scope, b"content-type"))
        mark = b"--" + found[1].encode("latin-1") if found else b""
        size, parts, tail = 0, 0, b""

        async def counted() -> Any:
            nonlocal size, parts, tail
            message = await receive()
            if message["type"] != "http.request":
                return message
            body = message.get("body", b"")
            size += len(body)
            self.room.add(len(body))
            if mark:
                seen = tail + body
                parts += seen.count(mark)
                tail = seen[-(len(mark) - 1) :] if len(mark) > 1 else b""
            if 0 < bounds.max_upload_mb * MB < size:
                send.refused = too_much
            elif 0 < bounds.max_files < parts - 1:  # the last mark closes the body
                send.refused = Refused(413, "files", limit=bounds.max_files)
            elif self.room.full():
                send.refused = Refused(507, "full", 600)
            if send.refused is not None:
                raise MultiPartException(send.refused.key)  # what makes gradio take away what it has written
            return message

        return counted

    def _address(self, scope: Any) -> str:
        """Return who asks: behind proxies, what the outermost trusted one saw; of IPv6 the network, not the machine."""
        client = (scope.get("client") or ("",))[0]
        behind = self.bounds.proxies or int("SPACE_ID" in os.environ)
        if behind:
            seen = [part.strip() for part in _header(scope, b"x-forwarded-for").split(",") if part.strip()]
            client = seen[-behind] if len(seen) >= behind else client
        try:
            address = ip_address(client)
        except ValueError:
            return client[:80]
        return str(int(address) >> 64) if isinstance(address, IPv6Address) else client


class _Sent:
    """An ASGI send that knows whether an answer has begun; once refused, what the app would answer is dropped."""

    def __init__(self, send: Any) -> None:
        self._send, self.begun, self.refused = send, False, None

    async def __call__(self, message: Any) -> None:
        if self.refused is None or self.begun:
            self.begun = True
            await self._send(message)


async def _refuse(refused: Refused, scope: Any, send: _Sent) -> None:
    if not send.begun:
        send.refused = None
        await refused.answer(scope, send)


def allow_open(connections: int) -> None:
    """Let this process have so many connections open, where the system allows it; often it begins at a thousand."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if least != resource.RLIM_INFINITY and least < wanted:
        allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, allowed), most))


def _exists(path: str) -> None:
    if path.startswith("/gradio_api") and not OPEN_API.fullmatch(path) or CLOSED.fullmatch(path):
        raise Refused(404, "closed")
    _, is_file, name = path.partition("/gradio_api/file=")
    if is_file and not _uploads.uploaded(name):
        raise Refused(404, "closed")


def _slow_down(wait_s: float) -> None:
    if wait_s:
        seconds = max(1, round(wait_s + 0.5))
        raise Refused(429, "too_fast", seconds, seconds=seconds)


def _again(body: bytes, receive: Any) -> Any:
    """Return a receive that gives a body that was read already, then whatever comes."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Any:
        return left.pop() if left else await receive()

    return given


def _header(scope: Any, name: bytes) -> str:
    return b",".join(value for key, value in scope["headers"] if key == name).decode("latin-1")


def _length(scope: Any) -> int:
    given = _header(scope, b"content-length")
    return int(given[:20]) if given.isdecimal() else 0
