"""An InferenceClient for one visitor's request: connections, cookies and limits of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import httpx2
from huggingface_hub import InferenceClient
from huggingface_hub.utils import hf_raise_for_status

from pipelines.errors import VisitorError

MOST_ERROR_BYTES = 64_000
KEPT_HEADERS = ("retry-after", "content-type")


class OwnClient(InferenceClient):
    """As InferenceClient, but nothing of it is shared between visitors, and no answer is read without end.

    huggingface_hub keeps one connection pool for all: a cookie that the router sets for one visitor would go with the
    next one's request. A redirect is not followed, for the token would go with it.

    Args:
        provider: Name of the provider.
        secret: The visitor's token.
        model: Address that stands for the model, where the provider is asked by address.
        timeout_s: Longest silence, and longest time for a whole answer.
        most_bytes: Longest answer.
        stop: When it is set, no more is read.
    """

    def __init__(
        self,
        provider: str,
        secret: str,
        model: str | None,
        timeout_s: float,
        most_bytes: int,
        stop: threading.Event,
    ) -> None:
        super().__init__(model, provider=provider, api_key=secret, timeout=timeout_s)
        self._most_bytes, self._stop, self._until = most_bytes, stop, 0.0
        # The library repeats some requests by itself, without counting.
        self.requests_left = 100

    def _inner_post(self, request_parameters: Any, *, stream: bool = False) -> bytes | Iterable[str]:
        if self.requests_left < 1:
            raise VisitorError("remote_odd", model=request_parameters.model, what="repeated")
        self.requests_left -= 1
        self._until = time.monotonic() + self.timeout
        if request_parameters.task == "text-to-image":
            request_parameters.headers["Accept"] = "image/png"
        session = self.exit_stack.enter_context(httpx2.Client(timeout=self.timeout, verify=_certificates()))
        response = self.exit_stack.enter_context(
            session.stream(
                "POST",
                request_parameters.url,
                json=request_parameters.json,
                content=request_parameters.data,
                headers=request_parameters.headers,
            )
        )
        if response.status_code != 200:
            kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
            said = b"".join(_first(response, MOST_ERROR_BYTES))
            short = httpx2.Response(response.status_code, headers=kept, content=said, request=response.request)
            hf_raise_for_status(short)
            raise VisitorError("remote_odd", model=request_parameters.model, what=str(response.status_code))
        return self._lines(response) if stream else b"".join(self._read(response))

    def _read(self, response: httpx2.Response) -> Iterator[bytes]:
        """Yield the body, as far as it may go."""
        count = 0
        for piece in response.iter_bytes():
            count += len(piece)
            if count > self._most_bytes:
                raise VisitorError("remote_odd", model="", what="size")
            if time.monotonic() > self._until:
                raise TimeoutError
            if self._stop.is_set():
                raise VisitorError("stopped")
            yield piece

    def _lines(self, response: httpx2.Response) -> Iterator[str]:
        """Yield the lines of a body as they come (server-sent events)."""
        kept = bytearray()
        for piece in self._read(response):
            looked = len(kept)
            kept += piece
            while (end := kept.find(b"\n", looked)) >= 0:
                yield kept[:end].decode("utf-8", "replace").strip()
                del kept[: end + 1]
                looked = 0
        yield kept.decode("utf-8", "replace").strip()


def _first(response: httpx2.Response, most: int) -> Iterator[bytes]:
    """Yield about as much of a body as is worth reading."""
    for piece in response.iter_bytes():
        yield piece[:most]
        most -= len(piece)
        if most <= 0:
            return


@lru_cache(maxsize=1)
def _certificates() -> Any:
    return httpx2.create_ssl_context()
