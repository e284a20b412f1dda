"""Model Classroom: one page, a tab for each module of TABS, and the same abilities as API and MCP tools.

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

import gradio as gr

from pipelines import hub, loading, painters
from tabs import TABS, _api, _page, _sessions
from tabs._i18n import LANGUAGES, both, label, language, say
from tabs._wrong_calls import Page

HOUR_S = 3600
NAME = "<h1>{title}<small>{tagline}</small></h1>"
SWITCHES = (
    '<button type="button" data-mc="larger" aria-label="A+ {larger_plain}" title="{larger_plain}">A+</button>'
    '<button type="button" data-mc="language">{language}</button>'
)


def build() -> gr.Blocks:
    """Build the page: header, tabs, API. Nothing heavy is imported and no model is touched."""
    pages = {name: import_module(f"tabs.{name}") for name in TABS}
    with _page.no_servers():
        return _build(pages)


def _build(pages: dict[str, ModuleType]) -> gr.Blocks:
    built = {name: module.build() for name, module in pages.items()}
    with Page(title="모델 교실 · Model Classroom", delete_cache=(HOUR_S, HOUR_S), analytics_enabled=False) as page:
        with gr.Row(elem_classes="mc-header"):
            gr.HTML(NAME.format(title=both("app.title"), tagline=both("app.tagline")), elem_classes="mc-name")
            status = gr.HTML(elem_classes="mc-status")
            larger = " · ".join(say(lang, "app.larger") for lang in LANGUAGES)
            switches = SWITCHES.format(larger_plain=larger, language=both("app.language"))
            gr.HTML(switches, elem_classes="mc-switches")
        with gr.Tabs(elem_id="mc-tabs") as tabs:
            for name, blocks in built.items():
                with gr.Tab(label(pages[name].TITLE), id=name):
                    blocks.render()
        quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        clock = gr.Timer(2)
        page.load(_arrive, None, [tabs, status, clock], **quiet)
        clock.tick(_status, None, [status, clock], **quiet)
        _api.register()
    return page.queue(default_concurrency_limit=8, max_size=400)


def launch(page: gr.Blocks, *, mcp: bool = False, **options: object) -> str:
    """Serve the page and, once it is up, load the pocket models in the background.

    Returns:
        The local address.
    """
    _, address, _ = page.launch(
        prevent_thread_lock=True,
        **_page.options(),
        footer_links=["api"],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        max_file_size="20mb",
        max_threads=100,  # pictures that wait for their turn hold a thread each; text tasks must find one free
        mcp_server=mcp,
        state_session_capacity=_sessions.CAPACITY,
        **options,
    )
    _sessions.make_cheap(page)
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
    lang, ready = language(request), len(loading.ready())
    done = ready >= len(loading.PRELOAD)
    where = say(lang, "app.offline" if hub.offline() else "app.online")
    models = say(lang, "app.status_ready", count=ready)
    more = "" if done else f" · {say(lang, 'app.status_loading')}"
    dot = '<span class="mc-dot{}">●</span>'.format("" if ready else " mc-off")
    return f'<p role="status">{dot} {where} · {models}{more}</p>', gr.Timer(active=not done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mcp", action="store_true", help="serve the API endpoints as MCP tools too")
    page = build()
    launch(page, mcp=parser.parse_args().mcp)
    page.block_thread()


if __name__ == "__main__":
    main()
