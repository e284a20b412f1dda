"""Tasks that choose among labels: sentiment, zero-shot classification, entailment and acceptability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines import batching, embeddings, rounding
from pipelines.errors import VisitorError
from pipelines.outcome import Outcome
from pipelines.polarity import polarity
from pipelines.run import Stopwatch

if TYPE_CHECKING:
    import numpy as np

    from pipelines.loading import Loaded


def sentiment(loaded: Loaded, texts: list[str], watch: Stopwatch) -> list[Outcome]:
    """Return one outcome per text: {text, label, polarity, score, scores, model}."""
    if rounding.suits(loaded, texts):
        rows, cut, rounded = rounding.run(loaded, texts, watch)
    else:
        rows, cut = batching.run(loaded, texts, watch, rounding.logits)
        rounded = [False] * len(texts)
    outcomes = []
    with watch("postprocess"):
        for text, row, short, eight_bits in zip(texts, rows, cut, rounded, strict=True):
            scores = _scores(loaded.pipe, row)
            label = next(iter(scores))
            result = {
                "text": text,
                "label": label,
                "polarity": polarity(label, loaded.card, scores),
                "score": scores[label],
                "scores": scores,
                "model": loaded.id,
            }
            outcomes.append(Outcome(result, cut=short, rounded=eight_bits))
    return outcomes


def entail(loaded: Loaded, premise: str, hypothesis: str, watch: Stopwatch) -> Outcome:
    """Return {label, scores} for a pair, or for the premise alone when there is no hypothesis.

    Raises:
        VisitorError: empty_hypothesis, when a model of pairs is asked about one sentence.
    """
    if not hypothesis and entailment_id(loaded.pipe) is not None:
        raise VisitorError("empty_hypothesis")
    rows, cut = batching.run(loaded, [premise], watch, rounding.logits, second=[hypothesis] if hypothesis else None)
    with watch("postprocess"):
        scores = _scores(loaded.pipe, rows[0])
    return Outcome({"label": next(iter(scores)), "scores": scores}, cut=cut[0])


def zero_shot(
    loaded: Loaded, text: str, labels: list[str], template: str, multi_label: bool, watch: Stopwatch
) -> Outcome:
    """Return {labels, scores}, best first, from an entailment model or, when it is an encoder, from its vectors."""
    # str.replace, not str.format: a visitor's template may hold anything between its braces.
    filled = [template.replace("{}", label) for label in labels]
    if loaded.pipe.task == "feature-extraction":
        return _zero_shot_by_vectors(loaded, text, labels, filled, multi_label, watch)
    if entailment_id(loaded.pipe) is None:
        raise VisitorError("wrong_task", model=loaded.id, task="zero_shot", made_for="text-classification")
    rows, cut = batching.run(loaded, [text] * len(labels), watch, rounding.logits, second=filled)
    with watch("postprocess"):
        outputs = [
            {"candidate_label": label, "sequence": text, "logits": row.unsqueeze(0)}
            for label, row in zip(labels, rows, strict=True)
        ]
        best = loaded.pipe.postprocess(outputs, multi_label=multi_label)
    return Outcome({"labels": best["labels"], "scores": best["scores"]}, cut=any(cut))


def entailment_id(pipe: Any) -> int | None:
    """Return the index of a classifier's entailment label, or None for a model of something else."""
    names = pipe.model.config.id2label.items()
    return next((index for index, label in names if str(label).lower().startswith("entail")), None)


def _zero_shot_by_vectors(
    loaded: Loaded, text: str, labels: list[str], filled: list[str], multi_label: bool, watch: Stopwatch
) -> Outcome:
    vectors, cut = embeddings.embed(loaded, [text, *filled], watch)
    with watch("postprocess"):
        return by_vectors(vectors, labels, multi_label, cut)


def by_vectors(vectors: np.ndarray, labels: list[str], multi_label: bool, cut: bool = False) -> Outcome:
    """Return {labels, scores}, best first, from the vectors of a text and of its filled templates."""
    cosines = vectors[1:] @ vectors[0]
    scores = cosines.clip(0.0, 1.0) if multi_label else embeddings.softmax(cosines, embeddings.TEMPERATURE)
    order = (-scores).argsort(kind="stable")
    result = {"labels": [labels[i] for i in order], "scores": [float(scores[i]) for i in order]}
    method = "method.embeddings_zero_shot_multi" if multi_label else "method.embeddings_zero_shot"
    return Outcome(result, method, cut)


def _scores(pipe: Any, logits: Any) -> dict[str, float]:
    """Return {label: probability}, best first, as transformers' text-classification pipeline computes them."""
    best = pipe.postprocess({"logits": logits.unsqueeze(0)}, top_k=None, _legacy=False)
    return {str(each["label"]): each["score"] for each in best}
