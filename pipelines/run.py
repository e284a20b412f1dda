"""What a pipeline function returns: the answer, and how it came about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """One answered request.

    Attributes:
        result: Exactly what the API endpoint returns: plain lists, dictionaries, strings and numbers.
        model: Id of the model that answered.
        method: i18n key of the method, when it is not the model's own head (a fallback says it is one).
        note: i18n key of a warning, such as a language the model was not trained on.
        timing: Milliseconds of each stage, in order.
        device: "cpu", "cuda:0", "remote · together", ...
        cached: The same request was answered before and comes from memory.
        code: Python that does the same, where it is not what `show_code` writes.
    """

    result: Any
    model: str
    method: str | None = None
    note: str | None = None
    timing: dict[str, float] = field(default_factory=dict)
    device: str = "cpu"
    cached: bool = False
    code: str | None = None

    @property
    def provider(self) -> str | None:
        """Who answered, when that was an inference provider."""
        where, _, name = self.device.partition(" · ")
        return name if where == "remote" else None


class Stopwatch:
    """Collects the milliseconds of named stages.

    Example:
        >>> watch = Stopwatch()
        >>> with watch("tokenize"):
        ...     pass
        >>> list(watch.timing)
        ['tokenize']
    """

    def __init__(self) -> None:
        self.timing: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timing[stage] = self.timing.get(stage, 0.0) + (time.perf_counter() - start) * 1000
