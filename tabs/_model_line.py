"""The line under a model picker: where the chosen model is, what it costs, how far its download is, and a Stop.

The Hub is asked when a model is chosen that is not here; nothing but its configuration is fetched. While a download
runs, the line follows it once a second; whoever presses Stop ends it, or the question to the Hub, for everybody who
waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from pipelines import hub, model_check, model_stage
from pipelines.errors import VisitorError
from pipelines.model_check import ModelCheck
from pipelines.model_stage import Stage
from tabs._i18n import label, language, say, sentence
from tabs._progress import line, mb, moving

__all__ = ["ModelLine", "badge", "is_here", "moving"]
TICK_S = 1.0
LANE = {"concurrency_id": "model_check", "concurrency_limit": 8}
LATER = ("gated", "too_big", "disk_full", "painter_too_big")


class ModelLine:
    """The line, its Stop button and its clock, as components.

    Args:
        name: Prefix of the components' elem_id.
        check: (model id, task) -> ModelCheck.
        stage: (model id) -> Stage.
        stop: (model id) -> whether a download was ended.
        more: (why a model cannot be used, or None; language) -> HTML to add.
    """

    def __init__(
        self,
        name: str,
        check: Callable[[Any, str], ModelCheck] = model_check.check,
        stage: Callable[[str], Stage] = model_stage.of,
        stop: Callable[[str], bool] = model_stage.stop,
        more: Callable[[VisitorError | None, str], str] = lambda problem, lang: "",
    ) -> None:
        self._check, self._stage, self._stop, self._more = check, stage, stop, more
        with gr.Row(elem_classes="mc-model-line"):
            self.line = gr.HTML("", elem_id=f"mc-{name}-model-line")
            self.halt = gr.Button(
                label("model.stop"), size="sm", visible=False, min_width=120, scale=0, elem_id=f"mc-{name}-model-stop"
            )
        self.clock = gr.Timer(TICK_S, active=False)
        # The chosen model, and the line that stands while nothing is under way.
        self.chosen = gr.State({"model": "", "idle": ""})

    def wire(self, pickers: dict[str, gr.Dropdown], switch: gr.Radio | None = None) -> None:
        """Follow the pickers of a tab: {task: picker}; `switch` shows another of them, by its task."""
        outputs = [self.line, self.halt, self.clock, self.chosen]
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        asking = {"trigger_mode": "always_last", **LANE, **quiet}
        for task, picker in pickers.items():
            picker.change(self._chooser(task), picker, outputs, **asking)
        if switch is not None:
            switch.change(self._switcher(list(pickers)), [switch, *pickers.values()], outputs, **asking)
        self.clock.tick(self._follow, self.chosen, outputs, queue=False, **quiet)
        self.halt.click(self._halt, self.chosen, outputs, queue=False, **quiet)

    def _chooser(self, task: str) -> Callable[..., Iterator[list[Any]]]:
        def choose(model: Any, request: gr.Request) -> Iterator[list[Any]]:
            name = model.strip() if isinstance(model, str) else ""
            if name and not is_here(name):
                asking = moving(Stage("checking"), language(request))
                yield [asking, gr.update(visible=True), gr.Timer(active=False), {"model": name, "idle": ""}]
            yield self._choose(task, model, request)

        return choose

    def _switcher(self, tasks: list[str]) -> Callable[..., Iterator[list[Any]]]:
        """Return what tells of the model that stands in the form of the task that is shown now."""

        def switch(request: gr.Request, task: str, *models: Any) -> Iterator[list[Any]]:
            if task in tasks:
                yield from self._chooser(task)(models[tasks.index(task)], request)

        return switch

    def _choose(self, task: str, model: Any, request: gr.Request) -> list[Any]:
        lang, name = language(request), model.strip() if isinstance(model, str) else ""
        if not name:
            return _nothing()
        found = self._check(name, task)
        idle = badge(found, lang) + self._more(found.problem, lang)
        waits = found.state == "remote" and (found.problem is None or found.problem.key == "stopped")
        return [idle, gr.update(visible=False), gr.Timer(active=waits), {"model": name, "idle": idle}]

    def _follow(self, chosen: dict[str, str], request: gr.Request) -> list[Any]:
        lang, now = language(request), self._stage(chosen["model"])
        if now.stage == "none":
            here = is_here(chosen["model"])
            idle = _here(lang, "cached") if here else chosen["idle"]
            return [idle, gr.update(visible=False), gr.Timer(active=not here), {**chosen, "idle": idle}]
        if now.stage == "ready":
            idle = _here(lang, "cached")
            return [idle, gr.update(visible=False), gr.Timer(active=False), {**chosen, "idle": idle}]
        return [moving(now, lang), gr.update(visible=now.stage in ("checking", "downloading")), gr.skip(), gr.skip()]

    def _halt(self, chosen: dict[str, str], request: gr.Request) -> list[Any]:
        stopped = bool(chosen["model"]) and self._stop(chosen["model"])
        said = line("stopped", say(language(request), "model.stopped")) if stopped else gr.skip()
        return [said, gr.update(visible=False), gr.skip(), gr.skip()]


def badge(found: ModelCheck, lang: str, named: str = "", cost: str = "model.remote") -> str:
    """Return what is known of a model that nobody is waiting for, as HTML.

    Args:
        found: What `check` told.
        lang: "ko" or "en".
        named: The model's id, where several lines stand together.
        cost: Key of the sentence that tells the bytes.
    """
    start = f"{named} · " if named else ""
    if found.problem is not None and found.problem.key == "stopped":
        return line("stopped", start + say(lang, "model.not_asked"))
    if found.problem is not None:
        kind = found.problem.key if found.problem.key in LATER else "unusable"
        name = {"gated": "gated", "unusable": "unusable"}.get(kind, "too_big")
        return line(name, f"{start}{say(lang, f'model.{name}')} · {sentence(found.problem, lang)}")
    if found.state != "remote":
        return _here(lang, found.state, start)
    facts = [say(lang, cost, mb=mb(found.download))]
    if found.parameters:
        facts.append(say(lang, "model.parameters", millions=mb(found.parameters)))
    facts += [found.license] if found.license else []
    facts += [say(lang, "model.gated")] if found.gated else []
    return line("remote", start + " · ".join(facts))


def _nothing() -> list[Any]:
    return ["", gr.update(visible=False), gr.Timer(active=False), {"model": "", "idle": ""}]


def _here(lang: str, state: str, start: str = "") -> str:
    return line(state, start + say(lang, f"model.{state}"))


def is_here(model_id: str) -> bool:
    """Tell whether a model costs nothing, since it is on this machine."""
    try:
        return hub.state(hub.check_id(model_id)) != "remote"
    except VisitorError:
        return False
