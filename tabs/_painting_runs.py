"""What a run of the picture tab does, apart from who watches it, and what the page shows of it.

A run yields `Moment`s and ends with `Made`; both hold no words of a language, so that a page that finds the run again
may be in another one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipelines import catalog, image_generation
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import _elsewhere, _painting_form, _painting_views, _ui
from tabs._jobs import Prepared, Shows

LEAST_SHOWN = 512
# What the details of a picture tell beside what it can be asked for with.
TOLD_ONLY = ("seconds", "step_cache")
Paint = Callable[..., Iterator[Any]]


@dataclass(frozen=True)
class Moment:
    """A step, or the wait for it.

    Attributes:
        event: image_generation.Step or Waiting.
        side: Pixels at which the picture is shown.
        part: Which of how many pictures with prompts of their own.
    """

    event: Any
    side: int
    part: tuple[int, int]


@dataclass(frozen=True)
class Made:
    """The pictures.

    Attributes:
        files: PNG files.
        film: The first picture after each step; none of a comparison.
        runs: One; of a comparison two.
        side: Pixels at which a picture is shown.
    """

    files: list[bytes]
    film: list[Any]
    runs: list[Run]
    side: int


def one(paint: Paint, elsewhere: Paint, wish: Callable[..., Any], *values: Any) -> Prepared:
    """Prepare a run from the form's values, then the switch's: where it is painted, the token, the provider."""
    *values, where, token, provider = values
    asked = _painting_form.arguments(tuple(values))
    wished = wish(**asked)
    paint = _painter(paint, elsewhere, where, _elsewhere.At(token, provider))

    def work(stop: threading.Event) -> Iterator[Moment | Made]:
        painted = yield from _painted(paint, wished, stop, (1, 1))
        yield Made(image_generation.files(painted), painted.film, [painted.run], _side(wished))

    return work, asked, weigh


def two(paint: Paint, elsewhere: Paint, wish: Callable[..., Any], *values: Any) -> Prepared:
    """Prepare a comparison from the form's values, the second prompt, the last run's parameters, and the switch's."""
    *values, second, last, where, token, provider = values
    held = _painting_form.arguments(tuple(values))
    asked = held | {"count": 1}
    if asked["seed"] is None and last.get("prompt") == str(asked["prompt"]).strip():
        asked["seed"] = last["seed"]  # the picture that stands there is the one to compare with
    first = wish(**asked)
    paint = _painter(paint, elsewhere, where, _elsewhere.At(token, provider))
    other = wish(**asked | {"prompt": second, "seed": first.seed})

    def work(stop: threading.Event) -> Iterator[Moment | Made]:
        done = []
        for number, each in enumerate((first, other), start=1):
            done.append((yield from _painted(paint, each, stop, (number, 2))))
        files = [image_generation.files(painted)[0] for painted in done]
        yield Made(files, [], [painted.run for painted in done], _side(first))

    return work, held | {"second": second}, weigh


def weigh(event: Moment | Made | None) -> int:
    """Return the bytes that stay in memory with a run's last event."""
    if isinstance(event, Made):
        return sum(map(len, event.files)) + sum(3 * film.width * film.height for film in event.film)
    picture = getattr(event and event.event, "picture", None)
    return 3 * picture.width * picture.height if picture else 0


def shows(second: bool = False) -> Shows:
    """Return what a run puts on the page: the line under the button, the progress, the answer and its parameters, and
    the fields of the form, with the second prompt of a comparison as the last."""
    fields = _painting_form.FIELDS + second
    same = [gr.skip()] * fields

    def begun(lang: str, about: dict[str, Any] | None) -> list[Any]:
        filled = same if about is None else [*_painting_form.filled(about)[1:], about.get("second")][:fields]
        return [_ui.waiting(lang), "", gr.skip(), gr.skip(), *filled]

    def event(event: Moment | Made | None, last: Moment | Made | None, lang: str) -> list[Any]:
        return [*_shown(event, last, lang), *same]

    def failed(error: Exception, _: Any, lang: str) -> list[Any]:
        return [_elsewhere.error_html(error, lang), "", gr.skip(), gr.skip(), *same]

    return Shows(begun, event, failed)


def _shown(event: Moment | Made | None, last: Moment | Made | None, lang: str) -> list[Any]:
    if isinstance(event, Made):
        return ["", "", _answer(event, lang), event.runs[0].result]
    if event is None:
        return [_ui.waiting(lang), *[gr.skip()] * 3]
    if event is last and isinstance(event.event, image_generation.Step):
        return [gr.skip()] * 4  # it needs no second drawing; a wait may have changed
    if isinstance(event.event, image_generation.Step):
        progress = _painting_views.progress(event.event, event.side, lang, event.part)
        return [_painting_views.working(lang), progress, *[gr.skip()] * 2]
    ahead, seconds = event.event.ahead, event.event.seconds
    if not ahead and seconds is not None:  # a provider asked for it
        return [_ui.paused(seconds, lang), *[gr.skip()] * 3]
    return [_painting_views.turn(ahead, seconds, lang) if ahead else _ui.waiting(lang), *[gr.skip()] * 3]


def _painted(
    paint: Paint, asked: Any, stop: threading.Event, part: tuple[int, int]
) -> Generator[Moment, None, image_generation.Painted]:
    for event in paint(asked, _Part(stop)):
        if isinstance(event, image_generation.Painted):
            return event
        yield Moment(event, _side(asked), part)
    raise VisitorError("stopped")


class _Part(threading.Event):
    """What stops one picture of a run: whatever stops the run, and its painter's own end, which leaves the next one."""

    def __init__(self, whole: threading.Event) -> None:
        super().__init__()
        self._whole = whole

    def is_set(self) -> bool:
        return super().is_set() or self._whole.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return self._whole.wait(timeout) or super().is_set()


def _painter(here: Paint, elsewhere: Paint, where: Any, at: _elsewhere.At) -> Paint:
    """Return what paints: this machine, or a provider with the visitor's own token."""
    if where != _elsewhere.ELSEWHERE:
        return here
    return lambda asked, stop: elsewhere(asked, str(at.token or "").strip() or None, at.provider, stop=stop)


def _side(asked: Any) -> int:
    """Return at how many pixels a picture is shown: small ones are enlarged."""
    return max(_painting_form.habits_or_default(asked.model).show_at, min(LEAST_SHOWN, max(asked.width, asked.height)))


def _answer(made: Made, lang: str) -> str:
    results = [run.result for run in made.runs]
    if len(results) == 1:
        body = _painting_views.pictures(made.files, made.film, results[0], made.side, lang)
    else:
        body = _painting_views.comparison(made.files, results, made.side, lang)
    run, card = made.runs[-1], catalog.card(results[0]["model"])
    if card and card.trained_on:
        body += _painting_views.taught(card.id, card.trained_on, lang)
    arguments = {name: value for name, value in run.result.items() if name not in TOLD_ONLY}
    return _ui.panel(body, run, lang, "generate_image", arguments)
