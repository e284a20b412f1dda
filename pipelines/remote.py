"""What runs elsewhere: at an inference provider, with the visitor's own Hugging Face token.

The token goes to Hugging Face's router and nowhere else: who offers a model is asked without one, what went wrong is
told by a key and never in the words of a server, and no exception that holds a request leaves the worker. The owner's
HF_TOKEN is never used.
https://huggingface.co/docs/inference-providers
"""

from __future__ import annotations

import math
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pipelines import hub, inputs
from pipelines.errors import VisitorError
from settings import SETTINGS

if TYPE_CHECKING:
    from pipelines.remote_client import OwnClient

POLL_S = 0.4
# Longest time without anything new from a provider.
DEADLINE_S = 120
# The longest wait that is waited without asking the visitor, and how often; waits where a server names none.
PATIENCE_S = 10
TRIES = 3
BACKOFF_S = (1, 2)
MOST_BYTES = 64_000_000
# So many requests are under way at once, that a slow provider leaves threads for everything else.
MOST_AT_ONCE = 24
QUEUE_S = 10
# Other keys ("sk-...") would be sent to the provider directly; spaces and controls do not belong in a header.
_TOKEN = re.compile(r"hf_[\x21-\x7e]{1,4000}")
_BY_STATUS = {
    401: "remote_token_refused",
    402: "remote_no_credit",
    403: "remote_not_allowed",
    404: "remote_not_served",
    410: "remote_not_served",
}
_places = threading.BoundedSemaphore(MOST_AT_ONCE)


@dataclass(frozen=True)
class Pause:
    """The provider asked for a short wait, which is being waited.

    Attributes:
        seconds: Still to wait.
    """

    seconds: int


@dataclass(frozen=True)
class Route:
    """Who runs a model, and as what.

    Attributes:
        provider: Such as "together".
        model: Its Hub id.
        task: The provider's task, such as "conversational".
        mask: How a masked language model writes its mask, where the Hub says so.
    """

    provider: str
    model: str
    task: str
    mask: str | None = None


def checked(model: object, token: object) -> tuple[str, str]:
    """Return a model's id and a token that may be sent.

    Raises:
        VisitorError: not_remote, bad_model_id, not_listed, needs_token, remote_token_refused, remote_offline.
    """
    if isinstance(model, str) and model.startswith(("pocket/", "builtin/")):
        raise VisitorError("not_remote", model=model[:200])
    name = hub.check_id(model)
    if not isinstance(token, str) or not token.strip():
        raise VisitorError("needs_token")
    if not _TOKEN.fullmatch(token.strip()):
        raise VisitorError("remote_token_refused")
    if hub.offline():
        raise VisitorError("remote_offline")
    return name, token.strip()


def relay(
    work: Callable[[Callable[[Any], None]], None], model: str, stop: threading.Event, deadline_s: float | None = None
) -> Iterator[Any]:
    """Yield what work(tell) tells from a thread of its own, because a request that hangs can only be left behind.

    Args:
        work: Talks to a provider.
        model: For the sentences about what went wrong.
        stop: Set it to give up within `POLL_S`; closing the iterator does the same. A request under way is left to
            itself, and may be charged; no other is made.
        deadline_s: Longest time without news; None takes `DEADLINE_S`.

    Yields:
        What is told; None every `POLL_S` while there is nothing; Pause meanwhile, where the provider asked for it.

    Raises:
        VisitorError: stopped, remote_slow, remote_busy, and as `explain`.
    """
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_worker(work, model, stop, told.put), name="remote", daemon=True).start()
    patience = DEADLINE_S if deadline_s is None else deadline_s
    until, resumed = time.monotonic() + patience, 0.0
    try:
        while True:
            if stop.is_set():
                raise VisitorError("stopped")
            try:
                event = told.get(timeout=POLL_S)
            except queue.Empty:
                now = time.monotonic()
                if now > until:
                    raise VisitorError("remote_slow", model=model) from None
                yield Pause(math.ceil(resumed - now)) if resumed > now else None
                continue
            if event is _END:
                return
            if isinstance(event, VisitorError):
                raise event
            until = time.monotonic() + patience
            if isinstance(event, Pause):
                resumed = time.monotonic() + event.seconds
                until += event.seconds
            yield event
    finally:
        stop.set()


_END = object()


def _worker(
    work: Callable[[Callable[[Any], None]], None], model: str, stop: threading.Event, tell: Callable[[Any], None]
) -> Callable[[], None]:
    def run() -> None:
        try:
            begun = time.monotonic()
            while not _places.acquire(timeout=POLL_S / 2):
                if stop.is_set() or time.monotonic() - begun > QUEUE_S:
                    raise VisitorError("remote_busy")
            try:
                work(tell)
            finally:
                _places.release()
            tell(_END)
        except BaseException as error:
            # A new error, without the cause: what huggingface_hub raises holds the request, and so the token.
            tell(explain(error, model))

    return run


def route(
    model: str,
    tasks: tuple[str, ...],
    ours: str,
    provider: object,
    stop: threading.Event,
    tell: Callable[[Any], None],
) -> Route:
    """Return who runs a model.

    Left to itself InferenceClient asks the Hub who offers a model with the owner's HF_TOKEN, which would show visitors
    the owner's private models, and remembers the answer for ever. So it is asked here, without a token.

    Args:
        model: Hub id.
        tasks: The providers' names for the task, any of which will do.
        ours: Our name of the task, for the sentence.
        provider: Which is wanted; None or "auto" takes the first that is said to work.
        stop: Ends a wait.
        tell: Gets a Pause.

    Raises:
        VisitorError: bad_choice, remote_not_served.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.inference._providers import PROVIDERS
    from huggingface_hub.inference._providers._common import HARDCODED_MODEL_INFERENCE_MAPPING as KNOWN

    able = tuple(name for name, offered in PROVIDERS.items() if any(task in offered for task in tasks))
    if provider not in (None, "", "auto"):
        able = (inputs.choice(provider, "provider", able),)

    def ask() -> Any:
        wanted = ["inferenceProviderMapping", *(["mask_token"] if "fill-mask" in tasks else [])]
        return HfApi().model_info(model, expand=wanted, token=False, timeout=SETTINGS.hub_timeout_s)

    try:
        found = patiently(ask, stop, tell)
    except Exception as error:
        if status(error) in _BY_STATUS:  # about the model, missing or private, for no token was sent
            raise VisitorError("remote_not_served", model=model, task=ours) from None
        raise
    offers = [
        offer
        for offer in found.inference_provider_mapping or []
        if offer.provider in able and offer.task in tasks and offer.task in PROVIDERS[offer.provider]
    ]
    if not offers:
        raise VisitorError("remote_not_served", model=model, task=ours)
    offer = min(offers, key=lambda offer: offer.status != "live")  # the first of the best
    # Spares InferenceClient's own question.
    KNOWN.setdefault(offer.provider, {})[model] = offer
    mask = getattr(found, "mask_token", None)
    return Route(offer.provider, model, offer.task, mask if isinstance(mask, str) and 0 < len(mask) < 40 else None)


def client(at: Route, secret: str, stop: threading.Event, most_bytes: int = MOST_BYTES) -> OwnClient:
    """Return a client for one visitor's request, whose methods need no model."""
    from huggingface_hub import constants

    from pipelines.remote_client import OwnClient

    model = at.model
    if at.provider == "hf-inference":  # this provider looks the model up again, unless it is an address
        model = f"{constants.INFERENCE_PROXY_TEMPLATE.format(provider=at.provider)}/models/{model}"
        if at.task in ("feature-extraction", "sentence-similarity"):
            model += "/pipeline/feature-extraction"
    return OwnClient(at.provider, secret, model, DEADLINE_S, most_bytes, stop)


def patiently(ask: Callable[[], Any], stop: threading.Event, tell: Callable[[Any], None]) -> Any:
    """Ask, and again where the server wants a short wait; the last refusal is raised."""
    tried = 0
    while True:
        try:
            return ask()
        except Exception as error:
            tried += 1
            wait = _short_wait(error, tried)
            if wait is None:
                raise
        tell(Pause(wait))
        if stop.wait(wait):
            raise VisitorError("stopped")


def _short_wait(error: BaseException, tried: int) -> int | None:
    """Return how long to wait before another try; None for an error that waiting does not mend."""
    refused = status(error)
    if refused not in (429, 503) or tried >= TRIES:
        return None
    asked = retry_after(error)
    if asked is None:
        asked = BACKOFF_S[tried - 1] if refused == 429 else loading(error)
    return asked if asked is not None and asked <= PATIENCE_S else None


def status(error: BaseException) -> int | None:
    """Return the HTTP status that an error came with."""
    for each in (error, error.__cause__):
        found = getattr(getattr(each, "response", None), "status_code", None)
        if found is not None:
            return found
    return None


def retry_after(error: Any) -> int | None:
    """Return the seconds of a Retry-After header, which holds seconds or a date; None without one."""
    said = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,6}", said):
        return int(said)
    try:
        return max(0, math.ceil((parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()))
    except (ValueError, TypeError, OverflowError):  # no date, or one without a time zone
        return None


def loading(error: Any) -> int | None:
    """Return the seconds that a provider still needs to load a model, where its refusal says so."""
    try:
        seconds = error.response.json()["estimated_time"]
        return math.ceil(seconds) if 0 <= seconds <= 86_400 else None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None


def explain(error: BaseException, model: str) -> VisitorError:
    """Return the sentence for what went wrong, without anything that a server or a library said."""
    import httpx2

    refused = status(error)
    if isinstance(error, VisitorError):
        return VisitorError(error.key, **error.params | ({"model": model} if "model" in error.params else {}))
    if refused in (404, 410):
        return VisitorError("remote_gone", model=model)
    if refused in _BY_STATUS:
        return VisitorError(_BY_STATUS[refused], model=model)
    if refused in (400, 413, 422):
        return VisitorError("remote_refused", model=model, status=refused)
    if refused == 429:
        wait = retry_after(error)
        return VisitorError("remote_too_many", model=model, seconds=60 if wait is None else wait)
    if refused == 503 and loading(error) is not None:
        return VisitorError("remote_loading", model=model, seconds=loading(error))
    if refused is not None and refused >= 500:
        return VisitorError("remote_down", model=model, status=refused)
    if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
        return VisitorError("remote_slow", model=model)
    if isinstance(error, (ConnectionError, httpx2.TransportError)):  # not reached, or broken off
        return VisitorError("remote_no_network", model=model)
    return VisitorError("remote_failed", model=model, reason=type(error).__name__)
