"""Where a task runs: on this machine, or at an inference provider with the visitor's own token.

The token lives in its field and in the request it is sent with; links, storage, logs and errors do not hold it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from pipelines import hub, remote, remote_texts
from pipelines.errors import VisitorError
from tabs import _ui
from tabs._i18n import label, language, say

HERE, ELSEWHERE = "here", "elsewhere"
# What keeps a model from running here, and need not keep it from running there.
OFFERED = (
    "too_big",
    "painter_too_big",
    "disk_full",
    "out_of_memory",
    "needs_hub",
    "gated",
    "pickle_only",
    "own_code",
    "unknown_architecture",
)


@dataclass(frozen=True)
class At:
    """What a visitor chose for running elsewhere: a token of the visitor's own, and which provider."""

    token: Any = field(repr=False)
    provider: Any


class Switch:
    """The switch, and the token and the provider below it, which are there once they are needed.

    Args:
        name: Prefix of the components' elem_id.
        offered: Names of the providers that may be asked.

    Attributes:
        inputs: Three components, the last of what a handler made by `either` takes.
    """

    def __init__(self, name: str, offered: tuple[str, ...] = remote_texts.PROVIDERS) -> None:
        choices = [(label("where.here"), HERE), (label("where.elsewhere"), ELSEWHERE)]
        self.where = gr.Radio(
            choices,
            value=HERE,
            label=label("where.where"),
            visible=not hub.offline(),
            elem_id=f"mc-{name}-where",
            elem_classes="mc-where",
        )
        with gr.Column(visible=False, elem_classes="mc-plain mc-elsewhere") as self.more:
            self.token, self.provider = account(name, offered)
        self.where.change(_unfold, self.where, self.more, queue=False, show_progress="hidden", api_visibility="private")
        self.inputs = [self.where, self.token, self.provider]


def account(
    name: str, offered: tuple[str, ...], info: str = "where.token_info", visible: bool = True
) -> tuple[gr.Textbox, gr.Dropdown]:
    """The fields for the visitor's own token and for the provider.

    Args:
        name: Prefix of the components' elem_id.
        offered: Names of the providers that may be asked.
        info: Key of the sentence below the token.
        visible: Whether they are there.
    """
    # No class of a field: links and histories must not hold it. "new-password": no other one is filled in.
    token = gr.Textbox(
        type="password",
        label=label("where.token"),
        info=label(info),
        visible=visible,
        elem_id=f"mc-{name}-token",
        html_attributes=gr.InputHTMLAttributes(autocomplete="new-password"),
    )
    providers = [(label("where.provider_auto"), "auto"), *((each, each) for each in offered)]
    provider = gr.Dropdown(
        providers, value="auto", label=label("where.provider"), visible=visible, elem_id=f"mc-{name}-provider"
    )
    return token, provider


def _unfold(where: Any) -> Any:
    return gr.update(visible=where == ELSEWHERE)


def either(here: Callable[..., Iterator[Any]], there: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Return a gradio function of here(request, *values) and there(lang, At, *values); the switch's come last."""

    def run(request: gr.Request, *values: Any) -> Iterator[Any]:
        *values, where, token, provider = values
        if where == ELSEWHERE:
            yield from there(language(request), At(token, provider), *values)
        else:
            yield from here(request, *values)

    return run


def writer(
    answer: Callable[..., Iterator[Any]], at: At
) -> Callable[[dict[str, Any], str | None, threading.Event], Iterator[Any]]:
    """Return what writes elsewhere: (arguments, model, what stops it) -> Runs, and waits between them."""

    def write(arguments: dict[str, Any], model: str | None, stop: threading.Event) -> Iterator[Any]:
        return answer("generate", arguments, at.token, model, at.provider, stop)

    return write


def waiting(event: remote.Pause | None, lang: str) -> str:
    """Return the line that stands in place of an error while a provider is waited for."""
    return _ui.paused(None if event is None else event.seconds, lang)


def error_html(error: Exception, lang: str) -> str:
    """Return one plain sentence and, where a provider may do what this machine cannot, a second that says so."""
    return _ui.error_html(error, lang) + offer(error, lang)


def offer(error: Exception | None, lang: str) -> str:
    """Return the line that offers the switch; nothing where that would not help."""
    if not isinstance(error, VisitorError) or error.key not in OFFERED or hub.offline():
        return ""
    name = _ui.esc(say(lang, "where.elsewhere"))
    button = f'<button type="button" class="mc-chip" data-mc="elsewhere">{name}</button>'
    return f'<p class="mc-offer">{_ui.esc(say(lang, "where.offer"))} {button}</p>'


def no_stages(model: str, provider: str, lang: str) -> str:
    """Return the line that stands for the three stages."""
    told = say(lang, "text.ran_elsewhere", model=model, provider=provider)
    return f'<p class="mc-hint">{_ui.esc(told)}</p>'
