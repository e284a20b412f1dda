"""The table of models as HTML: pure functions from what is stored to a string. Every name is escaped."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.model_store import Room, Stored
from tabs._i18n import say
from tabs._progress import how_far, mb

MARKS = {"downloading": "↓", "loading": "…", "memory": "●", "partial": "◔", "disk": "○"}
COLUMNS = ("model", "where", "memory", "disk", "used")
MINUTE, HOUR, DAY = 60, 3_600, 86_400


@dataclass(frozen=True)
class View:
    """What one page shows.

    Attributes:
        owner: It has the buttons, and every model.
        sure: Id of the model whose deletion is being confirmed.
    """

    owner: bool = False
    sure: str = ""


def esc(value: object) -> str:
    return html.escape(str(value), quote=True)


def table(models: Sequence[Stored], room: Room, view: View, lang: str, now: float | None = None) -> str:
    """Return the table, and under it what the models take together."""
    now = time.time() if now is None else now
    shown = [each for each in models if view.owner or each.known]
    head = "".join(f'<th scope="col">{_t(lang, name)}</th>' for name in COLUMNS)
    head += f'<th scope="col">{_t(lang, "actions")}</th>' if view.owner else ""
    rows = "".join(_row(each, view, lang, now) for each in shown)
    return (
        f'<table class="mc-models"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f"{_total(models, len(models) - len(shown), room, lang)}"
    )


def _row(model: Stored, view: View, lang: str, now: float) -> str:
    cells = {
        "where": _where(model, lang),
        "memory": _memory(model, lang),
        "disk": f"{mb(model.disk)} MB" if model.disk else "–",
        "used": esc(ago(model, lang, now)),
    }
    row = f'<th scope="row">{esc(model.id)}</th>'
    row += "".join(f'<td data-name="{_t(lang, name)}">{cell}</td>' for name, cell in cells.items())
    if view.owner:
        row += f'<td class="mc-models-do">{_buttons(model, view, lang)}</td>'
    return f'<tr data-stage="{model.stage}">{row}</tr>'


def _where(model: Stored, lang: str) -> str:
    if model.progress is not None:
        return how_far(model.progress, lang, f"{MARKS['downloading']} ")
    said = f'<span class="mc-models-stage">{MARKS[model.stage]} {_t(lang, f"stage_{model.stage}")}</span>'
    return f"{said} <small>{_t(lang, f'source_{model.source}')}</small>"


def _memory(model: Stored, lang: str) -> str:
    said = f"{mb(model.memory)} MB" if model.memory else _t(lang, "tokenizer") if model.tokenizer else "–"
    return said + (f" <small>{_t(lang, 'users', count=model.users)}</small>" if model.users else "")


def ago(model: Stored, lang: str, now: float) -> str:
    """Return when a model was last used, in the largest unit that fits: "3 minutes ago"."""
    if model.users:
        return say(lang, "models.now")
    if model.used is None:
        return "–"
    seconds = max(0.0, now - model.used)
    for name, unit in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if seconds >= unit:
            return say(lang, f"models.{name}", count=int(seconds // unit))
    return say(lang, "models.just_now")


def _buttons(model: Stored, view: View, lang: str) -> str:
    if view.sure == model.id:
        return (
            _button("sure", model.id, say(lang, "models.sure", mb=mb(model.disk)), "mc-models-danger")
            + _button("keep", model.id, say(lang, "models.keep"))
        )  # fmt: skip
    if model.progress is not None:
        return _button("stop", model.id, say(lang, "model.stop"))
    buttons = ""
    if model.stage == "memory":
        buttons += _button("unload", model.id, say(lang, "models.unload"))
    if model.source == "hub" and (model.disk or model.stage == "partial") and model.stage != "loading":
        buttons += _button("delete", model.id, say(lang, "models.delete"))
    return buttons


def _button(act: str, model: str, text: str, more: str = "") -> str:
    named = f'aria-label="{esc(text)}: {esc(model)}"'
    return (
        f'<button type="button" class="mc-models-act {more}" data-act="{act}" data-model="{esc(model)}" {named}>'
        f"{esc(text)}</button>"
    )


def _total(models: Sequence[Stored], hidden: int, room: Room, lang: str) -> str:
    disk = sum(each.disk for each in models)
    facts = [say(lang, "models.total_memory", used=mb(room.memory), budget=mb(room.budget))]
    facts.append(say(lang, "models.total_disk", used=mb(disk)))
    if room.free_disk is not None:
        facts.append(say(lang, "models.free_disk", gb=f"{room.free_disk / 1e9:,.1f}"))
    if hidden:
        facts.append(say(lang, "models.hidden", count=hidden))
    return f'<p class="mc-models-total">{" · ".join(esc(fact) for fact in facts)}</p>'


def _t(lang: str, key: str, **params: object) -> str:
    return esc(say(lang, f"models.{key}", **params))
