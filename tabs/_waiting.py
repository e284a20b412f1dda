"""Who may still wait for a model: a bound for each kind of work and for each page, said at once and in plain words.

Gradio counts all that waits together, so pictures that take their time would turn sentences away; it says so in
English, or as HTTP 503, for which its page has a sentence of its own.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.queueing import Event, Queue

from settings import SETTINGS, Settings
from tabs._i18n import language, say

MOST_FORGOTTEN = 4_000


def bound(page: gr.Blocks, bounds: Settings = SETTINGS) -> None:
    """Let a page's queue refuse what is one too many, as gradio's own queue does when it is full."""
    queue = page._queue
    push = queue.push

    async def bounded(body: Any, request: Any, username: str | None) -> tuple[bool, Any, str]:
        function = page.fns.get(body.fn_index)
        if function is not None:
            refusal = _refusal(queue, function.concurrency_id, body.session_hash, bounds)
            if refusal:
                key, count = refusal
                return False, say(language(request), f"bounds.{key}", count=count), "queue_full"
        _forget(queue)
        return await push(body=body, request=request, username=username)

    queue.push = bounded


def _refusal(queue: Queue, lane: str, session: str | None, bounds: Settings) -> tuple[str, int] | None:
    waiting = queue.event_queue_per_concurrency_id.get(lane)
    if waiting is not None and 0 < bounds.max_waiting <= len(waiting.queue):
        return "queue", len(waiting.queue)
    own = sum(event.session_hash == session for event in _events(queue)) if session else 0
    if 0 < bounds.page_waiting <= own:
        return "own", own
    return None


def _events(queue: Queue) -> list[Event]:
    """Return all that waits or runs."""
    waiting = [event for each in queue.event_queue_per_concurrency_id.values() for event in each.queue]
    return waiting + [event for job in queue.active_jobs if job for event in job]


def _forget(queue: Queue) -> None:
    """Drop the ids of events that nobody ever came to hear the answer of; gradio keeps them for ever."""
    ids = queue.pending_event_ids_session
    if len(ids) > MOST_FORGOTTEN:
        live = {event.session_hash for event in _events(queue)}
        for session in [each for each in ids if each not in queue.pending_messages_per_session and each not in live]:
            del ids[session]
