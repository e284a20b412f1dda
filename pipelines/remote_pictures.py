"""Pictures from words, painted by a provider elsewhere, with the visitor's own Hugging Face token.

    >>> *_, painted = paint_remotely(wish("red apple", "black-forest-labs/FLUX.1-schnell"), token="hf_...")
    >>> painted.run.device
    'remote · together'

How tokens are kept apart, and what is said of faults: pipelines/remote.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pipelines import images, remote, remote_snippets
from pipelines.errors import VisitorError
from pipelines.image_generation import Painted, Wish, details
from pipelines.lane import Waiting
from pipelines.run import Run

if TYPE_CHECKING:
    from PIL.Image import Image

TASK = "text-to-image"
# Who may be asked; a test holds it against huggingface_hub's own table.
PROVIDERS = ("fal-ai", "hf-inference", "nscale", "replicate", "together", "wavespeed", "zai-org")
# What the page suggests where the chosen model runs on this machine only: open, and painted in four steps.
DEFAULT = "black-forest-labs/FLUX.1-schnell"
# Larger pictures are made smaller.
MOST_SIDE = 2048


def paint_remotely(
    asked: Wish, token: str | None, provider: str | None = None, stop: threading.Event | None = None
) -> Iterator[Waiting | Painted]:
    """Have a picture painted by one of Hugging Face's inference providers.

    Args:
        asked: What `image_generation.wish` returned. Not every provider heeds the seed, the steps or the size.
        token: The visitor's own, beginning with "hf_"; pays for the pictures.
        provider: Such as "together"; None takes the first that offers the model.
        stop: Set it to give up within `remote.POLL_S`; closing the iterator does the same. A picture that was already
            asked for is left to itself, and may be charged; the next is not asked for.

    Yields:
        Waiting(0, None) every `remote.POLL_S`, with the seconds of a wait that the provider asked for, Painted in the
        end; its pictures are RGB, of at most `MOST_SIDE` pixels a side.

    Raises:
        VisitorError: as `remote.checked`, `remote.route` and `remote.relay`.
    """
    model, secret = remote.checked(asked.model, token)
    stop = stop or threading.Event()
    begun = time.monotonic()
    at: remote.Route | None = None
    pictures: list[Image] = []
    for event in remote.relay(_work(asked, model, secret, provider, stop), model, stop):
        if isinstance(event, remote.Route):
            at = event
        elif event is None:
            yield Waiting(0, None)
        elif isinstance(event, remote.Pause):
            yield Waiting(0, event.seconds)
        else:
            pictures.append(event)
    took = time.monotonic() - begun
    code = remote_snippets.paint(asked, at)
    run = Run(details(asked, took), model, timing={"remote": took * 1000}, device=f"remote · {at.provider}", code=code)
    yield Painted(run, pictures, [])


def _work(
    asked: Wish, model: str, secret: str, provider: str | None, stop: threading.Event
) -> Callable[[Callable[[Any], None]], None]:
    """Return what the worker runs: it tells the route and then each picture."""

    def work(tell: Callable[[Any], None]) -> None:
        at = remote.route(model, (TASK,), "image_generation", provider, stop, tell)
        tell(at)
        for number in range(asked.count):
            if stop.is_set():
                return
            tell(_picture(asked, number, at, secret, stop, tell))

    return work


def _picture(
    asked: Wish, number: int, at: remote.Route, secret: str, stop: threading.Event, tell: Callable[[Any], None]
) -> Image:
    def ask() -> Any:
        with remote.client(at, secret, stop) as client:
            return client.text_to_image(
                asked.prompt,
                negative_prompt=asked.negative_prompt or None,
                num_inference_steps=asked.steps,
                guidance_scale=asked.guidance,
                width=asked.width,
                height=asked.height,
                seed=asked.seed + number,
            )

    picture = remote.patiently(ask, stop, tell)  # only its header was read so far
    try:
        if picture.format not in images.FORMATS:
            raise VisitorError("not_an_image")
        return images.load(picture, MOST_SIDE)
    except VisitorError as error:  # its sentence is about a file that the visitor brought
        raise VisitorError("remote_failed", model=asked.model, reason=error.key) from None
