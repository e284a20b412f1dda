"""What gradio prepares for each session, made cheap.

Gradio works out the configuration of every component anew for each session, to be able to link to what it changed,
which the page does not use; a call of the API without a session is a session of its own. For a page of ours this takes
40 ms of the one event loop that all visitors share, and a megabyte that stays. What goes in and comes out of each event
is then kept there too, for the same links.
"""

from __future__ import annotations

import gradio as gr
from gradio import route_utils, state_holder
from gradio.state_holder import SessionState

from settings import SETTINGS

# Past so many, the session that has been silent longest forgets what was on its page.
CAPACITY = SETTINGS.max_sessions or 1_000_000_000


class _Unfilled:
    """A page as a new session sees it: nothing of it is changed yet, so nothing needs a configuration of its own."""

    blocks: dict = {}

    def __init__(self, page: gr.Blocks) -> None:
        self._page = page

    @property
    def default_config(self) -> object:
        return self._page.default_config


class _Lasting(SessionState):
    """The session of a page."""

    def _update_value_in_config(self, key: int, value: object) -> None:
        pass


class _Passing(_Lasting):
    """The session of a direct call that names none."""

    def __init__(self, page: gr.Blocks) -> None:
        super().__init__(_Unfilled(page))


def make_cheap(page: gr.Blocks) -> None:
    """Let the sessions of a page that is being served begin without a configuration."""
    page.app.state_holder.blocks = _Unfilled(page)
    state_holder.SessionState, route_utils.SessionState = _Lasting, _Passing
