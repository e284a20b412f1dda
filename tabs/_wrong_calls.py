"""What the web server says to calls of the API that gradio itself cannot use: one sentence, never an HTTP 500."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any

import gradio as gr
from gradio.blocks import BlockFunction
from starlette.requests import Request
from starlette.responses import JSONResponse

from tabs import _waiting
from tabs._i18n import language, say
from tabs._uploads import foreign

log = logging.getLogger(__name__)
CALLS = tuple(f"/gradio_api/{name}" for name in ("run/", "api/", "call/", "queue/join", "cancel", "reset", "upload"))
BECOMES = {500: 400, 503: 429, 422: 422}
LATER_S, MOST_EVENTS = 30, 1_000_000
_language: ContextVar[str] = ContextVar("language", default="en")


class Page(gr.Blocks):
    """Blocks whose endpoints may be called with the first few values alone: the functions' defaults are the rest.

    Files among the values must have been uploaded: an address would be fetched by gradio before anything is asked.
    What fits no field is one sentence; gradio would give the whole value back, or its own words.
    """

    def queue(self, *args: Any, **options: Any) -> Page:
        # How many may wait _waiting.py decides; left to gradio, it would be one on a Space with ZeroGPU.
        super().queue(*args, **{"max_size": MOST_EVENTS} | options)
        _waiting.bound(self)
        return self

    async def process_api(self, block_fn: Any, inputs: list[Any], *rest: Any, **more: Any) -> dict[str, Any]:
        function = block_fn if isinstance(block_fn, BlockFunction) else self.fns[block_fn]
        request, event = more.get("request"), more.get("event_data")
        batched = isinstance(request, list)  # nothing of ours takes a batch
        lang = language(request[0] if batched and request else None if batched else request)
        _language.set(lang)
        if foreign(inputs):
            raise _told_error(lang, "image_not_uploaded")
        if batched or function.fn is None:  # None: an event of the browser alone
            raise _told_error(lang, "bad_call")
        if event is not None and not isinstance(event._data, dict):
            event._data = {}
        if function.api_visibility == "public":
            for parameter in _parameters(function.fn)[len(inputs) :]:
                if parameter.default is parameter.empty:
                    raise _told_error(lang, "bad_call")
                inputs.append(parameter.default)
        try:
            return await super().process_api(block_fn, inputs, *rest, **more)
        except gr.Error:
            raise
        except Exception:
            log.exception("the handler %s failed", function.name)
            raise _told_error(lang, "unexpected") from None

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **more: Any) -> Any:
        try:
            return await super().preprocess_data(block_fn, inputs, *rest, **more)
        except Exception as error:
            log.info("values that %s cannot take: %.200r", block_fn.name, error)
            raise _told_error(_language.get(), "bad_call") from None


@lru_cache(maxsize=256)
def _parameters(function: Any) -> list[Parameter]:
    """Return what a caller gives to an endpoint."""
    return [p for p in signature(function).parameters.values() if p.annotation is not gr.Request]


def _told_error(lang: str, key: str) -> gr.Error:
    return gr.Error(say(lang, f"error.{key}"), print_exception=False)


class InWords:
    """ASGI middleware: a call that cannot be answered is a 400 with one sentence, in the caller's language.

    Gradio answers 500 to a wrong input of an unqueued call, lets an unknown endpoint or parameter fall through as an
    unhandled exception, and gives back what it could not read (422). A full queue is its 503, for which its page has a
    sentence of its own; as a 429 ours is shown.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not any(path in scope["path"] for path in CALLS):
            return await self.app(scope, receive, send)
        held: dict[str, Any] = {}
        body = b""
        begun = False

        async def checked(message: Any) -> None:
            nonlocal begun, body
            if message["type"] == "http.response.start" and message["status"] in BECOMES:
                held.update(message)
            elif held:
                body += message.get("body", b"")
            else:
                begun = True
                await send(message)

        try:
            await self.app(scope, receive, checked)
        except Exception as error:
            if begun:
                raise
            log.info("a call that could not be answered: %s %r", scope["path"], error)
            held["status"] = 500
        if held:
            status = BECOMES[held["status"]]
            later = {"retry-after": str(LATER_S)} if status == 429 else None
            await JSONResponse(_told(body, Request(scope)), status, later)(scope, receive, send)


def _told(body: bytes, request: Request) -> dict[str, Any]:
    """Return gradio's own answer where it holds a sentence, else ours; its page shows what "detail" says."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if isinstance(said, dict):
        if isinstance(said.get("error"), str):
            return said
        if isinstance(said.get("detail"), str):
            return said | {"error": said["detail"]}
    told = say(language(request), "error.bad_call")
    return {"error": told, "detail": told}
