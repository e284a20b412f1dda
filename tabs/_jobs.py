"""A run that outlives its page's connection: the browser draws its id and finds it again (assets/jobs.js).

The run itself is a job (pipelines/jobs.py); an event only watches it, and takes up a place in gradio's queue but no
thread. When the connection breaks, or the page is loaded anew, the same event comes with the same id and goes on where
the other one was left.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from anyio import to_thread

from pipelines.jobs import JOBS, KEY, Job, Work
from tabs._i18n import language

# How many may watch: more than gradio's own bound for all events (app.launch) would let nothing else through.
LANE = {"concurrency_id": "jobs", "concurrency_limit": 220}
# A line that says the same is sent again only so often: for gradio to notice who is gone.
BEAT_S, QUIET_S = 1.0, 5.0
# What a run does, what its form held, and how many bytes its last event takes.
Prepared = tuple[Work, Any, Callable[[Any], int]]


@dataclass(frozen=True)
class Shows:
    """What a run puts on the page, as values of the tab's outputs.

    Attributes:
        begun: (lang, about) -> what stands there until there are news; `about` is what the form held, and None
            unless the page was loaded anew.
        event: (event, last, lang) -> an event (None before the first); `last` is the one shown before. It is called
            again and again while that is the same, and must then be quick.
        failed: (error, event, lang) -> what went wrong after the latest event.
    """

    begun: Callable[[str, Any], list[Any]]
    event: Callable[[Any, Any, str], list[Any]]
    failed: Callable[[Exception, Any, str], list[Any]]


class Kept:
    """Two hidden parts of a tab: a mark that says which run is over, and a button that finds one again.

    Args:
        name: Of the tab; a second kind of run in it has a name that begins with the tab's and a hyphen.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.mark = gr.HTML("", visible="hidden", elem_id=f"mc-job-{name}-over")
        self.find = gr.Button("", visible="hidden", elem_id=f"mc-job-{name}")

    def wire(
        self,
        pressed: gr.Button,
        prepare: Callable[..., Prepared],
        shows: Shows,
        inputs: list[gr.components.Component],
        outputs: list[gr.components.Component],
        secret: gr.components.Component | None = None,
        **options: Any,
    ) -> None:
        """Begin a run when the button is pressed, and show it; show it again when the browser looks for it.

        Args:
            prepare: (*inputs) -> the run; it raises what is wrong with the input.
            secret: An input that the browser must not store; the others it keeps until the run has begun.
        """
        place = next((number for number, each in enumerate(inputs) if each is secret), -1)
        js = f"(...values) => window.mcJobs.call('{self.name}', values.slice(0, {len(inputs) + 1}), {place})"
        run = following(prepare, shows, len(outputs))
        options = LANE | {"trigger_mode": "once"} | options
        gr.on([pressed.click, self.find.click], run, [self.mark, *inputs], [*outputs, self.mark], js=js, **options)


def following(prepare: Callable[..., Prepared], shows: Shows, outputs: int) -> Callable[..., AsyncIterator[list[Any]]]:
    """Return a gradio function whose first input is the browser's call, and whose last output is the mark."""

    async def run(request: gr.Request, call: str, *values: Any) -> AsyncIterator[list[Any]]:
        how, _, key = str(call).partition(" ")
        async with aclosing(_follow(language(request), how, key, partial(prepare, *values), shows)) as lines:
            number = 0
            async for line in lines:
                # The first line may come before the run has begun.
                yield [*line, _mark(key, "begun") if number == 1 else gr.skip()]
                number += 1
        yield [*[gr.skip()] * outputs, _mark(key, "over")]

    return run


def _mark(key: str, state: str) -> str:
    return f'<i data-job="{key}" data-is="{state}"></i>' if KEY.fullmatch(key) else ""


async def _follow(
    lang: str, how: str, key: str, prepare: Callable[[], Prepared], shows: Shows
) -> AsyncIterator[list[Any]]:
    """Show a run from where it is.

    Args:
        how: run; or, for a page that was loaded anew, load, which never begins one, or again, which may.
    """
    job: Job | None = None
    try:
        if how == "load":
            job = JOBS.find(key)
            if job is None:
                return
        else:
            yield shows.begun(lang, None)
            job = await to_thread.run_sync(lambda: JOBS.start(key, *prepare()))
        if how in ("load", "again"):
            yield shows.begun(lang, job.about)
        last, told, when = None, None, 0.0
        async with aclosing(job.watch(BEAT_S)) as events:
            async for event in events:
                if event is last or event is None:
                    line = shows.event(event, last, lang)
                    if line == told and time.monotonic() - when < QUIET_S:
                        continue
                else:
                    line = await to_thread.run_sync(shows.event, event, last, lang)
                yield line
                last, told, when = event, line, time.monotonic()
    except Exception as error:
        yield shows.failed(error, job and job.latest, lang)


def stopper(pressed: gr.Button, *runs: Kept, **options: Any) -> None:
    """Let a button stop the runs of its own page, also those that wait for their turn."""
    names = [run.name for run in runs]
    pressed.click(stop, runs[0].mark, None, js=f"() => [window.mcJobs.ids({names})]", queue=False, **options)


def stop(keys: str) -> None:
    """Stop runs by their ids, as the browser gives them."""
    for key in str(keys).split()[:8]:
        JOBS.stop(key)
