"""Under a choice of several models, a line for each that is not on this machine: what it costs, or why not.

The Hub is asked when they are chosen; nothing but configurations is fetched. A line goes once its model is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from pipelines.model_check import ModelCheck
from pipelines.model_stage import Stage
from tabs import _model_line
from tabs._i18n import language
from tabs._progress import moving

TICK_S = 2.0


class CostLines:
    """The lines and their clock, as components.

    Args:
        name: Prefix of the lines' elem_id.
        check: (model id) -> ModelCheck.
        most: Lines at most.
        here: (model id) -> whether it costs nothing.
        cost: Key of the sentence that tells the bytes.
    """

    def __init__(
        self,
        name: str,
        check: Callable[[str], ModelCheck],
        most: int,
        here: Callable[[str], bool] = _model_line.is_here,
        cost: str = "model.remote",
    ) -> None:
        self._check, self._most, self._here, self._cost = check, most, here, cost
        self.lines = gr.HTML("", elem_id=f"mc-{name}-costs", elem_classes="mc-costs")
        self.clock = gr.Timer(TICK_S, active=False)
        self.told = gr.State({})
        self.outputs = [self.lines, self.clock, self.told]
        self.quiet = {"show_progress": "hidden", "api_visibility": "private"}

    def wire(
        self,
        triggers: list[Any],
        names: Callable[..., list[str]],
        inputs: list[gr.components.Component],
        after: Any = None,
    ) -> None:
        """Ask about the models of names(*inputs) whenever one of the triggers fires, and after another event."""
        self.clock.tick(self._settle, self.told, self.outputs, queue=False, **self.quiet)
        options = {"trigger_mode": "always_last", **_model_line.LANE, **self.quiet}
        gr.on(triggers, self.telling(names), inputs, self.outputs, **options)
        if after is not None:
            after.then(self.telling(names), inputs, self.outputs, **options)

    def telling(self, names: Callable[..., list[str]]) -> Callable[..., Iterator[list[Any]]]:
        """Return a gradio function of the values that `names` reads."""

        def tell(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
            lang = language(request)
            away = [name for name in dict.fromkeys(names(*values)) if not self._here(name)][: self._most]
            told = {name: moving(Stage("checking"), lang, name) for name in away}
            yield self._shown(told, active=False)
            for name in away:
                told[name] = _model_line.badge(self._check(name), lang, name, self._cost)
                yield self._shown(told, active=name == away[-1])

        return tell

    def _settle(self, told: dict[str, str]) -> list[Any]:
        left = {name: line for name, line in told.items() if not self._here(name)}
        return self._shown(left, active=bool(left)) if left != told else [gr.skip()] * len(self.outputs)

    @staticmethod
    def _shown(told: dict[str, str], active: bool) -> list[Any]:
        return ["".join(told.values()), gr.Timer(active=active), dict(told)]
