"""Model Classroom: one page, a tab for each module of TABS, and the same abilities as API and MCP tools.

A second page, /models, tells which models are here.

Run `python app.py` (add --mcp to serve the endpoints as MCP tools too).
"""

from __future__ import annotations

import argparse
import gc
import threading
from importlib import import_module
from types import ModuleType

if __name__ == "__main__":
    # What the imports and the page make stays: looking through it for garbage costs a sixth of the start.
    gc.disable()
    from tabs import _quick_import

    _quick_import.gradio()

import gradio as gr

from pipelines import cache, hub, loading, painters
from settings import SETTINGS
from tabs import TABS, _api, _events, _guard, _page, _sessions, _upload_folder, models
from tabs._i18n import LANGUAGES, both, label, language, say
from tabs._wrong_calls import Page

HOUR_S = 3600
NAME = "<h1>{title}<small>{small}</small></h1>"
SWITCHES = (
    '<button type="button" data-mc="larger" aria-label="A+ {larger_plain}" title="{larger_plain}">A+</button>'
    '<button type="button" data-mc="language">{language}</button>'
)


def build() -> gr.Blocks:
    """Build the page: header, tabs, API. Nothing heavy is imported and no model is touched."""
    _upload_folder.own()
    pages = {name: import_module(f"tabs.{name}") for name in TABS}
    with _page.no_servers():
        return _build(pages)


def _build(pages: dict[str, ModuleType]) -> gr.Blocks:
    built = {name: module.build() for name, module in pages.items()}
    of_models = models.build()
    with Page(title="모델 교실 · Model Classroom", delete_cache=(HOUR_S, HOUR_S), analytics_enabled=False) as page:
        status = _header(both("app.title"), both("app.tagline"))
        with gr.Tabs(elem_id="mc-tabs") as tabs:
            for name, blocks in built.items():
                with gr.Tab(label(pages[name].TITLE), id=name):
                    blocks.render()
        quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        clock = gr.Timer(2)
        page.load(_arrive, None, [tabs, status, clock], **quiet)
        clock.tick(_status, None, [status, clock], **quiet)
        _api.register()
    with page.route("Models · 모델", _page.MODELS, show_in_navbar=False):
        _header(both(models.TITLE), f'<a href="./">← {both("app.back")}</a>')
        of_models.render()
    # The page shows no places in gradio's queue; told at every start, they cost the square of those who wait.
    return page.queue(default_concurrency_limit=8, status_update_rate=15)


def _header(title: str, small: str) -> gr.HTML:
    """What each page begins with, from HTML; returns the place of the status."""
    with gr.Row(elem_classes="mc-header"):
        gr.HTML(NAME.format(title=title, small=small), elem_classes="mc-name")
        status = gr.HTML(elem_classes="mc-status")
        larger = " · ".join(say(lang, "app.larger") for lang in LANGUAGES)
        switches = SWITCHES.format(larger_plain=larger, language=both("app.language"))
        gr.HTML(switches, elem_classes="mc-switches")
    return status


def launch(page: gr.Blocks, *, mcp: bool = False, **options: object) -> str:
    """Serve the page and, once it is up, load the pocket models in the background.

    Returns:
        The local address.
    """
    cache.few_arenas()
    _, address, _ = page.launch(
        prevent_thread_lock=True,
        **_page.options(),
        footer_links=["api"],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        max_file_size="20mb",
        max_threads=300,  # gradio's bound for events too: whoever watches a run takes up one, though no thread
        mcp_server=mcp,
        state_session_capacity=_sessions.CAPACITY,
        **options,
    )
    _events.make_cheap(page)
    _sessions.make_cheap(page)
    _guard.allow_open(SETTINGS.max_open)
    _page.ROOM.start(lambda: {path for block in page.blocks.values() for path in block.keep_in_cache})
    # A moment later, so that importing torch does not slow the first visitor's page.
    threading.Timer(0.1, _warm_up).start()
    return address


def _warm_up() -> None:
    warming = loading.start_warm_up()
    if warming:
        warming.join()
        painters.warm_up()
    gc.freeze()
    gc.enable()


def _arrive(request: gr.Request) -> tuple[object, ...]:
    """One event for all that a page asks when it is opened: each event costs the browser time."""
    wanted = (request.query_params or {}).get("tab")
    return gr.Tabs(selected=wanted) if wanted in TABS else gr.skip(), *_status(request)


def _status(request: gr.Request) -> tuple[str, gr.Timer]:
    """Say whether the Hub may be reached and how many models are loaded; the clock stops when all are."""
    lang, ready, done = language(request), len(loading.ready()), not loading.warming()
    where = say(lang, "app.offline" if hub.offline() else "app.online")
    count = say(lang, "app.status_ready", count=ready)
    link = f'<a href="{_page.MODELS}" title="{say(lang, "app.all_models")}">{count}</a>'
    more = "" if done else f" · {say(lang, 'app.status_loading')}"
    dot = '<span class="mc-dot{}">●</span>'.format("" if ready else " mc-off")
    return f'<p role="status">{dot} {where} · {link}{more}</p>', gr.Timer(active=not done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mcp", action="store_true", help="serve the API endpoints as MCP tools too")
    page = build()
    launch(page, mcp=parser.parse_args().mcp)
    page.block_thread()


if __name__ == "__main__":
    main()
