"""Tokenizer: a text cut into tokens by up to four tokenizers side by side, recoloured with every key.

The visitor sees coloured tokens with their ids on hover, how many there are, what the vocabulary does not know, and
what Korean costs against English. Below, one closer look at a time, computed only when it is opened: the padded batch,
bytes and jamo, the round trip, the vocabulary, the chat template, words against characters against sub-words, and
byte-pair encoding learned from the visitor's own text with a slider to replay it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import gradio as gr

from pipelines import bpe, catalog, hub, loading, model_check, tokenizer, vocabulary
from pipelines.errors import VisitorError
from pipelines.run import Run
from pipelines.simple_tokenizers import SIMPLE
from settings import ROOT
from tabs import _cost_lines, _page, _tokens, _ui
from tabs import _token_tools as tools
from tabs._i18n import both, label, language, say, sentence

TITLE = "tab.tokenizer"
MOST_LIVE_CHARS = 3_000
BYTE_CHARS = 120
PADDINGS = {"longest": True, "max_length": "max_length", "none": False}
SHOW_IDS = "(on) => { document.documentElement.classList.toggle('mc-tk-ids', on) }"
# Two kinds of events answer side by side, and the slower may bring what the form held before. So each question has a
# number, its answer brings it back, and an answer to any but the newest question makes the page ask once more.
NUMBERED = "(...form) => { window.tkAsked = (window.tkAsked || 0) + 1; return [...form.slice(0, -1), window.tkAsked] }"
IF_OLD = "(answered, again) => answered === window.tkAsked ? again : String(window.tkAsked)"


@dataclass(frozen=True)
class Functions:
    """The pipeline functions behind the tab; a test passes its own."""

    tokenize: Callable[..., Run] = tokenizer.tokenize
    usual_cost: Callable[[str], tuple[float, float]] = tokenizer.usual_cost
    cost: Callable[..., dict] = tokenizer.cost
    pieces: Callable[..., list] = vocabulary.pieces
    unknown_token: Callable[[str], str | None] = vocabulary.unknown_token
    byte_view: Callable[..., dict] = vocabulary.byte_view
    round_trip: Callable[..., dict] = vocabulary.round_trip
    lookup: Callable[..., dict] = vocabulary.lookup
    chat_view: Callable[..., dict] = vocabulary.chat_view
    learn_bpe: Callable[..., dict] = bpe.learn_bpe
    check: Callable[[str], model_check.ModelCheck] = model_check.check_tokenizer


class Form(NamedTuple):
    """What stands in the form, in the order of the components."""

    text: str
    names: list[str]
    add_special_tokens: bool
    truncation: bool
    max_length: int | None
    tool: str | None
    padding: str
    query: str
    system: str
    user: str
    assistant: str
    merges: int
    korean: str
    english: str
    number: int | None = None


def build(do: Functions | None = None) -> gr.Blocks:
    """Build the tab.

    Args:
        do: The pipeline functions.
    """
    do = do or Functions()
    with gr.Blocks() as page:
        with gr.Row(elem_classes="mc-columns"):
            with gr.Column(scale=5, elem_classes="mc-left"):
                _ui.opening("tokenizer.intro", _chips(), run=False)
                text = gr.Textbox(
                    label=label("tokenizer.text"),
                    lines=5,
                    max_lines=14,
                    elem_id="mc-tokenizer-text",
                    elem_classes="mc-field",
                )
                names = _picker()
                chosen = gr.Textbox(json.dumps(tokenizer.defaults()), visible="hidden", elem_id="mc-tokenizer-chosen")
                costs = _cost_lines.CostLines(
                    "tokenizer", do.check, tokenizer.MOST_TOKENIZERS, here=_here, cost="tokenizer.cost"
                )
                bring = gr.Button(label("tokenizer.fetch"), size="sm", elem_classes="tk-fetch")
                with gr.Accordion(label("ui.options"), open=False):
                    special = gr.Checkbox(True, label=label("tokenizer.add_special_tokens"))
                    truncation = gr.Checkbox(False, label=label("tokenizer.truncation"))
                    key = "tokenizer.max_length"
                    max_length = gr.Number(None, label=label(key), info=label(f"{key}_info"), precision=0, minimum=1)
                error = _ui.error_line()
                halt = _ui.halt_row("tokenizer")
            with gr.Column(scale=7, elem_classes="mc-right"):
                show_ids = gr.Checkbox(
                    False, label=label("tokenizer.show_ids"), container=False, elem_classes="tk-idline"
                )
                answer = _ui.empty_panel("tokenizer.empty")
        gr.HTML(f'<p class="tk-tools-title">{both("tokenizer.tools")}</p>')
        tool = gr.Radio(
            [(label(f"tokenizer.tool_{name}"), name) for name in VIEWS],
            label=label("tokenizer.tools"),
            show_label=False,
            container=False,
            elem_classes="mc-tasks",
            elem_id="mc-tokenizer-tool",
        )
        groups, fields = _tool_forms()
        view = gr.HTML("", elem_classes="tk-tool")

        number, answered = (gr.Number(0, visible="hidden") for _ in range(2))
        again = gr.Textbox("", visible="hidden")
        form = [text, names, special, truncation, max_length, tool, *fields, number]
        shown = [error, answer, view, answered]
        quiet = {"show_progress": "hidden", "show_progress_on": error, "api_visibility": "private"}
        at_once = quiet | {"queue": False, "trigger_mode": "always_last"}
        waiting = quiet | {"concurrency_id": "tokenizer", "concurrency_limit": 8, "trigger_mode": "always_last"}
        show_ids.input(None, show_ids, None, js=SHOW_IDS)
        live, looking = _ui.guarded(partial(_live, do), outputs=3), _ui.guarded(partial(_look, do))
        # A listed tokenizer that is not here yet is fetched when it is chosen, with a line that says how far; one whose
        # id was typed once its cost has been seen; typing a text never waits for one.
        fetching, bringing = (
            _ui.watched(partial(_live, do, fetch=which), outputs=3, names=lambda *values: Form(*values).names or [])
            for which in (_listed, lambda name: True)
        )
        # A textbox's "input" event comes from key presses alone: pasting, deleting and Hangul in composition have none.
        changes = [text.change, special.change, truncation.change, max_length.change, again.change]
        gr.on(changes, live, form, shown, js=NUMBERED, **at_once)
        # Gradio tells of a change of several choices again and again once the server has set them; a text's only once.
        names.change(None, names, chosen, js="names => JSON.stringify(names || [])", **quiet)
        chosen.change(fetching, form, shown, js=NUMBERED, **waiting)
        bring.click(bringing, form, shown, js=NUMBERED, **waiting)
        answered.change(None, [answered, again], again, js=IF_OLD, **quiet)
        costs.wire([chosen.change], _typed, [names])
        halt.click(_ui.halting(lambda chosen: chosen or []), names, None, queue=False, **quiet)
        looked = tool.input(lambda chosen: [gr.update(visible=name == chosen) for name in groups], tool,
                            list(groups.values()), queue=False, **quiet)  # fmt: skip
        looked.then(looking, form, [error, view], **at_once)
        gr.on([field.change for field in fields], looking, form, [error, view], **at_once)
        text.blur(_ui.guarded(partial(_long_look, do)), form, [error, view], **at_once)
        # What it fills tells of its change, as if the visitor had written it.
        page.load(_first, None, [text, names, *fields[2:4]], queue=False, **quiet)
    return page


def _chips() -> list[tuple[str, str, dict[str, str]]]:
    return [
        (one["lang"], say(one["lang"], f"tokenizer.example_{one['name']}"), {"mc-tokenizer-text": one["text"]})
        for one in _examples()
    ]


@lru_cache(maxsize=1)
def _examples() -> list[dict[str, str]]:
    """Return [{"lang", "name", "text"}] from assets/examples; each language's first one stands in the empty form."""
    return json.loads((ROOT / "assets" / "examples" / "tokenizer.json").read_text("utf-8"))


def _picker() -> gr.Dropdown:
    listed = [(_badge(card), card.id) for card in catalog.offered("tokenize")]
    simple = [(label(f"tokenizer.choice_{name.removeprefix('builtin/')}"), name) for name in SIMPLE]
    return gr.Dropdown(
        listed + simple,
        value=tokenizer.defaults(),
        multiselect=True,
        max_choices=tokenizer.MOST_TOKENIZERS,
        allow_custom_value=True,
        label=label("tokenizer.tokenizers"),
        info=label("tokenizer.tokenizers_info"),
        elem_id="mc-tokenizer-model",
        elem_classes="mc-model",
    )


def _badge(card: catalog.ModelCard) -> str:
    """As `_ui.badge`, without the size of the weights: they are not needed here."""
    return f"{card.id} · {', '.join(card.languages[:3]) or '?'} {'●' if _here(card.id) else '↓'}"


def _tool_forms() -> tuple[dict[str, gr.Column], list[gr.components.Component]]:
    """The fields that some tools have of their own; a group for every tool, so that one rule shows and hides them."""
    groups, fields = {}, []
    for name in VIEWS:
        with gr.Column(visible=False, elem_classes=["mc-plain", "tk-tool-form"]) as groups[name]:
            if name == "batch":
                choices = [(label(f"tokenizer.padding_{how}"), how) for how in PADDINGS]
                fields.append(gr.Radio(choices, value="longest", label=label("tokenizer.padding")))
            elif name == "lookup":
                fields.append(gr.Textbox("", label=label("tokenizer.query"), max_lines=1))
            elif name == "chat":
                for role in ("system", "user", "assistant"):
                    fields.append(gr.Textbox("", label=label(f"tokenizer.chat_{role}"), lines=1, max_lines=4))
            elif name == "bpe":
                fields.append(gr.Slider(1, 500, value=40, step=1, label=label("tokenizer.merges")))
            elif name == "cost":
                with gr.Row():
                    fields.append(gr.Textbox("", label=label("tokenizer.own_ko"), max_lines=3))
                    fields.append(gr.Textbox("", label=label("tokenizer.own_en"), max_lines=3))
    return groups, fields


def _first(request: gr.Request) -> list[Any]:
    """Fill the form: what a link names (?tab=tokenizer&text=…&model=…,…), else an example in the page's language."""
    lang, query = language(request), dict(request.query_params or {})
    mine = query.get("tab") == "tokenizer"
    text = query.get("text") if mine else None
    named = [name for name in query.get("model", "").split(",") if name][: tokenizer.MOST_TOKENIZERS] if mine else []
    example = next(one["text"] for one in _examples() if one["lang"] == lang)
    chat = [say(lang, f"tokenizer.chat_{role}_default") for role in ("system", "user")]
    return [text or example, named or gr.skip(), *chat]


def _here(name: str) -> bool:
    """Tell whether a tokenizer can answer without the network."""
    if name in SIMPLE or loading.has_tokenizer(name):
        return True
    try:
        return hub.state(name) != "remote"
    except VisitorError:
        return False


def _listed(name: str) -> bool:
    return name in SIMPLE or catalog.card(name) is not None


def _typed(names: list[str] | None) -> list[str]:
    return [name for name in names or [] if not _listed(name)]


def _live(do: Functions, lang: str, *values: Any, fetch: Callable[[str], bool] | None = None) -> list[Any]:
    """Recolour the text, and bring the open tool up to date unless the text is long."""
    form = Form(*values)
    missing = "empty" if not (form.text or "").strip() else "none_chosen" if not form.names else None
    if missing:
        return [f'<div class="mc-panel mc-empty"><p>{both(f"tokenizer.{missing}")}</p></div>', gr.skip(), form.number]
    answer = _answer(do, form, lang, fetch)
    if form.tool in (None, "lookup", "chat", "cost") and not fetch or form.tool is None:
        return [answer, gr.skip(), form.number]
    long = len(form.text) > MOST_LIVE_CHARS
    view = _panel(tools.hint("long_text", lang)) if long and not fetch else _look(do, lang, *values)
    return [answer, view, form.number]


def _look(do: Functions, lang: str, *values: Any) -> Any:
    form = Form(*values)
    if form.tool not in VIEWS:
        return gr.skip()
    form = form._replace(names=[name for name in form.names or [] if _here(name)])
    if not form.names:
        return _panel(tools.hint("none_chosen", lang))
    if not (form.text or "").strip() and form.tool not in ("lookup", "chat", "cost"):
        return _panel(tools.hint("empty", lang))
    body = VIEWS[form.tool](do, form, lang)
    return body if form.tool == "code" else _panel(tools.why(f"why_{form.tool}", lang) + body)


def _long_look(do: Functions, lang: str, *values: Any) -> Any:
    """After typing a long text, when the field is left: the tool that was not kept up to date."""
    return _look(do, lang, *values) if len(values[0] or "") > MOST_LIVE_CHARS else gr.skip()


def _panel(body: str) -> str:
    return f'<div class="mc-panel tk-panel">{body}</div>'


def _options(form: Form) -> dict[str, Any]:
    found = {"add_special_tokens": form.add_special_tokens, "truncation": form.truncation}
    return found if form.max_length is None else found | {"max_length": form.max_length}


def _why_not(name: str, lang: str) -> str:
    return say(lang, "tokenizer.not_loaded" if _listed(name) else "tokenizer.not_fetched")


def _answer(do: Functions, form: Form, lang: str, fetch: Callable[[str], bool] | None) -> str:
    """The text as each tokenizer cuts it; one that fails says so in its place and leaves the others."""
    names = list(dict.fromkeys(form.names))[: tokenizer.MOST_TOKENIZERS]
    entries: dict[str, dict] = {}
    failed: dict[str, str] = {}
    spent = 0.0
    for name in names:
        # Without a network there is nothing to fetch: the library's own sentence says so at once.
        if not _here(name) and not (fetch and fetch(name)) and not hub.offline():
            failed[name] = _why_not(name, lang)
            continue
        try:
            run = do.tokenize(form.text, [name], **_options(form))
        except VisitorError as error:
            if error.key in ("text_too_long", "bad_number"):
                raise
            stopped = error.key == "stopped"  # there is no Run to press here
            failed[name] = (
                f"{say(lang, 'tokenizer.stopped')} {_why_not(name, lang)}" if stopped else sentence(error, lang)
            )
            continue
        entries[name] = run.result[name][0]
        spent += sum(run.timing.values())
    longest = max((len(entry["ids"]) for entry in entries.values()), default=1)
    cards = [
        _tokens.problem(name, failed[name]) if name in failed else _card(do, name, entries[name], form, longest, lang)
        for name in names
    ]
    timing = f'<p class="mc-timing">{html.escape(say(lang, "stage.tokenize"))} {spent:,.1f} ms · CPU</p>'
    link = f'<button type="button" class="mc-link" data-mc="link">🔗 {html.escape(say(lang, "ui.link"))}</button>'
    body = "".join(cards) + _tokens.legend(lang) + timing + f'<div class="mc-more">{link}</div>'
    return f'<div class="mc-panel tk-answer">{body}</div>'


def _card(do: Functions, name: str, entry: dict, form: Form, longest: int, lang: str) -> str:
    drawn = _tokens.MOST_DRAWN // max(1, len(form.names))
    pieces = do.pieces(name, entry["tokens"][:drawn])
    cost = None if name in SIMPLE else do.usual_cost(name)
    figures = _tokens.figures(entry, len(form.text), longest, cost, lang)
    return _tokens.card(name, figures + _tokens.chips(entry, pieces, do.unknown_token(name), lang, drawn))


def _each(form: Form, lang: str, view: Callable[[str], str]) -> str:
    """One part for each tokenizer; one that cannot answer says so in its place."""
    parts = []
    for name in form.names:
        try:
            parts.append(tools.section(name, view(name)))
        except VisitorError as error:
            parts.append(_tokens.problem(name, sentence(error, lang)))
    return "".join(parts)


def _batch(do: Functions, form: Form, lang: str) -> str:
    lines = [line for line in form.text.splitlines() if line.strip()]

    def view(name: str) -> str:
        entries = do.tokenize(lines, [name], **_options(form), padding=PADDINGS.get(form.padding, True)).result[name]
        shown = entries[: tools.MOST_ROWS]
        pieces = [do.pieces(name, entry["tokens"][: tools.MOST_COLUMNS]) for entry in shown]
        return tools.matrix(entries, pieces, lang)

    return (tools.hint("one_line", lang) if len(lines) < 2 else "") + _each(form, lang, view)


def _bytes(do: Functions, form: Form, lang: str) -> str:
    note = tools.hint("bytes_long", lang, n=BYTE_CHARS) if len(form.text) > BYTE_CHARS else ""
    cut = form.text[:BYTE_CHARS]
    return note + _each(form, lang, lambda name: tools.byte_table(do.byte_view(name, cut), lang))


def _trained(form: Form) -> Form:
    """Without the simple tokenizers, which have no vocabulary of their own."""
    return form._replace(names=[name for name in form.names if name not in SIMPLE])


def _round_trip(do: Functions, form: Form, lang: str) -> str:
    return _each(_trained(form), lang, lambda name: tools.trip(do.round_trip(name, form.text), lang))


def _lookup(do: Functions, form: Form, lang: str) -> str:
    query = form.query if (form.query or "").strip() else "영화" if lang == "ko" else "movie"
    return _each(_trained(form), lang, lambda name: tools.found(do.lookup(name, query), query, lang))


def _chat(do: Functions, form: Form, lang: str) -> str:
    said = {"system": form.system, "user": form.user, "assistant": form.assistant}
    messages = [{"role": role, "content": text} for role, text in said.items() if (text or "").strip()]
    parts, silent = [], 0
    for name in _trained(form).names:
        try:
            view = do.chat_view(name, messages, add_generation_prompt=not (form.assistant or "").strip())
        except VisitorError as error:
            without = error.key == "no_chat_template"
            silent += without
            said_so = html.escape(sentence(error, lang))
            parts.append(
                f'<p class="mc-hint">{said_so}</p>' if without else _tokens.problem(name, sentence(error, lang))
            )
        else:
            parts.insert(0, tools.section(name, tools.conversation(view, do.pieces(name, view["tokens"]), lang)))
    return tools.hint("no_chat", lang) if silent == len(parts) else "".join(parts)


def _levels(do: Functions, form: Form, lang: str) -> str:
    trained = _trained(form).names[:1]
    levels = [("builtin/words", "words"), *((name, "subwords") for name in trained)]
    levels += [("builtin/characters", "characters"), ("builtin/bytes", "bytes")]
    parts = []
    for name, kind in levels:
        entry = do.tokenize(form.text, [name], add_special_tokens=False).result[name][0]
        title = say(lang, f"tokenizer.level_{kind}") + (f" · {name}" if name in trained else "")
        parts.append(tools.level(title, entry, do.pieces(name, entry["tokens"][:300]), lang))
    return "".join(parts)


def _bpe(do: Functions, form: Form, lang: str) -> str:
    return tools.replay(do.learn_bpe(form.text, form.merges), len(form.text), lang)


def _cost(do: Functions, form: Form, lang: str) -> str:
    own = None
    if (form.korean or "").strip() and (form.english or "").strip():
        own = do.cost(form.names, [(form.korean, form.english)])
    return tools.costs(do.cost(form.names), own, lang)


def _code(do: Functions, form: Form, lang: str) -> str:
    lines = [line for line in form.text.splitlines() if line.strip()]
    names = _trained(form).names or form.names
    arguments = {"text": lines if len(lines) > 1 else form.text, "tokenizers": names, **_options(form)}
    if len(lines) > 1:
        arguments["padding"] = PADDINGS.get(form.padding, True)
    panel = _ui.panel("", do.tokenize(**arguments), lang, "tokenize", arguments)
    return panel.replace('<details class="mc-code">', '<details class="mc-code" open>', 1)


VIEWS = dict(
    batch=_batch, bytes=_bytes, round_trip=_round_trip, lookup=_lookup, chat=_chat, levels=_levels, bpe=_bpe,
    cost=_cost, code=_code,
)  # fmt: skip

if __name__ == "__main__":
    page = build()
    page.launch(**_page.options())
