"""The CLIP tab's fourth mode: objects found in a picture. No model of this machine does it, an inference provider does.

The token lives in its field and in the request it is sent with, as in _elsewhere.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from pipelines import hub, images, remote_objects
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import _elsewhere, _object_views, _ui
from tabs._i18n import both, label, language

NAME = "objects"
# What each session waits for, and what stops it.
_under_way: dict[str, threading.Event] = {}


class Form:
    """The fields below the picture: model, threshold, token and provider, Run and Stop.

    Attributes:
        group: All of them; visible in this mode only.
    """

    def __init__(self) -> None:
        online = not hub.offline()
        with gr.Column(visible=False, elem_classes="mc-plain mc-objects-form") as self.group:
            if not online:
                gr.HTML(f'<p class="mc-note">{both("objects.offline")}</p>')
            # Of a name of its own: a link that holds it opens this mode.
            self.model = gr.Dropdown(
                [remote_objects.DEFAULT],
                value=remote_objects.DEFAULT,
                label=label("ui.model"),
                info=label("objects.model_info"),
                allow_custom_value=True,
                elem_id="mc-clip-objects_model",
                elem_classes="mc-model",
            )
            self.threshold = gr.Slider(
                0.1,
                0.9,
                value=remote_objects.THRESHOLD,
                step=0.05,
                label=label("objects.threshold"),
                info=label("objects.threshold_info"),
                elem_id="mc-clip-objects_threshold",
            )
            self.token, self.provider = _elsewhere.account(
                "clip", remote_objects.PROVIDERS, "objects.token_info", visible=online
            )
            self.run, self.stop = _ui.run_row(stop=True)

    def wire(
        self,
        detect: Callable[..., Iterator[Any]],
        picture: gr.Image,
        error: gr.HTML,
        panel: gr.HTML,
        options: dict[str, Any],
    ) -> None:
        """Let Run and Stop do their work.

        Args:
            detect: (image, token, model, threshold, provider, stop) -> waits and Runs.
            picture: Where the picture is.
            error: The line for what goes wrong.
            panel: The place of the answer.
            options: Of the events.
        """
        given = [picture, self.model, self.threshold, self.token, self.provider]
        self.run.click(_running(detect), given, [error, panel], trigger_mode="once", **options, **_ui.TEXT_LANE)
        self.stop.click(_stop, None, None, queue=False, **options)


def _running(detect: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[list[Any]]]:
    """Return the gradio function of a run. A partial would not do: gradio finds no request among its parameters."""

    def run(
        request: gr.Request, picture: Any, model: Any, threshold: Any, token: Any, provider: Any
    ) -> Iterator[list[Any]]:
        lang, stop, session = language(request), threading.Event(), request.session_hash
        _stop(request)
        if session is not None:
            _under_way[session] = stop
        try:
            yield [_elsewhere.waiting(None, lang), gr.skip()]
            if hub.offline():  # there is no field for a token then
                raise VisitorError("remote_offline_objects")
            data = images.read(picture)
            for event in detect(data, str(token or "").strip() or None, model, threshold, provider, stop):
                if isinstance(event, Run):
                    yield ["", _answer(event, data, threshold, lang)]
                else:
                    yield [_elsewhere.waiting(event, lang), gr.skip()]
        except Exception as error:
            stopped = isinstance(error, VisitorError) and error.key == "stopped"
            yield ["" if stopped else _ui.error_html(error, lang), gr.skip()]
        finally:
            stop.set()
            if _under_way.get(session) is stop:
                del _under_way[session]

    return run


def _stop(request: gr.Request) -> None:
    """Give up what this session waits for; what stands there stays."""
    if going := _under_way.get(request.session_hash):
        going.set()


def _answer(run: Run, data: bytes, threshold: float, lang: str) -> str:
    arguments = {"image": data, "model": run.model, "threshold": threshold}
    return _ui.panel(_object_views.found(run.result, data, threshold, lang), run, lang, "detect_objects", arguments)
