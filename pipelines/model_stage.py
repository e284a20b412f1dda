"""Where a model is on its way from the Hub to an answer, for a page that shows it while visitors wait."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines import download, loading
from pipelines.download import stop

__all__ = ["Stage", "of", "stop"]


@dataclass(frozen=True)
class Stage:
    """One moment of a model.

    Attributes:
        stage: "checking" (the Hub is asked about it), "downloading", "loading", "ready", or "none".
        done: Bytes downloaded.
        total: Bytes to download in all; 0 unless downloading.
        speed: Bytes a second; None when that cannot be told.
        seconds_left: Of the download, at that speed.
    """

    stage: str
    done: int = 0
    total: int = 0
    speed: float | None = None
    seconds_left: float | None = None


def of(model_id: str) -> Stage:
    """Return where a model is; never touches the network or the disk."""
    now = download.under_way().get(model_id)
    if now is not None:
        return Stage("downloading", now.done, now.total, now.speed, now.seconds_left)
    if any(name == model_id for name, _ in loading.CACHE.loaded()):
        return Stage("ready")
    if download.checking(model_id):
        return Stage("checking")
    if any(name == model_id for name, _ in loading.CACHE.loading()):
        return Stage("loading")
    return Stage("none")
