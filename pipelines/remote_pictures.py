"""Pictures from words, painted by a provider elsewhere, with the visitor's own Hugging Face token.

    >>> *_, painted = paint_remotely(wish("red apple", "black-forest-labs/FLUX.1-schnell"), token="hf_...")
    >>> painted.run.device
    'remote'

The token goes to Hugging Face's router and nowhere else: who offers a model is asked without one, what went wrong is
told by a key and never in the words of a server, and no exception that holds a request leaves the worker. The owner's
HF_TOKEN is never used.
https://huggingface.co/docs/inference-providers
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pipelines import hub, images, inputs
from pipelines.errors import VisitorError
from pipelines.image_generation import Painted, Wish, details
from pipelines.lane import Waiting
from pipelines.run import Run
from settings import SETTINGS

if TYPE_CHECKING:
    from PIL.Image import Image

TASK = "text-to-image"
POLL_S = 0.4
# Longest wait for one picture; and the longest Retry-After that is waited for without asking the visitor.
DEADLINE_S = 120
PATIENCE_S = 5
# Larger pictures are made smaller.
MOST_SIDE = 2048
# Other keys ("sk-...") would be sent to the provider directly; spaces and controls do not belong in a header.
_TOKEN = re.compile(r"hf_[\x21-\x7e]{1,4000}")
_BY_STATUS = {
    401: "remote_token_refused",
    402: "remote_no_credit",
    403: "remote_not_allowed",
    404: "remote_not_served",
    410: "remote_not_served",
}


def paint_remotely(
    asked: Wish, token: str | None, provider: str | None = None, stop: threading.Event | None = None
) -> Iterator[Waiting | Painted]:
    """Have a picture painted by one of Hugging Face's inference providers.

    Args:
        asked: What `image_generation.wish` returned. Not every provider heeds the seed, the steps or the size.
        token: The visitor's own, beginning with "hf_"; pays for the pictures.
        provider: Such as "together"; None takes the first that offers the model.
        stop: Set it to give up within `POLL_S`; closing the iterator does the same. A picture that was already asked
            for is left to itself, and may be charged; the next is not asked for.

    Yields:
        Waiting(0, None) every `POLL_S`, Painted in the end; its pictures are RGB, of at most `MOST_SIDE` pixels a side.

    Raises:
        VisitorError: not_remote, bad_model_id, not_listed, needs_token, bad_choice, stopped, remote_offline,
            remote_token_refused, remote_no_credit, remote_not_allowed, remote_not_served, remote_too_many,
            remote_down, remote_slow, remote_no_network, remote_failed.
    """
    if asked.model.startswith("pocket/"):
        raise VisitorError("not_remote", model=asked.model)
    hub.check_id(asked.model)
    secret = _checked(token)
    if hub.offline():
        raise VisitorError("remote_offline")
    stop = stop or threading.Event()
    told: queue.SimpleQueue[Image | VisitorError] = queue.SimpleQueue()
    # A thread of its own, because a request that hangs can only be left behind.
    work = _worker(asked, secret, provider, stop, told.put)
    threading.Thread(target=work, name="painting remotely", daemon=True).start()
    pictures: list[Image] = []
    begun = since = time.monotonic()
    try:
        while len(pictures) < asked.count:
            if stop.is_set():
                raise VisitorError("stopped")
            try:
                event = told.get(timeout=POLL_S)
            except queue.Empty:
                if time.monotonic() - since > DEADLINE_S:
                    raise VisitorError("remote_slow", model=asked.model) from None
                yield Waiting(0, None)
                continue
            if isinstance(event, VisitorError):
                raise event
            pictures.append(event)
            since = time.monotonic()
        took = since - begun
        run = Run(details(asked, took), asked.model, timing={"remote": took * 1000}, device="remote")
        yield Painted(run, pictures, [])
    finally:
        stop.set()


def _checked(token: object) -> str:
    if not isinstance(token, str) or not token.strip():
        raise VisitorError("needs_token")
    if not _TOKEN.fullmatch(token.strip()):
        raise VisitorError("remote_token_refused")
    return token.strip()


def _worker(
    asked: Wish, secret: str, provider: str | None, stop: threading.Event, tell: Callable[[Any], None]
) -> Callable[[], None]:
    """Return what the worker runs: it tells each picture, or the one VisitorError that ended it."""

    def work() -> None:
        try:
            name, model = _route(asked.model, provider, stop)
            for number in range(asked.count):
                if stop.is_set():
                    return
                tell(_picture(asked, number, secret, name, model, stop))
        except BaseException as error:
            # A new error, without the cause: what huggingface_hub raises holds the request, and so the token.
            tell(_explain(error, asked.model))

    return work


def _route(model_id: str, provider: str | None, stop: threading.Event) -> tuple[str, str]:
    """Return who paints, and the model as InferenceClient takes it.

    Left to itself InferenceClient asks the Hub who offers a model with the owner's HF_TOKEN, which would show visitors
    the owner's private models, and remembers the answer for ever. So it is asked here, without a token.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.inference._providers import PROVIDERS
    from huggingface_hub.inference._providers._common import HARDCODED_MODEL_INFERENCE_MAPPING as KNOWN

    able = tuple(name for name, tasks in PROVIDERS.items() if TASK in tasks)
    if provider not in (None, "auto"):
        able = (inputs.choice(provider, "provider", able),)

    def ask() -> Any:
        wanted, patience = ["inferenceProviderMapping"], SETTINGS.hub_timeout_s
        return HfApi().model_info(model_id, expand=wanted, token=False, timeout=patience)

    try:
        offers = _patiently(ask, stop).inference_provider_mapping or []
    except Exception as error:
        if _status(error) in _BY_STATUS:  # about the model, missing or private, for no token was sent
            raise VisitorError("remote_not_served", model=model_id) from None
        raise
    offers = [offer for offer in offers if offer.provider in able and offer.task == TASK]
    if not offers:
        raise VisitorError("remote_not_served", model=model_id)
    offer = min(offers, key=lambda offer: offer.status != "live")  # the first of the best
    if offer.provider == "hf-inference":  # this provider looks the model up again, unless it is an address
        base = constants.INFERENCE_PROXY_TEMPLATE.format(provider=offer.provider)
        return offer.provider, f"{base}/models/{model_id}"
    KNOWN.setdefault(offer.provider, {})[model_id] = offer  # spares InferenceClient's own question
    return offer.provider, model_id


def _picture(asked: Wish, number: int, secret: str, provider: str, model: str, stop: threading.Event) -> Image:
    from huggingface_hub import InferenceClient

    client = InferenceClient(provider=provider, api_key=secret, timeout=DEADLINE_S)

    def ask() -> Any:
        return client.text_to_image(
            asked.prompt,
            model=model,
            negative_prompt=asked.negative_prompt or None,
            num_inference_steps=asked.steps,
            guidance_scale=asked.guidance,
            width=asked.width,
            height=asked.height,
            seed=asked.seed + number,
        )

    picture = _patiently(ask, stop)  # only its header was read so far
    try:
        if picture.format not in images.FORMATS:
            raise VisitorError("not_an_image")
        return images.load(picture, MOST_SIDE)
    except VisitorError as error:  # its sentence is about a file that the visitor brought
        raise VisitorError("remote_failed", model=asked.model, reason=error.key) from None


def _patiently(ask: Callable[[], Any], stop: threading.Event) -> Any:
    """Ask, and once more where the server wants a short wait."""
    try:
        return ask()
    except Exception as error:
        wait = _retry_after(error)
        if _status(error) != 429 or wait is None or wait > PATIENCE_S:
            raise
    if stop.wait(wait):
        raise VisitorError("stopped")
    return ask()


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _retry_after(error: Any) -> int | None:
    """Seconds of a Retry-After header, when there is one in seconds."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    told = headers.get("Retry-After", "")
    return int(told) if re.fullmatch(r"[0-9]{1,6}", told) else None


def _explain(error: BaseException, model_id: str) -> VisitorError:
    import httpx2

    status = _status(error)
    if isinstance(error, VisitorError):
        return VisitorError(error.key, **error.params)
    if status in _BY_STATUS:
        return VisitorError(_BY_STATUS[status], model=model_id)
    if status == 429:
        wait = _retry_after(error)
        return VisitorError("remote_too_many", model=model_id, seconds=60 if wait is None else wait)
    if status is not None and status >= 500:
        return VisitorError("remote_down", model=model_id, status=status)
    if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
        return VisitorError("remote_slow", model=model_id)
    if isinstance(error, (ConnectionError, httpx2.TransportError)):  # not reached, or broken off
        return VisitorError("remote_no_network", model=model_id)
    return VisitorError("remote_failed", model=model_id, reason=type(error).__name__)
