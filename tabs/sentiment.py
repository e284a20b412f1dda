"""Sentiment, side by side: several models on several sentences, on one scale.

The visitor writes sentences (or opens a CSV, perhaps with the right answers), ticks models, and sees a table: a row a
sentence, a column a model, disagreements first. "Why?" in a row paints each model's weight of each word; with gold
labels every model gets its marks and a confusion matrix. A run goes on while the page is loaded anew or its connection
is gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from pipelines import catalog, importance, model_check, sentiment, table_files
from pipelines.errors import VisitorError
from pipelines.run import Run
from settings import ROOT
from tabs import _cost_lines, _jobs, _page, _sentiment_views, _ui
from tabs._i18n import both, label, language, say

TITLE = "tab.sentiment"
EXAMPLES = ROOT / "assets" / "examples"
_BYTES_A_CELL = 1_000
# A button inside the table says which row is asked about; the component passes it on as an event.
ASK = """
element.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-why]");
  const { why, method } = pressed ? pressed.dataset : {};
  if (pressed) trigger("click", { row: Number(why), method: method || "leave_one_out" });
});
"""


@dataclass(frozen=True)
class _Shown:
    """The comparison on screen, kept for "Why?"."""

    run: Run
    arguments: dict[str, Any]

    @property
    def pending(self) -> list[str]:
        """Return the models that have not answered yet."""
        return [name for name in self.arguments["models"] if name not in self.run.result["models"]]


def build(
    compare: Callable[..., Iterator[Run]] = sentiment.compare_each,
    explain: Callable[..., Run] = importance.explain,
    working: Callable[[], list[str]] = sentiment.working_models,
    check: Callable[..., model_check.ModelCheck] = model_check.check,
) -> gr.Blocks:
    """Build the tab.

    Args:
        compare: (texts, models, gold) -> the comparison after each model.
        explain: (text, model, method) -> the weight of each word.
        working: () -> ids of the models ticked at first: those that answer without a download.
        check: (model id, task) -> whether it can be used, and what it costs.
    """
    with gr.Blocks() as page:
        shown = gr.State(None)
        with gr.Row(elem_classes="mc-columns"):
            with gr.Column(scale=5, min_width=280, elem_classes="mc-left mc-sc-form"):
                _ui.opening("sentiment.intro", _chips())
                text = gr.Textbox(
                    lines=4,
                    max_lines=12,
                    label=label("sentiment.text"),
                    info=label("sentiment.text_info"),
                    elem_id="mc-sentiment-text",
                    elem_classes="mc-field",
                )
                with gr.Row(elem_classes="mc-sc-files"):
                    upload = gr.UploadButton(
                        label("sentiment.upload"), file_types=[".csv", ".tsv", ".txt"], size="sm", scale=0
                    )
                    gr.HTML(_example_files())
                models = gr.CheckboxGroup(
                    choices=[
                        (_ui.badge(card).replace("↓ ", "↓\u00a0").replace(" MB", "\u00a0MB"), card.id)
                        for card in catalog.offered("sentiment")
                    ],
                    value=working()[: sentiment.MAX_MODELS],
                    label=label("sentiment.models"),
                    info=label("sentiment.models_info"),
                    elem_id="mc-sentiment-model",
                    elem_classes="mc-sc-models",
                )
                with gr.Accordion(label("ui.options"), open=False, elem_classes="mc-options"):
                    others = gr.Textbox(
                        label=label("sentiment.others"), info=label("sentiment.others_info"), max_lines=1
                    )
                costs = _cost_lines.CostLines("sentiment", partial(check, task="sentiment"), sentiment.MAX_MODELS)
                run, stop = _ui.run_row(stop=True)
                error = _ui.error_line()
                halt = _ui.halt_row("sentiment")
            with gr.Column(scale=8, min_width=320, elem_classes="mc-right"):
                answer = gr.HTML(
                    f'<div class="mc-panel mc-empty"><p>{both("sentiment.empty")}</p></div>',
                    elem_classes="mc-answer",
                    js_on_load=ASK,
                )

        quiet = {"show_progress": "hidden", "show_progress_on": error, "api_visibility": "private"}
        lane = quiet | _ui.TEXT_LANE | {"trigger_mode": "once"}
        opened = _ui.on_link("sentiment")
        linked = opened.click(_from_link, None, [text, models, others], queue=False, **quiet)
        costs.wire([models.change, others.blur, others.submit], _names, [models, others], after=linked)
        upload.upload(_ui.guarded(_read_file), upload, [error, text], queue=False, **quiet)
        kept = _jobs.Kept("sentiment")
        form = [text, models, others]
        kept.wire(run, partial(_prepare, compare), _shows(), form, [error, answer, shown, *form], **quiet)
        asked = answer.click(_explaining(explain), shown, [error, answer], **(lane | {"trigger_mode": "always_last"}))
        # Two listeners in this order: one alone would tidy up before it cancels.
        stop.click(None, cancels=[asked], **quiet)
        stop.click(_settle, shown, [error, answer], queue=False, **quiet)
        _jobs.stopper(stop, kept, **quiet)
        halt.click(_ui.halting(_names), [models, others], None, queue=False, **quiet)
    return page


def _chips() -> list[tuple[str, str, dict[str, str]]]:
    found = []
    for lang in ("ko", "en"):
        for name in ("tricky", "gold"):
            table = table_files.read_table(EXAMPLES / f"sentiment-{name}-{lang}.csv")
            lines = _lines(table) if name == "gold" else "\n".join(table.texts)
            found.append((lang, say(lang, f"sentiment.example_{name}"), {"mc-sentiment-text": lines}))
    return found


def _example_files() -> str:
    return "".join(
        f'<span lang="{lang}">'
        + _sentiment_views.example_file(EXAMPLES / f"sentiment-gold-{lang}.csv", say(lang, "sentiment.example_file"))
        + "</span>"
        for lang in ("ko", "en")
    )


def _lines(table: table_files.Table) -> str:
    """Return a table as it would be typed: one sentence per line, a gold label after a tab."""
    flat = [" ".join(text.split()) for text in table.texts]
    if table.gold is None:
        return "\n".join(flat)
    return "\n".join(f"{text}\t{gold}" if gold else text for text, gold in zip(flat, table.gold, strict=True))


def _read_file(lang: str, path: str | None) -> str:
    """Turn an uploaded table into lines the visitor sees and may edit; its rows are not kept anywhere else."""
    if path is None:
        raise VisitorError("table_empty")
    return _lines(table_files.read_table(path))


def _from_link(request: gr.Request) -> list[Any]:
    """Fill the form a link names: ?tab=sentiment&text=…&model=…,…"""
    query = dict(request.query_params or {})
    if query.get("tab") != "sentiment":
        return [gr.skip()] * 3
    named = [name for name in query.get("model", "").split(",") if name][: sentiment.MAX_MODELS]
    listed = [card.id for card in catalog.offered("sentiment")]
    ticked = [name for name in named if name in listed]
    typed = ", ".join(name for name in named if name not in listed)
    return [query.get("text", gr.skip()), ticked if named else gr.skip(), typed or gr.skip()]


def _shows() -> _jobs.Shows:
    """Return what a comparison puts on the page, a column after the other: the line under the button, the answer, what
    "Why?" asks about, and the fields of the form."""
    same = [gr.skip()] * 5

    def begun(lang: str, about: list[Any] | None) -> list[Any]:
        return [_ui.waiting(lang), *same[:2], *(about or same[2:])]

    def event(shown: _Shown | None, last: _Shown | None, lang: str) -> list[Any]:
        pending = shown.pending if shown else []
        line = _ui.waiting(lang, pending) if pending or shown is None else ""
        if shown is None or shown is last or not shown.run.timing:
            return [line, *same]
        return [line, _answer(shown, lang, pending), shown, *same[2:]]

    def failed(error: Exception, shown: _Shown | None, lang: str) -> list[Any]:
        # What had arrived stays, columns that were waited for go.
        stopped = isinstance(error, VisitorError) and error.key == "stopped"
        answer = _answer(shown, lang) if shown and shown.run.timing else gr.skip()
        return ["" if stopped else _ui.error_html(error, lang), answer, *same[1:]]

    return _jobs.Shows(begun, event, failed)


def _names(ticked: list[str] | None, others: str | None) -> list[str]:
    """Return the ids of the models that are ticked, then of those that were typed."""
    typed = (name.strip() for name in (others or "").split(","))
    return list(dict.fromkeys([*(ticked or []), *(name for name in typed if name)]))


def _prepare(compare: Callable[..., Iterator[Run]], typed: str, ticked: list[str], others: str) -> _jobs.Prepared:
    texts, gold = table_files.parse_lines(typed or "")
    models = _names(ticked, others)
    arguments = {"texts": texts, "models": models, **({"gold": gold} if gold else {})}

    def work(_: threading.Event) -> Iterator[_Shown]:
        yield _Shown(Run({"rows": [], "models": {}}, ""), arguments)
        for step in compare(texts, models, gold):
            yield _Shown(step, arguments)

    return work, [typed, ticked, others], lambda shown: 2 * len(typed or "") + _BYTES_A_CELL * len(texts) * len(models)


def _explaining(explain: Callable[..., Run]) -> Callable[..., Iterator[list[Any]]]:
    def run(request: gr.Request, shown: _Shown | None, event: gr.EventData) -> Iterator[list[Any]]:
        lang = language(request)
        row, method = getattr(event, "row", None), getattr(event, "method", "leave_one_out")
        if shown is None or not isinstance(row, int):
            yield [gr.skip(), gr.skip()]
            return
        rows = shown.run.result["rows"]
        if not 0 <= row < len(rows):
            yield ["", _answer(shown, lang)]
            return
        try:
            names = list(rows[row]["results"])
            found: dict[str, Any] = {}
            for name in names:
                waiting = names[len(found) :]
                yield [_ui.waiting(lang), _explained(shown, row, found, waiting, method, lang)]
                try:
                    found[name] = explain(rows[row]["text"], name, method).result
                except VisitorError as error:
                    found[name] = error
            yield ["", _explained(shown, row, found, [], method, lang)]
        except Exception as error:
            yield [_ui.error_html(error, lang), _answer(shown, lang)]

    return run


def _explained(shown: _Shown, row: int, found: dict[str, Any], waiting: list[str], method: str, lang: str) -> str:
    words = _sentiment_views.words(shown.run.result["rows"][row]["text"], found, waiting, row, method, lang)
    return _answer(shown, lang, explained=row, explanation=words)


def _settle(request: gr.Request, shown: _Shown | None) -> list[Any]:
    """After Stop: what had arrived stays, columns that were waited for go."""
    # The cancelled run may be about to answer once more; that answer must not come after this one.
    time.sleep(_ui.POLL_S)
    return ["", gr.skip() if shown is None else _answer(shown, language(request))]


def _answer(shown: _Shown, lang: str, pending: list[str] | None = None, **options: Any) -> str:
    body = _sentiment_views.comparison(shown.run.result, lang, pending or [], **options)
    # Each column shows its own milliseconds; the line below them adds up the run.
    models = say(lang, "sentiment.count_models", count=len(shown.run.timing))
    total = replace(shown.run, model=models, timing={"model": sum(shown.run.timing.values())})
    return _ui.panel(body, total, lang, "compare_sentiment", shown.arguments)


if __name__ == "__main__":
    page = build()
    page.launch(**_page.options())
