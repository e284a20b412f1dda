"""The models: which are in memory and on disk, how large they are, when they were last used.

A page of its own (/models), so that it costs the first page nothing. Anyone may look; names that only the owner's disk
knows are left out. The owner, who knows CLASSROOM_OWNER_PASSWORD, may unload a model, delete a downloaded one's files,
and stop a download. The table follows by itself while the page is on screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr

from pipelines import model_store
from pipelines.errors import VisitorError
from pipelines.model_store import Room, Stored
from settings import SETTINGS
from tabs import _page, _ui
from tabs._i18n import both, label, language, say
from tabs._models_view import View, esc, table
from tabs._owner import LONGEST, Door
from tabs._progress import mb

TITLE = "tab.models"
TICK_S = 2.0
FORGET_S = 3_600
ACTS = ("unload", "sure", "stop")
# A press begins and ends on a button of the same kind, which may have been drawn anew meanwhile; so may the one with
# the focus. A page that nobody sees asks for nothing.
PRESS = """
const at = (target) => {
  const button = target.closest && target.closest("[data-act]");
  return button ? { act: button.dataset.act, model: button.dataset.model } : null;
};
const same = (one, other) => one && other && one.act === other.act && one.model === other.model;
let pressed = null, focused = null;
element.addEventListener("pointerdown", (event) => { pressed = at(event.target); });
element.addEventListener("pointerup", (event) => { if (same(pressed, at(event.target))) trigger("click", pressed); });
element.addEventListener("click", (event) => {
  if (event.detail === 0 && at(event.target)) trigger("click", at(event.target)); // by keyboard
});
element.addEventListener("focusin", (event) => { focused = at(event.target); });
element.addEventListener("keydown", (event) => { if (event.key === "Tab") focused = null; });
new MutationObserver(() => {
  if (!focused || document.activeElement !== document.body) return;
  const again = [...element.querySelectorAll("[data-act]")].find((button) => same(at(button), focused));
  if (again) again.focus();
}).observe(element, { childList: true, subtree: true });
document.addEventListener("visibilitychange", () => {
  trigger("click", { act: document.hidden ? "away" : "look", model: "" });
});
"""


def build(
    models: Callable[[], Sequence[Stored]] = model_store.models,
    room: Callable[[], Room] = model_store.room,
    unload: Callable[[str], int] = model_store.unload,
    delete: Callable[[str], int] = model_store.delete,
    stop: Callable[[str], bool] = model_store.stop,
    password: str = SETTINGS.owner_password,
) -> gr.Blocks:
    """Build the page.

    Args:
        models: () -> what is here.
        room: () -> what it takes and may take.
        unload: (model id) -> bytes given back.
        delete: (model id) -> bytes deleted.
        stop: (model id) -> whether a download was ended.
        password: The owner's; without one there are no buttons, and the page says why.
    """
    door, do = Door(password), {"unload": unload, "sure": delete, "stop": stop}
    draw = _Drawing(models, room)
    with gr.Blocks() as page:
        _ui.intro("models.intro")
        with gr.Row(elem_classes="mc-models-bar"):
            refresh = gr.Button(label("models.refresh"), size="sm", scale=0, min_width=140, elem_id="mc-models-refresh")
            said = gr.HTML("", elem_id="mc-models-said", elem_classes="mc-error-line")
        shown = gr.HTML(f'<p class="mc-wait">{both("models.looking")}</p>', elem_id="mc-models-table", js_on_load=PRESS)
        # Kept by the server: what a browser sends for it is not looked at.
        view = gr.State({"view": asdict(View()), "drawn": 0}, time_to_live=FORGET_S)
        clock = gr.Timer(TICK_S)
        quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        page.load(draw.anew, view, [shown, view], **quiet)
        clock.tick(draw.again, view, [shown, view], **quiet)
        refresh.click(draw.anew, view, [shown, view], **quiet)
        if not door.exists:
            gr.HTML(f'<p class="mc-hint" id="mc-models-no-owner">{both("models.no_password")}</p>')
            shown.click(_looking(draw), view, [shown, view, said, clock], **quiet)
            return page
        with gr.Row(elem_classes="mc-models-owner", elem_id="mc-models-owner"):
            word = gr.Textbox(
                type="password",
                label=label("models.password"),
                info=label("models.password_info"),
                max_length=LONGEST,
                scale=0,
                min_width=340,
                html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
                elem_id="mc-models-password",
            )
            enter = gr.Button(label("models.enter"), scale=0, min_width=140, elem_id="mc-models-enter")
            leave = gr.Button(
                label("models.leave"), size="sm", scale=0, min_width=140, visible=False, elem_id="mc-models-leave"
            )
        doors = [word, enter, leave]
        outputs = [shown, view, said, clock]
        shown.click(_acting(draw, do), view, outputs, **quiet)
        gr.on([enter.click, word.submit], _entering(draw, door), [word, view], [shown, view, said, *doors], **quiet)
        leave.click(_leaving(draw), view, [shown, view, said, *doors], **quiet)
    return page


class _Drawing:
    """Draws the table for a page; the same table is not sent twice."""

    def __init__(self, models: Callable[[], Sequence[Stored]], room: Callable[[], Room]) -> None:
        self._models, self._room = models, room

    def again(self, state: dict[str, Any], request: gr.Request) -> list[Any]:
        return self.as_seen(View(**state["view"]), request, state["drawn"])

    def anew(self, state: dict[str, Any], request: gr.Request) -> list[Any]:
        return self.as_seen(View(**state["view"]), request)

    def as_seen(self, view: View, request: gr.Request, drawn: int = 0) -> list[Any]:
        """Return the table (or nothing, when it is the one that stands there) and the page's new state."""
        html = table(self._models(), self._room(), view, language(request))
        return [gr.skip() if hash(html) == drawn else html, {"view": asdict(view), "drawn": hash(html)}]


def _clock(act: str) -> Any:
    return gr.Timer(active=act == "look") if act in ("look", "away") else gr.skip()


def _looking(draw: _Drawing) -> Callable[..., list[Any]]:
    """What the table's events do where there is no owner: the clock stops while nobody sees the page."""

    def look(state: dict[str, Any], event: gr.EventData, request: gr.Request) -> list[Any]:
        return [*draw.again(state, request), gr.skip(), _clock(getattr(event, "act", ""))]

    return look


def _acting(draw: _Drawing, do: dict[str, Callable[[str], Any]]) -> Callable[..., list[Any]]:
    def act(state: dict[str, Any], event: gr.EventData, request: gr.Request) -> list[Any]:
        lang, name, model = language(request), getattr(event, "act", ""), getattr(event, "model", "")
        view, said = View(**state["view"]), gr.skip()
        if view.owner and isinstance(model, str):
            if name in ACTS:
                said = _done(name, do[name], model, lang)
            if name in (*ACTS, "delete", "keep"):
                view = View(owner=True, sure=model if name == "delete" else "")
        return [*draw.as_seen(view, request, state["drawn"]), said, _clock(name)]

    return act


def _done(name: str, do: Callable[[str], Any], model: str, lang: str) -> str:
    try:
        result = do(model)
    except VisitorError as error:
        return _ui.error_html(error, lang)
    if name == "stop":
        return _said(say(lang, "models.stopped" if result else "models.not_moving", model=model))
    return _said(say(lang, "models.unloaded" if name == "unload" else "models.deleted", model=model, mb=mb(result)))


def _entering(draw: _Drawing, door: Door) -> Callable[..., list[Any]]:
    def enter(word: str, state: dict[str, Any], request: gr.Request) -> list[Any]:
        lang, address = language(request), request.client.host if request.client else ""
        if seconds := door.seconds_closed(address):
            said = _ui.error_html(VisitorError("owner_wait", minutes=-(-seconds // 60)), lang)
        elif door.opens(word, address):
            empty = [gr.update(value="", visible=False), gr.update(visible=False), gr.update(visible=True)]
            return [*draw.as_seen(View(owner=True), request), _said(say(lang, "models.entered")), *empty]
        else:
            said = _ui.error_html(VisitorError("owner_wrong"), lang)
        return [gr.skip(), gr.skip(), said, "", gr.skip(), gr.skip()]

    return enter


def _leaving(draw: _Drawing) -> Callable[..., list[Any]]:
    def leave(state: dict[str, Any], request: gr.Request) -> list[Any]:
        closed = [gr.update(value="", visible=True), gr.update(visible=True), gr.update(visible=False)]
        return [*draw.as_seen(View(), request), "", *closed]

    return leave


def _said(text: str) -> str:
    return f'<p class="mc-note" role="status">{esc(text)}</p>'


if __name__ == "__main__":
    page = build()
    page.launch(**_page.options())
