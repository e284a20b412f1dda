"""ZeroGPU, the hardware of Spaces that lends a GPU for one call at a time (package `spaces`, there preinstalled).

How it works decides how it is used here (huggingface.co/docs/hub/spaces-zerogpu, and the source of spaces 0.51):

- The process that serves the page never has a GPU, though torch says there that it has. `spaces` imitates one, but only
  in the thread that imported it; models load in others here. So in this process all runs on the CPU.
- A decorated function runs in a fork, which is used again for a while, then killed. What it is called with, yields and
  raises goes through pickle: a Wish goes in, steps and pictures come out. Of an exception the class's name alone
  returns, so what a visitor shall read is yielded as a `Refused`.
- Locks are forked as they are: one that another thread held would never be released. The fork takes new ones (`enter`).
- A fork lives too shortly for torch.compile, and each of its seconds is taken from the quota of the visitor whose
  request it serves: gradio's context must reach the thread that calls. The pocket painter needs no GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, TypeVar

from pipelines.errors import VisitorError

Work = TypeVar("Work", bound=Callable[..., Any])

# Bytes that the smaller of the two sizes has: half of a GPU of 96 GB, as of 2026.
MEMORY = 47_000_000_000
# Seconds: what is always asked for; what a call may ask for, at least and at most; bytes a second that a model is
# assumed to be read with.
EXTRA_S, LEAST_S, MOST_S, READ = 5, 10, 120, 1_000_000_000
# What `spaces` heads its errors with -> ours.
_TOLD = {
    "ZeroGPU quota exceeded": "gpu_quota",
    "ZeroGPU pending credits exceeded": "gpu_quota",
    "ZeroGPU illegal duration": "gpu_quota",
    "ZeroGPU queue timeout": "gpu_busy",
    "ZeroGPU client error": "gpu_busy",
}
_inside = False


@dataclass(frozen=True)
class Refused:
    """A VisitorError on its way out of the process with the GPU."""

    key: str
    params: dict[str, Any] = field(default_factory=dict)


def on() -> bool:
    """Tell whether this is a Space with ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") and find_spec("spaces") is not None


def waits() -> bool:
    """Tell whether a GPU is there, but not in this process."""
    return on() and not _inside


def lend(seconds: Callable[..., int]) -> Callable[[Work], Work]:
    """Return a decorator for a generator that needs the GPU; away from ZeroGPU it changes nothing.

    `spaces` must be imported before anything touches CUDA, and something must be decorated when the page is launched:
    a module that decorates does both when it is imported.

    Args:
        seconds: (same arguments) -> seconds that the GPU is asked for.
    """

    def decorate(work: Work) -> Work:
        if not on():
            return work
        import spaces

        return spaces.GPU(duration=seconds)(work)

    return decorate


def enter() -> bool:
    """Note that this is the process with the GPU; tells whether that is new."""
    global _inside
    new, _inside = not _inside, on()
    return new


def seconds(bytes_to_read: int, painting: float) -> int:
    """Return how long a GPU is asked for: to read a model, which a fresh process must, and to paint."""
    return round(min(MOST_S, max(LEAST_S, EXTRA_S + bytes_to_read / READ + painting)))


def refusal(error: Exception, model: str) -> VisitorError:
    """Return in our words why no GPU came, or why its process ended."""
    if isinstance(error, VisitorError):
        return error
    return VisitorError(_TOLD.get(getattr(error, "title", ""), "gpu_failed"), model=model)
