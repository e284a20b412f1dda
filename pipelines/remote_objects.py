"""Objects found in a picture by a provider elsewhere, with the visitor's own Hugging Face token.

    >>> *_, run = detect_objects("street.jpg", token="hf_...")
    >>> run.result[0]["label"], run.result[0]["box"]
    ('bicycle', {'xmin': 59, 'ymin': 39, 'xmax': 420, 'ymax': 510})

No model of this machine does it. The picture is opened and written anew before it is sent, so that nothing goes out
but its pixels. How tokens are kept apart, and what is said of faults: pipelines/remote.py.
https://huggingface.co/docs/inference-providers/tasks/object-detection
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from pipelines import hub, images, inputs, remote, remote_checks, remote_snippets
from pipelines.errors import VisitorError
from pipelines.remote_call import Call
from pipelines.run import Run

TASK = "object-detection"
# Who may be asked; a test holds it against huggingface_hub's own table.
PROVIDERS = ("hf-inference",)
DEFAULT = "facebook/detr-resnet-50"
THRESHOLD = 0.5
MOST_OBJECTS = 300
# The pixels a side that a picture is sent with at most: DETR itself looks at no more.
SIDE = 1333
# Whose sentences name the pocket model as the way out; here there is none.
_NO_OTHER_WAY = (
    "remote_offline",
    "remote_no_credit",
    "remote_no_network",
    "remote_slow",
    "remote_down",
    "remote_refused",
)


def detect_objects(
    image: object,
    token: str | None,
    model: str | None = None,
    threshold: object = THRESHOLD,
    provider: str | None = None,
    stop: threading.Event | None = None,
) -> Iterator[remote.Pause | Run | None]:
    """Have the objects in a picture found by one of Hugging Face's inference providers.

    Args:
        image: Path, bytes, or PIL image.
        token: The visitor's own, beginning with "hf_"; pays for the answer.
        model: Hub id; None takes `DEFAULT`.
        threshold: Objects with a lower score are left out, 0 to 1.
        provider: One of `PROVIDERS`; None takes the first that offers the model.
        stop: Set it to give up within `remote.POLL_S`; closing the iterator does the same.

    Yields:
        None every `remote.POLL_S`, or Pause where the provider asked for it; a Run in the end, whose result is a list
        of {label, score, box: {xmin, ymin, xmax, ymax}}, best first, `MOST_OBJECTS` at most; boxes in pixels of the
        upright picture as it was given.

    Raises:
        VisitorError: as `images.load`, `remote.checked`, `remote.route` and `remote.relay`, where the sentence would
            name the pocket model with "_objects" at the key's end; bad_number; remote_odd, when the answer is none.
    """
    try:
        yield from _found(image, token, model, threshold, provider, stop or threading.Event())
    except VisitorError as error:
        if error.key not in _NO_OTHER_WAY:
            raise
        key, params = error.key, error.params
    else:
        return
    # Outside of the handler, so that it has no cause.
    raise VisitorError(f"{key}_objects", **params)


def _found(
    image: object, token: str | None, model: str | None, threshold: object, provider: str | None, stop: threading.Event
) -> Iterator[remote.Pause | Run | None]:
    least = inputs.number(threshold, "threshold", 0, 1)
    name, secret = remote.checked(_named(model), token)
    picture, whole = images.measured(image, SIDE)
    sent, sizes = images.jpeg(picture), (picture.size, whole)
    begun, at = time.monotonic(), None

    def work(tell: Callable[[Any], None]) -> None:
        there = remote.route(name, (TASK,), "object_detection", provider, stop, tell)
        tell(there)
        call = Call(there, secret, stop, tell)
        tell(_objects(call.ask("object_detection", sent, threshold=least), least, *sizes))

    for event in remote.relay(work, name, stop):
        if isinstance(event, remote.Route):
            at = event
        elif isinstance(event, list):
            took = (time.monotonic() - begun) * 1000
            python = remote_snippets.detect(sent, least, at)
            yield Run(event, name, timing={"remote": took}, device=f"remote · {at.provider}", code=python)
        else:
            yield event


def _named(model: object) -> object:
    return (model.strip() if isinstance(model, str) else model) or DEFAULT


def _objects(answer: Any, least: float, sent: tuple[int, int], whole: tuple[int, int]) -> list[dict[str, Any]]:
    """Return what was found, its boxes in pixels of the whole picture instead of the one that was sent."""
    found = []
    for row in remote_checks.rows(answer, least=0, most=MOST_OBJECTS):
        label, score = remote_checks.label(row.get("label")), remote_checks.share(row.get("score"))
        left, top, right, bottom = remote_checks.box(row.get("box"), *sent)
        wide, high = whole[0] / sent[0], whole[1] / sent[1]
        box = {
            "xmin": math.floor(left * wide),
            "ymin": math.floor(top * high),
            "xmax": min(whole[0], math.ceil(right * wide)),
            "ymax": min(whole[1], math.ceil(bottom * high)),
        }
        if score >= least:
            found.append({"label": label, "score": score, "box": box})
    return sorted(found, key=lambda each: -each["score"])


def code(image: object, model: object = None, threshold: object = THRESHOLD, provider: object = None) -> str:
    """Return the Python that finds the objects of a picture, without a token in it.

    Raises:
        VisitorError: as `detect_objects` for a picture, a threshold, a model or a provider that cannot be used.
    """
    least = inputs.number(threshold, "threshold", 0, 1)
    name = hub.check_id(_named(model))
    if provider not in (None, "", "auto"):
        inputs.choice(provider, "provider", PROVIDERS)
    at = remote.Route(PROVIDERS[0], name, TASK)
    return remote_snippets.detect(images.jpeg(images.load(image, SIDE)), least, at)
