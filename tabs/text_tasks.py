"""Text tasks: choose one of eleven, write, and see the answer in the form that suits it.

The visitor sees one row of tasks, a short form with examples, and the answer beside it: label bars, entities and
answers marked in the text, filled masks as sentences, generated text token by token, a heatmap. On demand the three
stages that every pipeline goes through: tokens, the model's numbers, what is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from pipelines import inputs, stages, text_tasks
from pipelines.catalog import TASKS
from tabs import _page, _ui, _views
from tabs._forms import FORMS, Field, elem_id, examples
from tabs._i18n import label

TITLE = "tab.text_tasks"


def build(
    functions: dict[str, Callable[..., Any]] = text_tasks.TASK_FUNCTIONS,
    stream: Callable[..., Iterator[Any]] = text_tasks.generate_stream,
    explain: Callable[..., dict] = stages.stages,
) -> gr.Blocks:
    """Build the tab.

    Args:
        functions: {task: pipeline function returning a Run}.
        stream: The generating task as an iterator of Runs.
        explain: (task, arguments, model) -> the three stages.
    """
    with gr.Blocks() as page:
        task = gr.Radio(
            choices=[(label(f"task.{name}"), name) for name in TASKS],
            value=TASKS[0],
            show_label=False,
            container=False,
            elem_classes="mc-tasks",
            elem_id="mc-text_tasks-task",
        )
        last = gr.State({})
        with gr.Row(elem_classes="mc-columns"):
            with gr.Column(scale=5, elem_classes="mc-left"):
                forms = {name: _Form(name) for name in TASKS}
                error = _ui.error_line()
            with gr.Column(scale=7, elem_classes="mc-right"):
                panels = {name: _ui.empty_panel(f"text.empty.{name}", visible=name == TASKS[0]) for name in TASKS}
                show_stages = gr.Button(label("text.stages"), size="sm", elem_classes="mc-stages-button")
                stage_view = gr.HTML("", elem_classes="mc-stages")

        chosen = [*(forms[name].group for name in TASKS), *panels.values(), error, stage_view]
        # Even a hidden progress costs the browser some work for each output; one line stands for all.
        shown = {"show_progress": "hidden", "show_progress_on": error, "api_visibility": "private"}
        task.change(_select, task, chosen, queue=False, **shown)
        opened = _ui.on_link("text_tasks")
        opened.click(_from_link, None, [task, *chosen, *_linked(forms)], queue=False, **shown)
        lane = {**shown, **_ui.TEXT_LANE}
        for name, form in forms.items():
            outputs = [error, panels[name], last, stage_view]
            if name == "generate":
                handler = _ui.streamed(partial(_generate, stream), outputs=3)
                event = form.run.click(handler, [*form.inputs, last], outputs, trigger_mode="once", **lane)
                form.stop.click(None, cancels=event, **shown)
            else:
                handler = _ui.watched(partial(_run, name, functions[name]), outputs=3)
                form.run.click(handler, [*form.inputs, last], outputs, trigger_mode="once", **lane)
        show_stages.click(_ui.guarded(partial(_stages, explain)), [task, last], [error, stage_view], **lane)
    return page


class _Form:
    """One task's fields, model picker and Run button."""

    def __init__(self, task: str) -> None:
        with gr.Column(visible=task == TASKS[0], elem_classes="mc-plain") as self.group:
            _ui.opening(
                f"text.intro.{task}",
                [
                    (example["lang"], example["name"], {elem_id(task, k): v for k, v in example["values"].items()})
                    for example in examples().get(task, [])
                ],
            )
            self.fields = {field.name: _component(task, field) for field in FORMS[task] if not field.folded}
            self.model = _ui.model_picker(task, elem_id(task, "model"))
            folded = [field for field in FORMS[task] if field.folded]
            if folded:
                with gr.Accordion(label("ui.options"), open=False):
                    self.fields |= {field.name: _component(task, field) for field in folded}
            self.run, self.stop = _ui.run_row(stop=task == "generate")
        self.inputs = [*(self.fields[field.name] for field in FORMS[task]), self.model]


def _component(task: str, field: Field) -> gr.components.Component:
    common = {"label": label(f"field.{field.name}"), "elem_id": elem_id(task, field.name)}
    if field.kind == "slider":
        low, high, step = field.bounds
        return gr.Slider(low, high, value=field.default, step=step, **common)
    if field.kind == "number":
        return gr.Number(value=field.default, precision=0, **common)
    if field.kind == "check":
        return gr.Checkbox(value=field.default, **common)
    rows = {"line": 1, "labels": 2}.get(field.kind, 4)
    return gr.Textbox(value="", lines=rows, max_lines=12, elem_classes="mc-field", **common)


def _select(chosen: str) -> list[Any]:
    """Show a task's form and answer; the error line and the stages are all tasks', and are emptied."""
    visible = [gr.update(visible=name == chosen) for name in TASKS]
    return [*visible, *visible, "", ""]


def _linked(forms: dict[str, _Form]) -> list[gr.components.Component]:
    """The components a link can fill: every text field and every model picker."""
    return [component for name, form in forms.items() for _, component in _text_fields(name, form)]


def _text_fields(task: str, form: _Form) -> list[tuple[str, gr.components.Component]]:
    named = [(f.name, form.fields[f.name]) for f in FORMS[task] if f.kind in ("line", "text", "lines", "labels")]
    return [*named, ("model", form.model)]


def _from_link(request: gr.Request) -> list[Any]:
    """Fill the form a link names: ?tab=text_tasks&task=answer&question=…&context=…&model=…"""
    query = dict(request.query_params or {})
    chosen = query.get("task")
    filled = [
        query[name] if task == chosen and name in query else gr.skip()
        for task in TASKS
        for name in [*(f.name for f in FORMS[task] if f.kind in ("line", "text", "lines", "labels")), "model"]
    ]
    if query.get("tab") != "text_tasks" or chosen not in TASKS:
        return [gr.skip() for _ in range(3 + 2 * len(TASKS) + len(filled))]
    return [chosen, *_select(chosen), *filled]


def _arguments(task: str, values: tuple[Any, ...]) -> tuple[dict[str, Any], str | None]:
    """Return the pipeline function's arguments and the model (None: choose for me) from a form's values."""
    *entered, model = values
    arguments = dict(zip((field.name for field in FORMS[task]), entered, strict=True))
    for field in FORMS[task]:
        if field.kind == "lines":
            arguments[field.name] = inputs.lines(arguments[field.name])
        elif field.kind == "labels":
            arguments[field.name] = inputs.labels(arguments[field.name])
        elif field.folded and field.kind in ("line", "number") and arguments[field.name] in ("", None):
            del arguments[field.name]
    return arguments, (model or "").strip() or None


def _run(task: str, function: Callable[..., Any], lang: str, *values: Any) -> list[Any]:
    *values, last = values
    arguments, model = _arguments(task, values)
    run = function(**arguments, model=model)
    body = _views.VIEWS[task](run.result, arguments, lang)
    html = _ui.panel(body, run, lang, task, {**arguments, "model": run.model})
    return [html, {**last, task: (task, arguments, run.model)}, ""]


def _generate(stream: Callable[..., Iterator[Any]], lang: str, *values: Any) -> Iterator[list[Any]]:
    *values, last = values
    arguments, model = _arguments("generate", values)
    run = None
    for run in stream(**arguments, model=model):
        body = _views.generate(run.result, arguments, lang)
        yield [_ui.panel(body, run, lang, "generate", {**arguments, "model": run.model}), gr.skip(), gr.skip()]
    if run is not None:
        yield [gr.skip(), {**last, "generate": ("generate", arguments, run.model)}, ""]


def _stages(explain: Callable[..., dict], lang: str, task: str, last: dict[str, tuple[str, dict, str]]) -> str:
    if task not in last:
        return _views.hint("text.stages_first", lang)
    return _views.stages(explain(*last[task]), lang)


if __name__ == "__main__":
    page = build()
    page.launch(**_page.options())
