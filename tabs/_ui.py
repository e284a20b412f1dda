"""What every tab shares: examples, the model picker, the guarded run, and the panel around an answer."""

from __future__ import annotations

import html
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from pipelines import catalog, download, hub, model_stage, show_code
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs._i18n import both, label, language, say, sentence
from tabs._progress import moving

log = logging.getLogger(__name__)
esc = html.escape
TEXT_LANE = {"concurrency_id": "text", "concurrency_limit": 32}
# Pictures take turns in pipelines.lane; here they only keep out of the text tasks' way.
IMAGE_LANE = {"concurrency_id": "images", "concurrency_limit": 24}
POLL_S = 0.4
AGAIN_S = 3.0


def opening(key: str, examples: Sequence[tuple[str, str, dict[str, str]]], run: bool = True) -> gr.HTML:
    """What a form begins with, as one component: the sentence of `intro`, the examples of `chips`."""
    return gr.HTML(_intro(key) + _chips(examples, run))


def intro(key: str) -> gr.HTML:
    """The one sentence that says what the tab does."""
    return gr.HTML(_intro(key))


def _intro(key: str) -> str:
    return f'<p class="mc-intro">{both(key)}</p>'


def chips(examples: Sequence[tuple[str, str, dict[str, str]]], run: bool = True) -> gr.HTML:
    """Examples to click, Korean first on a Korean page.

    Args:
        examples: (language "ko"/"en", what the chip says, {elem_id of a text field: its value}).
        run: Press the form's Run button afterwards.
    """
    return gr.HTML(_chips(examples, run))


def _chips(examples: Sequence[tuple[str, str, dict[str, str]]], run: bool) -> str:
    buttons = "".join(
        f'<button type="button" class="mc-chip mc-{lang}" data-run="{int(run)}" '
        f'data-fill="{esc(json.dumps(values, ensure_ascii=False))}">{esc(name)}</button>'
        for lang, name, values in examples
    )
    return f'<div class="mc-chips">{both("ui.examples")}{buttons}</div>'


def model_picker(task: str, elem_id: str, multiselect: bool = False, value: Any = "") -> gr.Dropdown:
    """The models listed for a task, each with where it is, its languages and its size; any Hub id may be typed."""
    auto = [] if multiselect else [(label("ui.model_auto"), "")]
    return gr.Dropdown(
        choices=auto + [(badge(card), card.id) for card in catalog.offered(task)],
        value=value,
        label=label("ui.model"),
        info=label("ui.model_info"),
        allow_custom_value=True,
        multiselect=multiselect,
        elem_id=elem_id,
        elem_classes="mc-model",
    )


def badge(card: catalog.ModelCard) -> str:
    """Return "id · languages · size", with a mark for where the model is: ● on this machine, ↓ to be downloaded."""
    try:
        mark = "↓" if hub.state(card.id) == "remote" else "●"
    except VisitorError:
        mark = "–"
    size = f"{card.size_mb:,.0f} MB" if card.size_mb else "? MB"
    return " · ".join([card.id, ", ".join(card.languages) or "?", f"{mark} {size}"])


def run_row(stop: bool = False) -> tuple[gr.Button, gr.Button | None]:
    """The Run button (Ctrl+Enter) and, where a run can take more than a second, Stop (Esc)."""
    if not stop:
        return gr.Button(label("ui.run"), variant="primary", elem_classes="mc-run"), None
    with gr.Row(elem_classes="mc-run-row"):
        run = gr.Button(label("ui.run"), variant="primary", elem_classes="mc-run")
        halt = gr.Button(label("ui.stop"), variant="secondary", elem_classes="mc-stop")
    return run, halt


def on_link(tab: str) -> gr.Button:
    """A hidden button that assets/page.js presses once, for who follows a link to this tab, when it is first shown.

    Where `page.load` would do, it makes every visitor's page wait for tabs that nobody has opened.
    """
    return gr.Button("", visible="hidden", elem_id=f"mc-{tab}-on-link", elem_classes="mc-on-link")


def halt_row(tab: str) -> gr.Button:
    """A button that style.css shows while a line of `waiting` above it tells of a download, or of the Hub being asked.

    One that came and went with the line would be drawn anew under the visitor's finger.
    """
    return gr.Button(label("model.stop"), size="sm", elem_id=f"mc-{tab}-halt", elem_classes="mc-halt")


def halting(names: Callable[..., list[str]]) -> Callable[..., None]:
    """Return what the button of `halt_row` does: end the downloads of names(*values)."""

    def halt(*values: Any) -> None:
        for model in names(*values):
            model_stage.stop(model)

    return halt


def error_line() -> gr.HTML:
    """Where the one sentence about a wrong input stands, right under the button."""
    return gr.HTML("", elem_classes="mc-error-line")


def empty_panel(key: str, **options: Any) -> gr.HTML:
    """The place of the answer; until there is one, a line says what will appear."""
    return gr.HTML(f'<div class="mc-panel mc-empty"><p>{both(key)}</p></div>', elem_classes="mc-answer", **options)


def panel(body: str, run: Run, lang: str, endpoint: str, arguments: dict[str, Any]) -> str:
    """Return an answer's HTML: the body, warnings, the timing line, and the code, JSON and link to unfold.

    Args:
        body: HTML of the answer itself, already escaped.
        run: What the pipeline returned.
        lang: "ko" or "en".
        endpoint: Name of the API endpoint, for "Show the code".
        arguments: Its arguments for this very run.
    """
    remarks = "".join(f'<p class="mc-note">{esc(say(lang, key))}</p>' for key in (run.method, run.note) if key)
    python = run.code or show_code.show_code(endpoint, arguments)["python"]
    return (
        f'<div class="mc-panel">{body}{remarks}{timing_line(run, lang)}'
        f'<div class="mc-more">{code_block(lang, endpoint, python)}{json_block(lang, run.result)}'
        f'<button type="button" class="mc-link" data-mc="link">🔗 {esc(say(lang, "ui.link"))}</button></div></div>'
    )


def remembered(last: dict[str, Any], task: str, arguments: dict[str, Any], run: Run) -> dict[str, Any]:
    """Return {task: (task, arguments, model)} of the last runs with this one, and with its provider if it had one."""
    return {**last, task: (task, arguments, run.model, *([run.provider] if run.provider else []))}


def timing_line(run: Run, lang: str) -> str:
    """Return "tokenize 0.3 ms · model 12 ms · CPU · ONNX Runtime · model id"."""
    parts = [f"{esc(say(lang, f'stage.{name}'))} {ms:,.1f} ms" for name, ms in run.timing.items()]
    if run.cached:
        parts = [esc(say(lang, "ui.from_memory"))]
    device, _, runtime = run.device.partition(" · ")
    where = {"cuda": "GPU", "remo": "Inference Providers"}.get(device[:4], "CPU")
    where += f" · {runtime}" if runtime else ""
    return f'<p class="mc-timing">{" · ".join([*parts, where, esc(run.model)])}</p>'


def code_block(lang: str, endpoint: str, python: str) -> str:
    """Return the folded Python of this run, to copy or to take away as a notebook."""
    notebook = json.dumps(show_code.notebook(python, endpoint), ensure_ascii=False)
    return (
        f'<details class="mc-code"><summary>&lt;/&gt; {esc(say(lang, "ui.show_code"))}</summary><div class="mc-tools">'
        f'<button type="button" data-mc="copy">{esc(say(lang, "ui.copy"))}</button>'
        f'<button type="button" data-mc="download" data-name="{esc(endpoint)}.ipynb" data-text="{esc(notebook)}">'
        f'{esc(say(lang, "ui.notebook"))}</button></div><pre tabindex="0"><code>{esc(python)}</code></pre></details>'
    )


def json_block(lang: str, result: Any) -> str:
    """Return the folded raw result, as the API gives it."""
    text = json.dumps(result, ensure_ascii=False, indent=1)
    shown = text if len(text) <= 40_000 else text[:40_000] + "\n…"
    return (
        f'<details class="mc-json"><summary>{{ }} {esc(say(lang, "ui.json"))}</summary><div class="mc-tools">'
        f'<button type="button" data-mc="copy">{esc(say(lang, "ui.copy"))}</button></div>'
        f'<pre tabindex="0"><code>{esc(shown)}</code></pre></details>'
    )


def error_html(error: Exception, lang: str) -> str:
    """Return one plain sentence; what is not the visitor's to mend is logged and said to be ours."""
    if not isinstance(error, VisitorError):
        log.error("a run failed", exc_info=error)
        error = VisitorError("unexpected")
    return f'<p class="mc-error" role="alert">{esc(sentence(error, lang))}</p>'


def guarded(
    handler: Callable[..., Any], outputs: int = 1, told: Callable[[Exception, str], str] = error_html
) -> Callable[..., Any]:
    """Wrap a quick handler(lang, *values) -> output(s) as a gradio function with the error line as first output.

    When it fails, the error line says why, as `told` has it, and the other outputs stay as they are.
    """

    def run(request: gr.Request, *values: Any) -> list[Any]:
        lang = language(request)
        try:
            result = handler(lang, *values)
        except Exception as error:
            return [told(error, lang), *[gr.skip()] * outputs]
        return ["", *(result if outputs > 1 else [result])]

    return run


def watched(
    handler: Callable[..., Any],
    outputs: int = 1,
    told: Callable[[Exception, str], str] = error_html,
    names: Callable[..., list[str]] | None = None,
) -> Callable[..., Iterator[list[Any]]]:
    """As `guarded`, for a handler that may first load or download a model: meanwhile the error line says how far.

    Args:
        names: (values) -> the models that it may wait for; None tells of all downloads.
    """
    quick = guarded(handler, outputs, told)

    def run(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        done: list[list[Any]] = []
        worker = threading.Thread(target=lambda: done.append(quick(request, *values)), daemon=True)
        worker.start()
        worker.join(POLL_S)
        said, when = "", 0.0
        while worker.is_alive():
            line = waiting(language(request), names and names(*values))
            # Each event costs the browser time; but an earlier event that ends late may have wiped the line away.
            if line != said or time.monotonic() - when > AGAIN_S:
                said, when = line, time.monotonic()
                yield [line, *[gr.skip()] * outputs]
            worker.join(POLL_S)
        yield done[0]

    return run


def waiting(lang: str, models: Sequence[str] | None = None) -> str:
    """Return the line that stands in place of an error while a model is loaded or downloaded.

    Args:
        models: Those that are waited for, a line for each that is on its way; None tells of all downloads.
    """
    if models is not None:
        stages = {model: model_stage.of(model) for model in models}
        on_the_way = {
            model: now for model, now in stages.items() if now.stage in ("checking", "downloading", "loading")
        }
        if on_the_way:
            return f'<div class="mc-wait">{"".join(moving(now, lang, name) for name, now in on_the_way.items())}</div>'
        return f'<p class="mc-wait">{esc(say(lang, "ui.working"))}</p>'
    downloads = download.progress()
    if not downloads:
        return f'<p class="mc-wait">{esc(say(lang, "ui.working"))}</p>'
    lines = [
        say(lang, "ui.downloading", model=model_id, here=f"{here / 1e6:,.0f}", total=f"{total / 1e6:,.0f}")
        for model_id, (here, total) in downloads.items()
    ]
    return "".join(f'<p class="mc-wait">{esc(line)}</p>' for line in lines)


def paused(seconds: float | None, lang: str) -> str:
    """Return the line that stands there while a provider is waited for, or for the time it asked to wait."""
    said = say(lang, "ui.working") if seconds is None else say(lang, "where.pause", seconds=f"{seconds:.0f}")
    return f'<p class="mc-wait">{esc(said)}</p>'
