"""Pictures from words, step by step: noise becomes a picture while the visitor watches.

    >>> *_, painted = paint(wish("red apple", seed=7))
    >>> painted.pictures[0].size
    (64, 64)

A run has its own scheduler and random numbers, and its pictures are made one after the other, so that the same wish
gives the same bytes whoever else is painting. Runs take turns on the device; text tasks never wait for them.
"""

from __future__ import annotations

import contextvars
import copy
import queue
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipelines import catalog, hub, inputs, painter_files, painter_speed, painters, picture_files, previews, zero_gpu
from pipelines.errors import VisitorError
from pipelines.lane import Lane, Waiting
from pipelines.run import Run, Stopwatch

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_COUNT = 4
MOST_PROMPT = 1_000
MOST_SEED = 2**31 - 1
POLL_S = 0.4
LANE = Lane()
# Assumed of a lent GPU whose pace is not known yet: as below.
LENT_PACE = 1.0
# Seconds that a step takes for each million pixels, by model, as measured in earlier runs.
_pace: dict[str, float] = {}


@dataclass(frozen=True)
class Wish:
    """What to paint and how; `wish` makes a valid one."""

    prompt: str
    model: str
    steps: int
    guidance: float
    seed: int
    width: int
    height: int
    count: int
    negative_prompt: str


@dataclass(frozen=True)
class Step:
    """A step that is done.

    Attributes:
        step, steps: Of the whole run, all its pictures together.
        picture: The picture being made as it is now, small for large models.
        seconds: Since the run's turn began.
        left: Seconds that it will still take.
    """

    step: int
    steps: int
    picture: Image
    seconds: float
    left: float


@dataclass(frozen=True)
class Painted:
    """A finished run.

    Attributes:
        run: Its result holds the wish and the seconds it took.
        pictures: RGB, `wish.width` x `wish.height`; picture number n was made with the seed + n.
        film: The first picture after each step.
    """

    run: Run
    pictures: list[Image]
    film: list[Image]


def wish(
    prompt: object,
    model: object = None,
    steps: object = None,
    guidance: object = None,
    seed: object = None,
    width: object = None,
    height: object = None,
    count: object = None,
    negative_prompt: object = None,
) -> Wish:
    """Check what was asked for, and fill in what was left out.

    Args:
        prompt: What the picture shows.
        model: Id of a model that paints; None takes the default.
        steps, guidance, width, height: None takes the model's habits; width and height in pixels.
        seed: 0 to 2**31 - 1; None draws one.
        count: Pictures, 1 to 4; None makes one.
        negative_prompt: What the picture shall not show; only for models that use one.

    Raises:
        VisitorError: empty_picture_prompt, text_too_long, bad_model_id, unknown_model, wrong_task, bad_number,
            bad_side, one_size, no_negative_prompt.
    """
    clean = inputs.text(prompt, limit=MOST_PROMPT, what="picture_prompt").strip()
    name = hub.check_id(painters.default_model() if model is None or model == "" else model)
    card = catalog.card(name)
    if card is not None and painters.TASK not in card.tasks:
        raise VisitorError("wrong_task", model=name, task=painters.TASK, made_for=card.tasks[0])
    habits = painters.habits(name)
    avoid = negative_prompt or ""
    if avoid:
        avoid = inputs.text(avoid, limit=MOST_PROMPT).strip() if str(avoid).strip() else ""
    if avoid and not habits.negative_prompt:
        raise VisitorError("no_negative_prompt", model=name)
    size = {"width": habits.sizes[0][0], "height": habits.sizes[0][1]}
    for side, value in (("width", width), ("height", height)):
        if value is not None:
            size[side] = _side(value, side, habits)
    return Wish(
        clean,
        name,
        int(_number(steps, "steps", habits.steps, 1, habits.most_steps, whole=True)),
        float(_number(guidance, "guidance", habits.guidance, 0, habits.most_guidance)),
        int(_number(seed, "seed", random.SystemRandom().randint(0, MOST_SEED), 0, MOST_SEED, whole=True)),
        size["width"],
        size["height"],
        int(_number(count, "count", 1, 1, MOST_COUNT, whole=True)),
        avoid,
    )


def paint(asked: Wish, stop: threading.Event | None = None) -> Iterator[Waiting | Step | Painted]:
    """Paint, telling what happens on the way.

    Args:
        asked: What `wish` returned.
        stop: Set it to end the work within a step; closing the iterator does the same.

    Yields:
        Waiting while the model loads (nobody ahead) or others paint, Step after each step, Painted in the end.

    Raises:
        VisitorError: stopped, queue_full, and whatever `painters.use` says.
    """
    stop = stop or threading.Event()
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    context = contextvars.copy_context()  # a lent GPU is for the visitor whose request this is
    worker = threading.Thread(target=context.run, args=(_work, asked, stop, told.put), name="painting", daemon=True)
    worker.start()
    last: Waiting | Step = Waiting(0, None)
    try:
        while True:
            try:
                event = told.get(timeout=POLL_S)
            except queue.Empty:
                if stop.is_set():
                    raise VisitorError("stopped") from None
                if isinstance(last, Waiting):
                    yield last
                continue
            if isinstance(event, BaseException):
                raise event
            yield event
            if isinstance(event, Painted):
                return
            last = event
    finally:
        stop.set()


def expected_wait() -> Waiting:
    """Return what a click now would wait for."""
    return LANE.waiting()


def expected_seconds(asked: Wish) -> float | None:
    """Return how long a wish takes by earlier runs of its model, or None."""
    pace = _pace.get(asked.model)
    return None if pace is None else pace * asked.steps * asked.count * asked.width * asked.height / 1e6


def details(asked: Wish, seconds: float) -> dict[str, Any]:
    """Return the parameters that are written into a picture and returned by the API."""
    return {**asdict(asked), "seconds": round(seconds, 3)}


def files(painted: Painted) -> list[bytes]:
    """Return the pictures as PNG files, each with the parameters that make it alone."""
    told = painted.run.result
    return [
        picture_files.png(picture, told | {"seed": told["seed"] + number, "count": 1})
        for number, picture in enumerate(painted.pictures)
    ]


def _number(value: object, name: str, default: float, low: float, high: float, whole: bool = False) -> float:
    return default if value is None else inputs.number(value, name, low, high, whole=whole)


def _side(value: object, name: str, habits: painters.Habits) -> int:
    only = habits.sizes[0][name == "height"] if habits.most_side == max(habits.sizes[0]) else None
    if only is not None and value != only:
        raise VisitorError("one_size", width=habits.sizes[0][0], height=habits.sizes[0][1])
    side = int(inputs.number(value, name, habits.multiple, habits.most_side, whole=True))
    if side % habits.multiple:
        raise VisitorError("bad_side", name=name, multiple=habits.multiple)
    return side


def _work(asked: Wish, stop: threading.Event, tell: Any) -> None:
    try:
        if painters.lent(asked.model):
            painters.bring(asked.model)
            with LANE.turn(expected_seconds(asked), tell, stop):
                _have_painted(asked, stop, tell)
            return
        with painters.use(asked.model) as painter:
            with LANE.turn(expected_seconds(asked), tell, stop):
                tell(_run(painter, asked, stop, tell))
    except BaseException as error:
        tell(error)


def _have_painted(asked: Wish, stop: threading.Event, tell: Any) -> None:
    """Tell what happens in the process that was lent a GPU."""
    events = _with_lent_gpu(asked)
    try:
        for event in events:
            if stop.is_set():
                raise VisitorError("stopped")
            if isinstance(event, zero_gpu.Refused):
                raise VisitorError(event.key, **event.params)
            if isinstance(event, Painted):
                _remember(asked, event.run.result["seconds"])
            tell(event)
    except Exception as error:
        raise zero_gpu.refusal(error, asked.model) from error
    finally:
        events.close()


def _lent_seconds(asked: Wish) -> int:
    size = sum(painter_files.find(asked.model).files.values())
    steps = asked.steps * asked.count * asked.width * asked.height / 1e6
    return zero_gpu.seconds(size, expected_seconds(asked) or LENT_PACE * steps)


@zero_gpu.lend(_lent_seconds)
def _with_lent_gpu(asked: Wish) -> Iterator[Waiting | Step | Painted | zero_gpu.Refused]:
    global LANE
    if zero_gpu.enter():
        painters.start_afresh()
        LANE = Lane()  # those who wait in the one that was forked are not here
    try:
        yield from paint(asked)
    except VisitorError as error:
        yield zero_gpu.Refused(error.key, error.params)


def _remember(asked: Wish, took: float) -> None:
    _pace[asked.model] = took / (asked.steps * asked.count * asked.width * asked.height / 1e6)


def _run(painter: painters.Painter, asked: Wish, stop: threading.Event, tell: Any) -> Painted:
    import torch

    # Nothing of the run stays in what others use: the scheduler counts steps, and the pipeline keeps its options.
    pipe = copy.copy(painter.pipe)
    pictures, film, watch = [], [], Stopwatch()
    start = time.monotonic()
    marks = [time.perf_counter()]
    with torch.inference_mode():
        for number in range(asked.count):
            pipe.scheduler = type(painter.pipe.scheduler).from_config(painter.pipe.scheduler.config)

            def after(own: Any, index: int, _: Any, values: dict[str, Any], number: int = number) -> dict[str, Any]:
                if stop.is_set():
                    raise VisitorError("stopped")
                each = getattr(own, "num_timesteps", asked.steps)  # PNDM makes one step more than it is asked for
                done, total, passed = number * each + index + 1, each * asked.count, time.monotonic() - start
                small = previews.picture(own, values["latents"], painter.habits.family, asked)
                if number == 0:
                    film.append(small)
                marks.append(time.perf_counter())
                tell(Step(done, total, small, passed, passed / done * (total - done)))
                return {}

            pictures.append(_paint_one(pipe, arguments(asked, painter.habits), asked.seed + number, after))
    took = time.monotonic() - start
    _remember(asked, took)
    watch.timing["denoise"] = (marks[-1] - marks[0]) * 1000
    watch.timing["decode"] = (time.perf_counter() - marks[-1]) * 1000
    skips = painter_speed.told(pipe)
    note = "note.step_cache" if skips else None
    run = Run(details(asked, took) | skips, asked.model, note=note, timing=watch.timing, device=painter.device)
    return Painted(run, pictures, film)


def _paint_one(pipe: Any, given: dict[str, Any], seed: int, after: Any) -> Image:
    import torch

    painter_speed.begin(pipe)
    try:
        made = pipe(
            **given,
            generator=torch.Generator("cpu").manual_seed(seed),
            callback_on_step_end=after,
            callback_on_step_end_tensor_inputs=["latents"],
        )
    except Exception as error:
        if not painter_speed.without_compiling(pipe, error):
            raise
        return _paint_one(pipe, given, seed, after)
    return made.images[0].convert("RGB")


def arguments(asked: Wish, habits: painters.Habits) -> dict[str, Any]:
    """Return what a diffusers pipeline of the model's family is called with, but for the random numbers."""
    given: dict[str, Any] = {
        "prompt": asked.prompt,
        "num_inference_steps": asked.steps,
        "width": asked.width,
        "height": asked.height,
    }
    if asked.model.startswith("pocket/"):
        # FLUX pipelines guide against another prompt, here the empty one, only by this name.
        given |= {"true_cfg_scale": asked.guidance, "negative_prompt": ""}
    else:
        given["guidance_scale"] = asked.guidance
    if habits.negative_prompt:
        given["negative_prompt"] = asked.negative_prompt
    if habits.max_sequence_length:
        given["max_sequence_length"] = habits.max_sequence_length
    return given
