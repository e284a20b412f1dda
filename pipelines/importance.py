"""Which words made a sentiment model say what it says: leave-one-out, and gradient x input.

Both answer for one class, by default the predicted one. Positive weights speak for the class, negative against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from pipelines import batching, inputs, loading
from pipelines.errors import VisitorError
from pipelines.polarity import polarity
from pipelines.run import Run, Stopwatch

METHODS = ("leave_one_out", "gradient")
MAX_WORDS = 60
MAX_CHARS = 1_000
Use = Callable[[str, str], AbstractContextManager[loading.Loaded]]


def explain(
    text: str,
    model: str,
    method: str = "leave_one_out",
    label: str | None = None,
    *,
    use: Use | None = None,
) -> Run:
    """Weigh each word of a text by what it does for one class.

    Args:
        text: One sentence. Words are what white space parts. At most 60 words or 1,000 characters are read, whole
            words from the beginning; the note then says so, and the score is that of the part read.
        model: Id of a sentiment model.
        method: "leave_one_out": p(class | text) - p(class | text without the word), a difference of probabilities in
            [-1, 1] that costs one forward pass a word (Li et al. 2016, arXiv:1612.08220).
            "gradient": gradient x input, sum over the word's tokens of d log-odds(class)/d vector . vector, where the
            vectors are those that go into the first layer: a first-order estimate in log-odds that costs one forward
            and one backward pass (Shrikumar et al. 2016, arXiv:1605.01713).
        label: Raw label of the class to explain; None takes the predicted one.
        use: loading.use, or a fake.

    Returns:
        A Run whose result is {label, polarity, score, unit, words: [{word, start, end, weight}]}, with
        word == text[start:end] and unit "probability" or "log_odds".

    Raises:
        VisitorError: bad input, bad_choice for a label that the model has not, no_offsets when its tokenizer cannot
            tell where a token stands; whatever `use` raises.
    """
    text = inputs.text(text)
    method = inputs.choice(method, "method", METHODS)
    part, words = _first_words(text)
    watch = Stopwatch()
    with (use or loading.use)(model, "sentiment") as loaded:
        labels = list(loaded.pipe.model.config.id2label.values())
        scores = _scores(loaded, [part], watch)[0]
        if label is None:
            label = labels[scores.index(max(scores))]
        chosen = labels.index(inputs.choice(label, "label", tuple(labels)))
        if method == "leave_one_out":
            without = _scores(loaded, [_without(part, words, i) for i in range(len(words))], watch)
            weights = [scores[chosen] - each[chosen] for each in without]
        else:
            with loaded.lock, watch("model"):
                weights = _gradient(loaded.pipe, part, words, chosen)
        meaning, device = polarity(label, loaded.card, labels), loaded.device
    result = {
        "label": label,
        "polarity": meaning,
        "score": scores[chosen],
        "unit": "probability" if method == "leave_one_out" else "log_odds",
        "words": [
            {"word": part[start:end], "start": start, "end": end, "weight": weight}
            for (start, end), weight in zip(words, weights, strict=True)
        ],
    }
    note = None if len(part) == len(text) else "note.first_words"
    return Run(result, model, method=f"method.{method}", note=note, timing=watch.timing, device=device)


def _first_words(text: str) -> tuple[str, list[tuple[int, int]]]:
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    kept = [span for span in spans[:MAX_WORDS] if span[1] <= MAX_CHARS] or [(spans[0][0], spans[0][0] + MAX_CHARS)]
    return (text if len(kept) == len(spans) and kept[-1] == spans[-1] else text[: kept[-1][1]]), kept


def _scores(loaded: loading.Loaded, texts: list[str], watch: Stopwatch) -> list[list[float]]:
    """Return the probabilities of each text's classes, in the order of the model's id2label."""
    config = loaded.pipe.model.config
    rows, _ = batching.run(loaded, texts, watch, lambda output, _: _probabilities(output.logits, config))
    return [row.tolist() for row in rows]


def _independent(config: Any) -> bool:
    return config.num_labels == 1 or config.problem_type == "multi_label_classification"


def _probabilities(logits: Any, config: Any) -> Any:
    return logits.float().sigmoid() if _independent(config) else logits.float().softmax(-1)


def _without(text: str, words: list[tuple[int, int]], i: int) -> str:
    """Leave out word i, with the space after it; after the last word, with the space before it."""
    start, end = words[i]
    if i + 1 < len(words):
        return text[:start] + text[words[i + 1][0] :]
    return text[:start].rstrip() + text[end:]


def _gradient(pipe: Any, text: str, words: list[tuple[int, int]], chosen: int) -> list[float]:
    import torch

    tokenizer, model = pipe.tokenizer, pipe.model
    if not getattr(tokenizer, "is_fast", False):
        raise VisitorError("no_offsets", model=str(getattr(model, "name_or_path", "")))
    encoded = tokenizer(
        text, return_tensors="pt", truncation=True, max_length=batching.max_length(pipe), return_offsets_mapping=True
    )
    offsets = encoded.pop("offset_mapping")[0].tolist()
    # The vectors as the first layer gets them, after the embeddings' own LayerNorm: a LayerNorm does not care how long
    # its input is, so before it gradient x input says little (and exactly nothing in DeBERTa, which adds no positions).
    # The hook starts the graph even where the weights are frozen, as they are after LoRA.
    hook = model.get_input_embeddings().register_forward_hook(lambda *args: args[2].detach().requires_grad_(True))
    try:
        with torch.enable_grad():
            output = model(**{key: value.to(model.device) for key, value in encoded.items()}, output_hidden_states=True)
            vectors = output.hidden_states[0]
            (gradient,) = torch.autograd.grad(_log_odds(output.logits[0], chosen, model.config), vectors)
    finally:
        hook.remove()
    per_token = (gradient[0] * vectors[0].detach()).sum(-1).tolist()
    return [
        float(sum(weight for weight, (a, b) in zip(per_token, offsets, strict=True) if a < b and a < end and b > start))
        for start, end in words
    ]


def _log_odds(logits: Any, chosen: int, config: Any) -> Any:
    """Log-odds of a class: its own logit under sigmoid, log p/(1-p) under softmax."""
    import torch

    if _independent(config):
        return logits[chosen]
    return logits[chosen] - torch.logsumexp(torch.cat((logits[:chosen], logits[chosen + 1 :])), dim=0)
