"""The text tab's writing: from the form to tokens on the page as they come, and on from any of them ("what if")."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gradio as gr

from pipelines import generation, inputs, remote_writing
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import _elsewhere, _ui
from tabs import _writing_views as views
from tabs._forms import FORMS, METHODS
from tabs._i18n import language
from tabs._writing_views import Version

MOST_VERSIONS = 8
SEEDS = 100_000  # short enough to be read out in a class
DICE = f"() => String(Math.floor(Math.random() * {SEEDS}))"
PACE_S = 0.06
# An alternative that is pressed is a "click", an earlier version a "select", a seed to keep an "input".
CHOOSE = """
element.addEventListener("click", (event) => {
  const pressed = event.target.closest("button[data-instead], button[data-version], button[data-seed]");
  if (!pressed) return;
  const { instead, version, seed } = pressed.dataset;
  if (version) return trigger("select", { version: Number(version) });
  if (seed) return trigger("input", { seed: Number(seed) });
  const [place, token] = instead.split(" ").map(Number);
  trigger("click", { version: Number(pressed.closest(".mc-written").dataset.version), place, token });
});
"""


@dataclass(frozen=True)
class Job:
    """What is to be written, and what the page remembers: the last run of each task, and the versions."""

    arguments: dict[str, Any]
    model: str | None
    last: dict[str, Any]
    versions: tuple[Version, ...]
    swapped: tuple[int, ...] = ()
    change: tuple[str, str] | None = None
    # (arguments, model, what stops it) -> Runs and waits, where a provider writes
    elsewhere: Callable[[dict[str, Any], str | None, threading.Event], Iterator[Any]] | None = field(
        default=None, repr=False
    )


@dataclass(frozen=True)
class Writers:
    """Who may write.

    Attributes:
        here: The generating pipeline function.
        elsewhere: remote_texts.answer_remotely.
    """

    here: Callable[..., Iterator[Run]]
    elsewhere: Callable[..., Iterator[Any]]


@dataclass(eq=False)
class _Going:
    """A text being written: `stop` ends it, `replaced` says that the page shows another one by now."""

    session: str | None
    stop: threading.Event
    replaced: bool = False


_under_way: set[_Going] = set()


def wire(
    writers: Writers,
    read: Callable[[tuple[Any, ...]], tuple[dict[str, Any], str | None]],
    form: Any,
    outputs: list[gr.components.Component],
    switch: list[gr.components.Component],
    options: dict[str, Any],
) -> None:
    """Connect the form and the answer.

    Args:
        writers: On this machine and elsewhere.
        read: A form's values -> (its values by name, model).
        form: With inputs, fields, run, stop and next_only.
        outputs: Error line, answer, last runs (a State), stages.
        switch: The inputs of _elsewhere.Switch.
        options: Those of the tab's listeners.
    """
    error, panel, last, stage_view = outputs
    versions = gr.State(())
    shown = [error, panel, last, stage_view, versions]
    writing = {"trigger_mode": "once", **options, **_ui.TEXT_LANE}
    for button, only_next in ((form.run, False), (form.next_only, True)):
        first = _running(writers.here, partial(_from_form, read, only_next, writers.elsewhere))
        button.click(first, [*form.inputs, last, versions, *switch], shown, **writing)
    panel.click(_running(writers.here, _what_if), [last, versions], shown, **writing)
    panel.select(_show, [last, versions], shown[:4], queue=False, **options)
    panel.input(_keep_seed, None, form.fields["seed"], queue=False, **options)
    form.stop.click(_stop, None, None, queue=False, **options)


def asked(form: dict[str, Any], only_next: bool = False) -> dict[str, Any]:
    """Return the arguments of `generate` that have an effect under the form's method, a seed always with sampling."""
    how = inputs.choice(form.get("method"), "method", METHODS)
    fields = {field.name: field for field in FORMS["generate"] if field.name != "method"}
    said = {name: form[name] for name, field in fields.items() if name in form and how in (field.only or METHODS)}
    if how == "greedy":
        said["temperature"] = 0
    elif how == "sample":
        typed = str(said.get("seed") or "").strip()
        said["seed"] = int(typed) if typed.isdecimal() and len(typed) < 20 else typed or random.randrange(SEEDS)
    if said.get("repetition_penalty") == 1:
        del said["repetition_penalty"]
    return said | ({"max_new_tokens": 1} if only_next else {})


def _from_form(read: Callable[..., Any], only_next: bool, answer: Callable[..., Any], event: Any, *values: Any) -> Job:
    *values, last, versions, where, token, provider = values
    form, model = read(tuple(values))
    arguments, elsewhere = asked(form, only_next), None
    if where == _elsewhere.ELSEWHERE:
        arguments = {name: value for name, value in arguments.items() if name not in remote_writing.NOT_SENT}
        elsewhere = _elsewhere.writer(answer, _elsewhere.At(token, provider))
    return Job(arguments, model, last, versions, elsewhere=elsewhere)


def _what_if(event: Any, last: dict[str, Any], versions: tuple[Version, ...]) -> Job:
    """Go on from an alternative, with the settings and the seed of the version it belongs to."""
    old, place = _version(event, versions), getattr(event, "place", None)
    if old.run.provider:
        raise VisitorError("remote_no_what_if")
    tokens = old.run.result["tokens"]
    begun = generation.instead(tokens, place, getattr(event, "token", None))
    swapped = (*(each for each in old.swapped if each < place), place)
    change = (tokens[place]["token"], begun[place]["token"])
    return Job({**old.arguments, "begun": begun}, old.run.model, last, versions, swapped, change)


def _version(event: Any, versions: tuple[Version, ...]) -> Version:
    for each in versions:
        if each.number == getattr(event, "version", None):
            return each
    raise VisitorError("no_alternative")


def _show(request: gr.Request, event: gr.EventData, last: dict[str, Any], versions: tuple[Version, ...]) -> list[Any]:
    """Show an earlier version again."""
    lang = language(request)
    try:
        version = _version(event, versions)
    except VisitorError as error:
        return [_ui.error_html(error, lang), *[gr.skip()] * 3]
    return ["", _panel(version, versions, lang), _remembered(last, version), ""]


def _keep_seed(event: gr.EventData) -> Any:
    seed = getattr(event, "seed", None)
    return str(seed) if isinstance(seed, int) else gr.skip()


def _running(stream: Callable[..., Iterator[Run]], prepare: Callable[..., Job]) -> Callable[..., Iterator[list[Any]]]:
    """Wrap prepare(event, *values) -> Job as a gradio function that writes; errors stand beside the button."""

    def run(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[list[Any]]:
        lang = language(request)
        try:
            job = prepare(event, *values)
            with _stoppable(request.session_hash) as going:
                yield from _written(stream, job, going, lang)
        except Exception as error:
            yield [_elsewhere.error_html(error, lang), *[gr.skip()] * 4]

    return run


def _written(stream: Callable[..., Iterator[Run]], job: Job, going: _Going, lang: str) -> Iterator[list[Any]]:
    yield [_ui.waiting(lang), *[gr.skip()] * 4]
    number = job.versions[0].number + 1 if job.versions else 1
    if job.elsewhere is None:
        reader = _Reader(stream(**job.arguments, model=job.model, stop=going.stop.is_set))
    else:
        reader = _Reader(job.elsewhere(job.arguments, job.model, going.stop))

    def so_far() -> tuple[Version, ...]:
        version = Version(number, job.arguments, reader.run, job.swapped, job.change)
        return (version, *job.versions)[:MOST_VERSIONS]

    while reader.more():
        if going.replaced:
            return
        if reader.run is not None:
            yield ["", _live(so_far(), lang), *[gr.skip()] * 3]
            time.sleep(PACE_S)
        elif going.stop.is_set():
            break
        else:
            told = _elsewhere.waiting(reader.wait, lang) if job.elsewhere else _ui.waiting(lang)
            yield [told, *[gr.skip()] * 4]
    if going.replaced:
        return
    if reader.run is None or "beams" in reader.run.result:
        if reader.failed is not None:
            raise reader.failed
        yield ["", *[gr.skip()] * 4]
        return
    told = "" if reader.failed is None else _ui.error_html(reader.failed, lang)
    versions = so_far()
    yield [told, _panel(versions[0], versions, lang), _remembered(job.last, versions[0]), "", versions]


class _Reader:
    """Reads an iterator in a thread of its own: loading, writing, a slow connection and Stop never wait for each other.

    Attributes:
        run: The newest it gave.
        wait: What a provider asked for meanwhile.
        failed: What went wrong.
    """

    def __init__(self, runs: Iterator[Any]) -> None:
        self.run: Run | None = None
        self.wait: Any = None
        self.failed: Exception | None = None
        self._runs, self._news, self._over = runs, threading.Event(), False
        threading.Thread(target=self._read, name="writing", daemon=True).start()

    def more(self) -> bool:
        """Wait for something new, but not for long; False when nothing more will come."""
        self._news.wait(_ui.POLL_S)
        self._news.clear()
        return not self._over

    def _read(self) -> None:
        try:
            for each in self._runs:
                if isinstance(each, Run):
                    self.run = each
                else:
                    self.wait = each
                self._news.set()
        except Exception as error:  # said where the text is shown
            self.failed = error
        self._over = True
        self._news.set()


@contextmanager
def _stoppable(session: str | None) -> Iterator[_Going]:
    going = _Going(session, threading.Event())
    for other in _of(session):
        other.replaced = True
        other.stop.set()
    _under_way.add(going)
    try:
        yield going
    finally:
        going.stop.set()
        _under_way.discard(going)


def _of(session: str | None) -> list[_Going]:
    return [each for each in list(_under_way) if session is not None and each.session == session]


def _stop(request: gr.Request) -> None:
    """Stop what this session is writing; what stands there stays."""
    for going in _of(request.session_hash):
        going.stop.set()


def _remembered(last: dict[str, Any], version: Version) -> dict[str, Any]:
    arguments = {name: value for name, value in version.arguments.items() if name != "begun"}
    return _ui.remembered(last, "generate", arguments, version.run)


def _live(versions: tuple[Version, ...], lang: str) -> str:
    """Return the answer while it is written: what is only of use afterwards need not travel with each token."""
    body, run = _body(versions[0], versions, lang, live=True), versions[0].run
    return f'<div class="mc-panel">{body}{_ui.timing_line(run, lang)}</div>'


def _panel(version: Version, versions: tuple[Version, ...], lang: str) -> str:
    arguments = {**version.arguments, "model": version.run.model}
    return _ui.panel(_body(version, versions, lang), version.run, lang, "generate", arguments)


def _body(version: Version, versions: tuple[Version, ...], lang: str, live: bool = False) -> str:
    text = views.generate(version.run.result, version.arguments, lang, version, live)
    return text + views.versions(versions, version.number, lang, live)
