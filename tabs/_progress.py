"""How far a model is on its way, as HTML: bytes, speed, time left; the same words wherever somebody waits."""

from __future__ import annotations

import html
from typing import Protocol

from pipelines.model_stage import Stage
from tabs._i18n import say


class Moving(Protocol):
    """A download: model_stage.Stage or download.Progress."""

    done: int
    total: int
    speed: float | None
    seconds_left: float | None


def moving(now: Stage, lang: str, model: str = "") -> str:
    """Return where a model is, with a bar while it is downloaded; named where several are on their way."""
    name = f"{model} · " if model else ""
    if now.stage != "downloading":
        return line(now.stage, name + say(lang, f"model.{now.stage}"))
    return how_far(now, lang, name)


def how_far(now: Moving, lang: str, name: str = "") -> str:
    """Return "Downloading 120 of 268 MB · 12.3 MB/s · 0:12 left" and a bar."""
    parts = [say(lang, "model.downloading", done=mb(now.done), total=mb(now.total))]
    if now.speed:
        parts.append(say(lang, "model.speed", mb=f"{now.speed / 1e6:,.1f}"))
    if now.seconds_left is not None and now.seconds_left < 360_000:
        parts.append(say(lang, "model.left", time=_clock(now.seconds_left)))
    share = 100 * now.done / now.total if now.total else 0
    return line("downloading", name + " · ".join(parts)) + f'<progress max="100" value="{share:.1f}"></progress>'


def line(kind: str, text: str) -> str:
    """Return one line about a model as HTML."""
    return f'<p class="mc-model-state mc-model-{html.escape(kind)}" role="status">{html.escape(text)}</p>'


def mb(count: int) -> str:
    """Return bytes in MB of 10^6: "268", or "2.0" of the small."""
    return f"{count / 1e6:,.0f}" if count >= 10_000_000 else f"{count / 1e6:,.1f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
