"""Text tasks: choose one of eleven, write, and see the answer in the form that suits it.

The visitor sees one row of tasks, a short form with examples, and the answer beside it: label bars, entities and
answers marked in the text, filled masks as sentences, text written token by token with what else could have stood in
each place (tabs/_writing.py), a heatmap. On demand the three stages that every pipeline goes through: tokens, the
model's numbers, what is made of them. A switch lets an inference provider do the work (tabs/_elsewhere.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from pipelines import inputs, remote_texts, stages, text_tasks
from pipelines.catalog import TASKS
from pipelines.run import Run
from tabs import _elsewhere, _model_line, _page, _ui, _views, _writing
from tabs._forms import FORMS, Field, elem_id, examples
from tabs._i18n import label

TITLE = "tab.text_tasks"


def build(
    functions: dict[str, Callable[..., Any]] = text_tasks.TASK_FUNCTIONS,
    stream: Callable[..., Iterator[Any]] = text_tasks.generate_stream,
    explain: Callable[..., dict] = stages.stages,
    elsewhere: Callable[..., Iterator[Any]] = remote_texts.answer_remotely,
) -> gr.Blocks:
    """Build the tab.

    Args:
        functions: {task: pipeline function returning a Run}.
        stream: The generating task as an iterator of Runs.
        explain: (task, arguments, model) -> the three stages.
        elsewhere: (task, arguments, token, model, provider[, stop]) -> waits and Runs of an inference provider.
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
                line = _model_line.ModelLine("text_tasks", more=_elsewhere.offer)
                error = _ui.error_line()
                switch = _elsewhere.Switch("text_tasks")
            with gr.Column(scale=7, elem_classes="mc-right"):
                panels = {name: _empty(name) for name in TASKS}
                show_stages = gr.Button(label("text.stages"), size="sm", elem_classes="mc-stages-button")
                stage_view = gr.HTML("", elem_classes="mc-stages")

        chosen = [*(forms[name].group for name in TASKS), *panels.values(), error, stage_view]
        # Even a hidden progress costs the browser some work for each output; one line stands for all.
        shown = {"show_progress": "hidden", "show_progress_on": error, "api_visibility": "private"}
        task.input(_select, task, chosen, queue=False, **shown)
        opened = _ui.on_link("text_tasks")
        opened.click(_from_link, None, [task, *chosen, *_linked(forms)], queue=False, **shown)
        lane = {**shown, **_ui.TEXT_LANE}
        for name, form in forms.items():
            outputs = [error, panels[name], last, stage_view]
            if name == "generate":
                writers = _writing.Writers(stream, elsewhere)
                _writing.wire(writers, partial(_arguments, name), form, outputs, switch.inputs, shown)
            else:
                here = _ui.watched(partial(_run, name, functions[name]), 3, _elsewhere.error_html)
                handler = _elsewhere.either(here, partial(_run_elsewhere, name, elsewhere))
                given = [*form.inputs, last, *switch.inputs]
                form.run.click(handler, given, outputs, trigger_mode="once", **lane)
        line.wire({name: form.model for name, form in forms.items()}, task)
        show_stages.click(_ui.guarded(partial(_stages, explain)), [task, last], [error, stage_view], **lane)
    return page


def _empty(task: str) -> gr.HTML:
    script = {"js_on_load": _writing.CHOOSE} if task == "generate" else {}
    return _ui.empty_panel(f"text.empty.{task}", visible=task == TASKS[0], **script)


class _Form:
    """One task's fields, model picker and Run button; for writing, also a button for the next token alone."""

    def __init__(self, task: str) -> None:
        with gr.Column(visible=task == TASKS[0], elem_classes=f"mc-plain mc-form-{task}") as self.group:
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
            if task == "generate":
                self.next_only = gr.Button(label("write.next_only"), size="sm", elem_classes="mc-next-only")
        self.inputs = [*(self.fields[field.name] for field in FORMS[task]), self.model]


def _component(task: str, field: Field) -> gr.components.Component:
    common: dict[str, Any] = {"label": label(f"{field.words}.{field.name}"), "elem_id": elem_id(task, field.name)}
    if field.words != "field":
        common["info"] = label(f"{field.words}.{field.name}_info")
    shown = ["mc-only", *(f"mc-only-{method}" for method in field.only)] if field.only else []
    if field.kind == "slider":
        low, high, step = field.bounds
        return gr.Slider(low, high, value=field.default, step=step, elem_classes=shown, **common)
    if field.kind == "seed":
        with gr.Row(elem_classes=["mc-seed", *shown]):
            # Text, because a gr.Number that is empty becomes 0 in the browser.
            seed = gr.Textbox(value="", max_lines=1, min_width=100, **common)
            dice = gr.Button(label("write.dice"), size="sm", min_width=100, elem_classes="mc-dice")
        dice.click(None, None, seed, js=_writing.DICE, api_visibility="private")
        return seed
    if field.kind == "check":
        return gr.Checkbox(value=field.default, **common)
    if field.kind == "choice":
        choices = [(label(f"{field.words}.{choice}"), choice) for choice in field.choices]
        return gr.Radio(choices, value=field.default, elem_classes="mc-choice", **common)
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
        elif field.folded and field.kind in ("line", "seed") and arguments[field.name] in ("", None):
            del arguments[field.name]
    return arguments, (model or "").strip() or None


def _run(task: str, function: Callable[..., Any], lang: str, *values: Any) -> list[Any]:
    *values, last = values
    arguments, model = _arguments(task, values)
    return _answer(task, function(**arguments, model=model), arguments, last, lang)


def _run_elsewhere(
    task: str, answer: Callable[..., Iterator[Any]], lang: str, at: _elsewhere.At, *values: Any
) -> Iterator[list[Any]]:
    *values, last = values
    try:
        arguments, model = _arguments(task, tuple(values))
        for event in answer(task, arguments, at.token, model, at.provider):
            if isinstance(event, Run):
                yield ["", *_answer(task, event, arguments, last, lang)]
            else:
                yield [_elsewhere.waiting(event, lang), *[gr.skip()] * 3]
    except Exception as error:
        yield [_ui.error_html(error, lang), *[gr.skip()] * 3]


def _answer(task: str, run: Run, arguments: dict[str, Any], last: dict[str, Any], lang: str) -> list[Any]:
    body = _views.VIEWS[task](run.result, arguments, lang)
    html = _ui.panel(body, run, lang, task, {**arguments, "model": run.model})
    return [html, _ui.remembered(last, task, arguments, run), ""]


def _stages(explain: Callable[..., dict], lang: str, task: str, last: dict[str, tuple]) -> str:
    if task not in last:
        return _views.hint("text.stages_first", lang)
    _, _, model, *provider = last[task]
    if provider:
        return _elsewhere.no_stages(model, *provider, lang)
    return _views.stages(explain(*last[task]), lang)


if __name__ == "__main__":
    page = build()
    page.launch(**_page.options())
