"""A table of texts in 8 bits, and again in full where a label could change: the same labels, sooner.

Some texts are computed both ways, the nearest to another label among them. Whatever is nearer to another label than
8 bits could be off is computed in full too, the nearest first: as large differences are exponentially rare, those met
so far tell how large one of ten thousand is. Where that is a large part of the table, all of it is computed in full.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from pipelines import batching
from pipelines.run import Stopwatch

if TYPE_CHECKING:
    import torch

    from pipelines.loading import Loaded

FROM = 96
NEAREST, SPREAD = 8, 4
STEP = 16
RARE = 1e-4
WORTH = 0.5

log = logging.getLogger(__name__)


def suits(loaded: Loaded, texts: list[str]) -> bool:
    """Tell whether a table has enough distinct texts, and its model exclusive labels and a session in 8 bits."""
    config = loaded.pipe.model.config
    exclusive = config.num_labels > 1 and config.problem_type != "multi_label_classification"
    return loaded.rounded is not None and exclusive and len(set(texts)) >= FROM


def run(loaded: Loaded, texts: list[str], watch: Stopwatch) -> tuple[list[torch.Tensor], list[bool], list[bool]]:
    """As batching.run, for logits.

    Returns:
        Logits of each text, which texts had to be cut, and which were computed in 8 bits only.
    """
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    rows, cut, rounded = _distinct(loaded, list(place), watch)
    asked = [place[text] for text in texts]
    return [rows[i] for i in asked], [cut[i] for i in asked], [rounded[i] for i in asked]


def _distinct(loaded: Loaded, texts: list[str], watch: Stopwatch) -> tuple[list[torch.Tensor], list[bool], list[bool]]:
    """As `run`; the same text twice would say less of the differences than two."""
    import torch

    try:
        rows, cut = batching.run(loaded, texts, watch, logits, rounded=True)
        if not torch.stack(rows).isfinite().all():
            raise ValueError("not a number")
    except Exception as error:
        log.warning("%s in 8 bits: %s", loaded.id, error)
        return (*batching.run(loaded, texts, watch, logits), [False] * len(texts))
    pairs = [row.topk(2).values for row in rows]
    leads = [float(first - second) for first, second in pairs]
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    nearest = sorted(range(len(texts)), key=leads.__getitem__)
    wanted = list({*nearest[:NEAREST], *(by_length[i * len(texts) // SPREAD] for i in range(SPREAD))})
    exact: dict[int, torch.Tensor] = {}
    while wanted:
        exact |= zip(wanted, batching.run(loaded, [texts[i] for i in wanted], watch, logits)[0], strict=True)
        most = max(_apart(row, rows[i]) for i, row in exact.items())
        reach = most * math.log(1 / RARE) / math.log(len(exact))
        near = [i for i in nearest if i not in exact and leads[i] <= reach]
        wanted = near[:STEP] if len(near) <= WORTH * len(texts) else [i for i in nearest if i not in exact]
    return [exact.get(i, row) for i, row in enumerate(rows)], cut, [i not in exact for i in range(len(texts))]


def logits(output: Any, inputs: Any) -> Any:
    """What is kept of a pass, for batching.run."""
    return output.logits


def _apart(exact: torch.Tensor, rounded: torch.Tensor) -> float:
    """Return by how much the lead of the likeliest label over any other changes."""
    best = exact.argmax()
    return float(((exact[best] - exact) - (rounded[best] - rounded)).abs().max())
