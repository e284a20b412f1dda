"""Texts through an encoder: tokenized, truncated to the model's length, padded into batches of similar lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipelines.run import Stopwatch

if TYPE_CHECKING:
    import torch

    from pipelines.loading import Loaded

BATCH = 32
_NO_LIMIT = 100_000


def max_length(pipe: Any) -> int:
    """Return how many tokens, special ones included, the model of a pipeline takes.

    The tokenizer's word counts when it has one; otherwise the positions that the model has embeddings for, less the
    ones that the RoBERTa family keeps for padding.
    """
    config = pipe.model.config
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 512
    if config.model_type in {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "mpnet"}:
        positions -= 2
    if positions <= 0:  # relative positions (DeBERTa v2 may say 0 or -1)
        positions = 512
    stated = pipe.tokenizer.model_max_length
    return int(min(stated, positions) if stated and stated < _NO_LIMIT else positions)


def run(
    loaded: Loaded,
    texts: list[str],
    watch: Stopwatch,
    reduce: Callable[[Any, Any], torch.Tensor],
    *,
    second: list[str] | None = None,
    limit: int | None = None,
) -> tuple[list[torch.Tensor], list[bool]]:
    """Run texts (or pairs of texts) through an encoder.

    Args:
        loaded: The model; the caller holds its lock and torch.inference_mode().
        texts: One sequence each.
        watch: Gets "tokenize" and "model".
        reduce: (model output, model inputs) -> tensor of shape (batch, ...), what is kept of each batch.
        second: The other half of each pair.
        limit: Tokens per sequence, when fewer than the model takes.

    Returns:
        One tensor per text, on the CPU in float32, in the order of `texts`; and which texts had to be cut.
    """
    pipe = loaded.pipe
    limit = min(limit or _NO_LIMIT, max_length(pipe))
    size = BATCH if pipe.tokenizer.pad_token_id is not None else 1
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]) + (len(second[i]) if second else 0))
    rows: list[Any] = [None] * len(texts)
    cut = [False] * len(texts)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        first = [texts[i] for i in chosen]
        other = [second[i] for i in chosen] if second else None
        with watch("tokenize"):
            inputs = pipe.tokenizer(
                first, other, padding=len(first) > 1, truncation=True, max_length=limit, return_tensors="pt"
            ).to(pipe.device)
            if inputs["input_ids"].shape[1] >= limit:
                for i in chosen:
                    cut[i] = _overflows(pipe.tokenizer, texts[i], second[i] if second else None, limit)
        with watch("model"):
            kept = reduce(pipe.model(**inputs), inputs).float().cpu()
        for i, row in zip(chosen, kept, strict=True):
            rows[i] = row
    return rows, cut


def _overflows(tokenizer: Any, first: str, second: str | None, limit: int) -> bool:
    return len(tokenizer(first, second, truncation=False, verbose=False)["input_ids"]) > limit
