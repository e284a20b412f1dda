"""What a text task asks of a provider, and the line it asks on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines import remote, remote_checks
from pipelines.outcome import Outcome

if TYPE_CHECKING:
    import numpy as np

MOST_BYTES = 16_000_000


@dataclass(frozen=True)
class Call:
    """A provider that runs the wanted model, for one visitor.

    Attributes:
        at: Who, and which model.
        tell: Gets a Pause.
    """

    at: remote.Route
    secret: str = field(repr=False)
    stop: threading.Event
    tell: Callable[[Any], None]
    BATCH = 32  # the most texts that the embedding servers take at once

    def ask(self, method: str, *values: Any, **options: Any) -> Any:
        """Return what a method of InferenceClient returns, asked again where the provider wants a short wait."""

        def once() -> Any:
            with remote.client(self.at, self.secret, self.stop, MOST_BYTES) as client:
                return getattr(client, method)(*values, model=client.model, **options)

        return remote.patiently(once, self.stop, self.tell)

    def vectors(self, texts: list[str]) -> np.ndarray:
        """Return (len(texts), dimensions) in float32, each scaled to length 1."""
        import numpy as np

        options = {"truncate": True} if self.at.provider == "hf-inference" else {}
        parts = []
        for i in range(0, len(texts), self.BATCH):
            some = texts[i : i + self.BATCH]
            parts.append(remote_checks.vectors(self.ask("feature_extraction", some, **options), len(some)))
        if len({part.shape[1] for part in parts}) != 1:
            raise remote_checks.odd("shape")
        return np.concatenate(parts)


@dataclass(frozen=True)
class Plan:
    """A request, read and found good.

    Attributes:
        tasks: The providers' names for the task, any of which will do.
        texts: What the visitor wrote.
        ask: Yields what comes of it.
        code: The Python that does the same.
    """

    tasks: tuple[str, ...]
    texts: list[str]
    ask: Callable[[Call], Iterator[Outcome]]
    code: Callable[[remote.Route], str]


def single(ask: Callable[[Call], Outcome]) -> Callable[[Call], Iterator[Outcome]]:
    """Return an `ask` that yields the one outcome there is."""

    def asking(call: Call) -> Iterator[Outcome]:
        yield ask(call)

    return asking
