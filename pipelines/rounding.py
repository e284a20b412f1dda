"""A table of texts in 8 bits, and again in full where a label could change: the same labels, sooner.

Some texts of the table are computed both ways. Whatever is nearer to another label than twice the largest difference
met there is computed in full; where that is a large part of the table, all of it is.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pipelines import batching
from pipelines.run import Stopwatch

if TYPE_CHECKING:
    import torch

    from pipelines.loading import Loaded

FROM = 96
AUDITED = 16
SAFETY = 2.0
WORTH = 0.5

log = logging.getLogger(__name__)


def suits(loaded: Loaded, texts: list[str]) -> bool:
    """Tell whether a table is long enough, and its model one of exclusive labels that has a session in 8 bits."""
    config = loaded.pipe.model.config
    exclusive = config.num_labels > 1 and config.problem_type != "multi_label_classification"
    return loaded.rounded is not None and len(texts) >= FROM and exclusive


def run(loaded: Loaded, texts: list[str], watch: Stopwatch) -> tuple[list[torch.Tensor], list[bool], list[bool]]:
    """As batching.run, for logits.

    Returns:
        Logits of each text, which texts had to be cut, and which were computed in 8 bits only.
    """
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    audited = [order[i * len(order) // AUDITED] for i in range(AUDITED)]
    try:
        rows, cut = batching.run(loaded, texts, watch, logits, rounded=True)
    except Exception as error:
        log.warning("%s in 8 bits: %s", loaded.id, error)
        return (*batching.run(loaded, texts, watch, logits), [False] * len(texts))
    exact = dict(zip(audited, batching.run(loaded, [texts[i] for i in audited], watch, logits)[0], strict=True))
    off = max(_apart(row, rows[i]) for i, row in exact.items())
    pairs = [row.topk(2).values for row in rows]
    near = [i for i, (first, second) in enumerate(pairs) if i not in exact and first - second <= SAFETY * off]
    if len(near) > WORTH * len(texts):
        near = [i for i in range(len(texts)) if i not in exact]
    exact |= dict(zip(near, batching.run(loaded, [texts[i] for i in near], watch, logits)[0], strict=True))
    return [exact.get(i, row) for i, row in enumerate(rows)], cut, [i not in exact for i in range(len(texts))]


def logits(output: Any, inputs: Any) -> Any:
    """What is kept of a pass, for batching.run."""
    return output.logits


def _apart(exact: torch.Tensor, rounded: torch.Tensor) -> float:
    """Return by how much the lead of the likeliest label over any other changes."""
    best = exact.argmax()
    return float(((exact[best] - exact) - (rounded[best] - rounded)).abs().max())
