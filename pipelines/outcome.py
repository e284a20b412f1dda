"""What a task's computation knows of its answer, before the request's side (model, device, memory) is added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """An answer in the making.

    Attributes:
        result: Plain values, as `Run.result`.
        method: As `Run.method`.
        cut: The text was longer than the model takes, and its end was not read.
        rounded: Computed in 8 bits; see rounding.
    """

    result: Any
    method: str | None = None
    cut: bool = False
    rounded: bool = False
