"""What the web server says to calls of the API that gradio itself cannot use: one sentence, never an HTTP 500."""

from __future__ import annotations

import json
import logging
from inspect import signature
from typing import Any

import gradio as gr
from gradio.blocks import BlockFunction
from starlette.requests import Request
from starlette.responses import JSONResponse

from tabs._i18n import language, say
from tabs._uploads import foreign

log = logging.getLogger(__name__)
CALLS = ("/gradio_api/run/", "/gradio_api/api/", "/gradio_api/call/", "/gradio_api/queue/join")


class Page(gr.Blocks):
    """Blocks whose endpoints may be called with the first few values alone: the functions' defaults are the rest.

    Files among the values must have been uploaded: an address would be fetched by gradio before anything is asked.
    """

    async def process_api(self, block_fn: Any, inputs: list[Any], *rest: Any, **more: Any) -> dict[str, Any]:
        function = block_fn if isinstance(block_fn, BlockFunction) else self.fns[block_fn]
        if foreign(inputs):
            told = say(language(more.get("request")), "error.image_not_uploaded")
            raise gr.Error(told, print_exception=False)
        if function.api_visibility == "public":
            named = [p for p in signature(function.fn).parameters.values() if p.annotation is not gr.Request]
            for parameter in named[len(inputs) :]:
                if parameter.default is parameter.empty:
                    told = say(language(more.get("request")), "error.bad_call")
                    raise gr.Error(told, print_exception=False)
                inputs.append(parameter.default)
        return await super().process_api(block_fn, inputs, *rest, **more)


class InWords:
    """ASGI middleware: a call that cannot be answered is a 400 with one sentence, in the caller's language.

    Gradio answers 500 to a wrong input of an unqueued call, and lets an unknown endpoint or parameter fall through as
    an unhandled exception.
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
            if message["type"] == "http.response.start" and message["status"] == 500:
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
            await JSONResponse(_told(body, Request(scope)), 400)(scope, receive, send)


def _told(body: bytes, request: Request) -> dict[str, Any]:
    """Return gradio's own answer where it holds a sentence, else ours."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if isinstance(said, dict) and isinstance(said.get("error"), str):
        return said
    return {"error": say(language(request), "error.bad_call")}
