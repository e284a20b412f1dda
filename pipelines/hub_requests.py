"""One request to the Hub, bounded in bytes and in time; patient with a Hub that asks for a moment, and no longer.

Everything that this app asks the Hub for a model passes through here, in the app's own process (facts and
configurations) or in the one that downloads (pipelines.fetching). huggingface_hub's own calls sleep for as long as a
Retry-After says and repeat a failed request for up to 25 s.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pipelines.hub_errors import NotTheHub, retry_after

MOST_WAITED_S = 3.0
FAILING = (408, 500, 502, 503, 504)
REPEATS = 2
MOST_TIMEOUTS = 2
FIRST_PAUSE_S = 0.25
# What is asked for may be ended by completing this future, however silent the Hub is (see download.plain).
END: ContextVar[Future | None] = ContextVar("END", default=None)


@dataclass(frozen=True)
class Access:
    """How a model's repository is asked for.

    Attributes:
        endpoint: The Hub's address.
        token: Sent along; None sends none. Never printed.
        timeout_s: Longest time without an answer or a byte.
    """

    endpoint: str
    timeout_s: float
    token: str | None = field(default=None, repr=False)

    def headers(self) -> dict[str, str]:
        from huggingface_hub.utils import build_hf_headers

        return {**build_hf_headers(token=self.token or False), "accept-encoding": "identity"}


class Ended(Exception):
    """Somebody does not want to wait for the answer any more."""


class TooLong(Exception):
    """An answer has more bytes than its kind ever has."""


def access(token: bool | None, timeout_s: float) -> Access:
    """Return the access that the environment gives.

    Args:
        token: False sends none; None the owner's.
    """
    from huggingface_hub import constants, get_token

    hidden = token is False or constants.HF_HUB_DISABLE_IMPLICIT_TOKEN
    return Access(constants.ENDPOINT, timeout_s, None if hidden else get_token())


def patient(call: Callable[[], Any], tell: Callable[[float], None] = lambda seconds: None, broken: bool = False) -> Any:
    """Call, and once more after a moment when the Hub answers 429 with a short Retry-After or has a hiccup.

    Args:
        call: Raises huggingface_hub's errors.
        tell: Called with the seconds before each wait.
        broken: A connection that breaks is a hiccup.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    waited, failed = 0.0, 0
    while True:
        try:
            return call()
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status == 429:
                pause = float(max(retry_after(error.response), FIRST_PAUSE_S))
                if waited + pause > MOST_WAITED_S:
                    raise
            elif status in FAILING and failed < REPEATS:
                pause = FIRST_PAUSE_S * 2**failed
                failed += 1
            else:
                raise
        except (httpx2.RemoteProtocolError, httpx2.ReadError):
            if not broken or failed >= REPEATS:
                raise
            pause = FIRST_PAUSE_S * 2**failed
            failed += 1
        tell(pause)
        _ended_while([], pause)
        waited += pause


def get(path: str, how: Access, most: int) -> bytes:
    """Return the whole body of a small answer.

    Args:
        path: Path and query at the Hub.
        most: Most bytes that are read.

    Raises:
        TooLong: for more bytes.
        Ended: see END.
        TimeoutError: when its headers drip for the timeout, or its body for twice that. Otherwise what huggingface_hub
            and httpx2 raise.
    """
    from huggingface_hub.utils import get_session, hf_raise_for_status

    def once(heard: Future) -> bytes:
        end, body = time.monotonic() + MOST_TIMEOUTS * how.timeout_s, bytearray()
        url, headers = how.endpoint + path, how.headers()
        with get_session().stream("GET", url, headers=headers, timeout=how.timeout_s) as response:
            heard.set_result(None)
            hf_raise_for_status(response)
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > most:
                    raise TooLong
                if time.monotonic() > end:
                    raise TimeoutError
        return bytes(body)

    return patient(lambda: _or_end(once, how.timeout_s), broken=True)


def _or_end(call: Callable[[Future], Any], timeout_s: float) -> Any:
    """Call in a thread that is left alone when END comes first, or when a server sends its headers byte by byte.

    Nothing ends a thread that waits for a server. `call` completes what it is given once the headers are here; a little
    more than the timeout is waited for them, so that whoever has a reason of his own can tell it.
    """
    answer: Future = Future()
    heard: Future = Future()

    def work() -> None:
        try:
            answer.set_result(call(heard))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=work, name="question", daemon=True).start()
    _ended_while([answer, heard], timeout_s + FIRST_PAUSE_S)
    if heard.done():
        _ended_while([answer], MOST_TIMEOUTS * timeout_s)
    if not answer.done():
        raise TimeoutError
    return answer.result()


def _ended_while(others: list[Future], seconds: float | None = None) -> None:
    """Wait for one of the others, or some seconds; raises Ended when END comes first."""
    end = END.get()
    if end is None and not others:
        time.sleep(seconds or 0)
        return
    wait([*others, *([end] if end else [])], seconds, FIRST_COMPLETED)
    if end is not None and end.done() and not any(other.done() for other in others):
        raise Ended


def get_json(path: str, how: Access, most: int) -> dict[str, Any]:
    """As `get`, of a JSON object that the Hub itself writes.

    Raises:
        NotTheHub: when it is none.
    """
    body = get(path, how, most)  # some of its own errors are a ValueError too
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotTheHub from error
    if not isinstance(answer, dict):
        raise NotTheHub
    return answer
