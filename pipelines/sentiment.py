"""Several sentiment models on several sentences, on one scale; with gold labels, how often each model is right.

Every model's own labels were already mapped to negative/neutral/positive by its card (catalog.ModelCard.polarity);
here the columns are put side by side, compared with each other and with the gold labels.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipelines import catalog, hub, inputs, languages, loading, text_tasks
from pipelines.errors import VisitorError
from pipelines.gold import read_gold
from pipelines.metrics import POLARITIES, measure
from pipelines.polarity import polarity
from pipelines.run import Run

MAX_MODELS = 8
Classify = Callable[[list[str], str], Run]

logger = logging.getLogger(__name__)


def compare(
    texts: str | Sequence[str],
    models: Sequence[str] | None = None,
    gold: Sequence[object] | None = None,
) -> Run:
    """Ask several models for the sentiment of several sentences.

    Args:
        texts: Sentences; a string holds one per line. Blank ones are dropped, with their gold label.
        models: Ids of sentiment models; None takes those that work here now (see `working_models`).
        gold: The right answer of each text, as `gold.read_gold` understands it; None or blank where unknown.

    Returns:
        A Run whose result is {"rows": [...], "models": {...}}, rows in the order of the texts:

        - row: {text, results: {model: {label, polarity, score, scores, foreign}}, agree, gold?}; `foreign`: the model
          was not trained on the text's language; `agree` is None when fewer than two models gave a polarity.
        - model: {ms, cached, rounded, size_mb, languages, trained_on, says}, milliseconds for all texts, without
          loading; `cached`: all answers come from memory, and the milliseconds are those of the first time; `rounded`:
          most were computed in 8 bits; `says` lists the polarities that the model's labels can mean. With gold also
          what `metrics.measure` returns.
          A model that failed has only {error: {key, params}} and no results in the rows.

    Raises:
        VisitorError: bad input, or, when every model failed, the first one's error.
    """
    return list(compare_each(texts, models, gold))[-1]


def compare_each(
    texts: str | Sequence[str],
    models: Sequence[str] | None = None,
    gold: Sequence[object] | None = None,
    *,
    classify: Classify = text_tasks.sentiment,
) -> Iterator[Run]:
    """As `compare`, yielding the comparison so far after each model: a slow model holds up only its own column.

    Whoever stops a download stops those that would come after it too.

    Args:
        classify: (texts, model id) -> Run of [{label, polarity, score, scores}], one for each text.
    """
    texts, gold = _pairs(texts, gold)
    names = _models(models)
    rows = [{"text": text, "results": {}, "agree": None} for text in texts]
    for row, answer in zip(rows, gold or [], strict=False):
        row["gold"] = answer
    facts: dict[str, dict[str, Any]] = {}
    timing: dict[str, float] = {}
    first_error, device, stopped = None, "cpu", None
    for name in names:
        start = time.perf_counter()
        try:
            if stopped and state_of(name) == "remote":
                raise stopped
            run = classify(texts, name)
        except VisitorError as error:
            first_error = first_error or error
            stopped = error if error.key == "stopped" else stopped
            facts[name] = {"error": {"key": error.key, "params": error.params}}
        except Exception as error:
            logger.exception("%s failed", name)
            told = VisitorError("model_failed", model=name, reason=type(error).__name__)
            first_error = first_error or told
            facts[name] = {"error": {"key": told.key, "params": told.params}}
        else:
            stages = [ms for stage, ms in run.timing.items() if stage != "load"]
            timing[name] = round(sum(stages) if stages else (time.perf_counter() - start) * 1000, 2)
            device = run.device
            for row, answer in zip(rows, run.result, strict=True):
                row["results"][name] = {key: answer[key] for key in ("label", "polarity", "score", "scores")} | {
                    "foreign": languages.note(catalog.card(name), row["text"]) is not None
                }
                row["agree"] = _agree(row["results"])
            rounded = run.device.endswith(text_tasks.ROUNDED)
            facts[name] = {"ms": timing[name], "cached": run.cached, "rounded": rounded} | _facts(name, rows, gold)
        if len(facts) == len(names) and not timing:
            raise first_error
        # A copy, so that what was yielded does not change under its reader.
        done = [{**row, "results": dict(row["results"])} for row in rows]
        yield Run({"rows": done, "models": dict(facts)}, ", ".join(timing), timing=dict(timing), device=device)


def working_models() -> list[str]:
    """Return the ids of the listed sentiment models that answer now without a download, in the catalog's order."""
    return [card.id for card in catalog.offered("sentiment") if state_of(card.id) in ("pocket", "cached")]


def state_of(model_id: str) -> str:
    """Return hub.state, or "missing" for a listed model whose files cannot be used here."""
    try:
        return hub.state(model_id)
    except VisitorError:
        return "missing"


def disagreements_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows on which models disagree before the others; otherwise the order stays.

    Among those, a row with both a negative and a positive answer comes before one that differs by a neutral.
    """

    def rank(row: dict[str, Any]) -> int:
        if row["agree"] is not False:
            return 2
        said = {answer["polarity"] for answer in row["results"].values()}
        return 0 if {"negative", "positive"} <= said else 1

    return sorted(rows, key=rank)


def _pairs(texts: object, gold: object) -> tuple[list[str], list[str | None] | None]:
    items = texts.splitlines() if isinstance(texts, str) else texts
    if gold is None or not isinstance(items, (list, tuple)):
        return inputs.texts(items), None
    if not isinstance(gold, (list, tuple)):
        raise VisitorError("gold_not_list")
    if isinstance(texts, str) and len(gold) != len(items):
        items = [item for item in items if item.strip()]
    if len(items) != len(gold):
        raise VisitorError("gold_count", texts=len(items), gold=len(gold))
    answers = read_gold(gold)
    kept = [answer for item, answer in zip(items, answers, strict=True) if not isinstance(item, str) or item.strip()]
    return inputs.texts(items), (kept if any(kept) else None)


def _models(models: object) -> list[str]:
    if models is None:
        names = working_models()[:MAX_MODELS]
        if not names:
            raise loading.needs_hub("sentiment")
        return names
    items = [models] if isinstance(models, str) else models
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise VisitorError("no_models")
    names = list(dict.fromkeys(item.strip() for item in items if item.strip()))
    if not names:
        raise VisitorError("no_models")
    if len(names) > MAX_MODELS:
        raise VisitorError("too_many_models", limit=MAX_MODELS, count=len(names))
    return names


def _agree(results: dict[str, dict[str, Any]]) -> bool | None:
    said = [answer["polarity"] for answer in results.values() if answer["polarity"] is not None]
    return len(set(said)) == 1 if len(said) > 1 else None


def _facts(name: str, rows: list[dict[str, Any]], gold: list[str | None] | None) -> dict[str, Any]:
    card = catalog.card(name)
    answers = [row["results"][name] for row in rows]
    labels = list(answers[0]["scores"])
    said = {polarity(label, card, labels) for label in labels}
    facts: dict[str, Any] = {
        "size_mb": card.size_mb if card else None,
        "languages": list(card.languages) if card else [],
        "trained_on": card.trained_on if card else None,
        "says": [each for each in POLARITIES if each in said],
    }
    if gold:
        facts |= measure(gold, [answer["polarity"] for answer in answers])
    return facts
