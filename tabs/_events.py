"""What gradio does at every event that no page of ours needs, left out.

The server's one event loop sets the pace of a whole class. Without being asked, gradio groups a table of its last ten
thousand events anew after each, for /monitoring, which is closed here; looks on the disk for matplotlib, twice; asks
in another thread whether somebody is logged in, though nobody can log in; and tries, twice, the sixty addresses that
stand before those that every event uses.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import gradio as gr
from gradio import queueing, utils

FIRST = ("/queue/join", "/queue/data", "/run/{api_name}", "/call/{api_name}", "/call/{api_name}/{event_id}")


def make_cheap(page: gr.Blocks) -> None:
    """Let the events of a page that is being served begin and end without what nobody looks at."""
    page._queue.ANALYTICS_MAX_EVENTS = 0
    queueing.run_sync = _here  # what is left of that table takes no thread
    utils.MatplotlibBackendMananger = nullcontext
    for included in page.app.routes:
        router = getattr(included, "original_router", None)
        if router is not None:
            _shorten(router, with_login=page.app.auth is not None or page.app.auth_dependency is not None)
    page.app.router.routes.sort(key=lambda route: not hasattr(route, "original_router"))


async def _here(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _shorten(router: Any, with_login: bool) -> None:
    """Put the addresses of events first, and let nobody be asked for a login that there is not."""
    places = {f"/gradio_api{path}": place for place, path in enumerate(FIRST)}
    router.routes.sort(key=lambda route: places.get(route.path, len(places)))
    for route in router.routes:
        if not with_login and hasattr(route, "dependencies"):
            route.dependencies = [each for each in route.dependencies if each.dependency.__name__ != "login_check"]
    router._mark_routes_changed()
