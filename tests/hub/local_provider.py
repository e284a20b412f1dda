"""Hugging Face's router and its providers on 127.0.0.1: who offers a model, the pictures they paint, the texts, boxes.

Speaks what InferenceClient asks for; the requests for text are those of local_texts.py, for boxes local_objects.py:

    GET  /api/models/{id}?expand=inferenceProviderMapping      who offers the model
    POST /router/hf-inference/models/{id}                      answers with a picture
    POST /router/together/v1/images/generations                answers with JSON that holds a picture in base64
    POST /router/fal-ai/{provider's id}                        answers with JSON that names /files/picture.png

Example:
    >>> with LocalProvider() as provider:
    ...     provider.offers["owner/painter"] = offer("hf-inference")
    ...     provider.answers.append(Answer(429, headers={"Retry-After": "1"}))      # then pictures again
"""

from __future__ import annotations

import base64
import io
import json
import struct
import threading
import time
import zlib
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.hub import local_objects, local_texts


@dataclass(frozen=True)
class Answer:
    """What a POST is answered.

    Attributes:
        status: Of anything but 200 the body is the error's text.
        body: None: what a good provider answers, such as a picture of the size that was asked for.
        headers: More headers.
        cut: Bytes of the body that are sent before the connection is closed; None sends all.
        stalled: Nothing is answered until `LocalProvider.released` is set.
        pace: Seconds between the lines of the body.
    """

    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stalled: bool = False
    pace: float = 0.0


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class LocalProvider:
    """The server.

    Attributes:
        offers: {model id: what its inferenceProviderMapping says}; other models do not exist.
        lookup: What the Hub answers instead.
        masks: {model id: how it writes a mask}.
        answers: Of the next POSTs; a good one each when there is none.
        requests: What arrived.
    """

    def __init__(self) -> None:
        self.offers: dict[str, dict[str, Any]] = {}
        self.masks: dict[str, str] = {}
        self.lookup: Answer | None = None
        self.answers: deque[Answer] = deque()
        self.requests: list[Request] = []
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> LocalProvider:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]


def offer(*providers: str, task: str = "text-to-image", status: str = "live") -> dict[str, Any]:
    """Return a mapping in which these providers offer a model."""
    return {name: {"status": status, "providerId": f"at-{name}/painter", "task": task} for name in providers}


def picture_file(width: int = 64, height: int = 64, color: str = "red", mode: str = "RGB", form: str = "PNG") -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new(mode, (width, height), color).save(buffer, form)
    return buffer.getvalue()


def claiming(width: int, height: int) -> bytes:
    """Return a PNG whose header tells of more pixels than are there."""
    data = picture_file()
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    provider: LocalProvider

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent when a client leaves: tests do that on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        provider, url = self.server.provider, urlsplit(self.path)
        self._remember({})
        if url.path == "/files/picture.png":
            return self._send(Answer(body=picture_file()))
        model_id = url.path.removeprefix("/api/models/")
        if provider.lookup is not None:
            return self._send(provider.lookup)
        if model_id not in provider.offers:
            # As the real Hub answers strangers about a missing or a private repository.
            return self._send(Answer(401, b'{"error":"Invalid username or password."}'))
        found, expand = {"id": model_id, "_id": "0"}, parse_qs(url.query).get("expand", [])
        if "inferenceProviderMapping" in expand:
            found["inferenceProviderMapping"] = provider.offers[model_id]
        if "mask_token" in expand and model_id in provider.masks:
            found["mask_token"] = provider.masks[model_id]
        if not expand:
            task = next(iter(provider.offers[model_id].values()), {"task": None})["task"]
            tag = local_texts.TAGS.get(task, task)
            embeds = ["feature-extraction"] if tag == "sentence-similarity" else []
            found |= {"pipeline_tag": tag, "tags": [tag, *embeds]}
        self._send(Answer(body=json.dumps(found).encode()))

    def do_POST(self) -> None:
        provider = self.server.provider
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self._remember(body)
        answer = provider.answers.popleft() if provider.answers else Answer()
        if answer.stalled:
            provider.released.wait(60)
        if answer.body is None and answer.status == 200:
            task = self._task(body)
            if task == "text-to-image":
                good = self._painted(body)
            elif task == "object-detection":
                good = local_objects.answer(body)
            else:
                good = local_texts.answer(self.path, body, task)
            answer = Answer(headers=answer.headers, body=good, pace=answer.pace)
        self._send(answer)

    def _task(self, body: dict[str, Any]) -> str | None:
        """Return the task that the model is offered for; other providers are asked with ids of their own."""
        for model_id, offers in self.server.provider.offers.items():
            for name, offered in offers.items():
                if f"/{name}/" in self.path and (model_id in self.path or name != "hf-inference"):
                    return offered["task"]
        return None

    def _painted(self, body: dict[str, Any]) -> bytes:
        wished = body.get("parameters", body)
        wished = wished | wished.get("image_size", {})
        picture = picture_file(wished["width"], wished["height"])
        if "/together/" in self.path:
            return json.dumps({"data": [{"b64_json": base64.b64encode(picture).decode()}]}).encode()
        if "/fal-ai/" in self.path:
            return json.dumps({"images": [{"url": f"{self.server.provider.url}/files/picture.png"}]}).encode()
        return picture

    def _remember(self, body: dict[str, Any]) -> None:
        request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.provider.requests.append(request)

    def _send(self, answer: Answer) -> None:
        body = answer.body or b""
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for line in body[: answer.cut].splitlines(keepends=True) if answer.pace else [body[: answer.cut]]:
            self.wfile.write(line)
            time.sleep(answer.pace)
        if answer.cut is not None:
            self.close_connection = True
