"""One warm short sentence through a sentiment model: our path, against transformers' own pipeline() in float32."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import plain_pipeline

SENTENCE = "What a lovely film, I want to see it again."
POCKET = ("pocket/sentiment-ko", "pocket/sentiment-en")
# Random weights in the true size of the course's models: what a product of matrices costs does not depend on them.
TRUE_SIZE = ("DistilBERT", "BERT-base")
IN_A_ROW, WARM = 60, 10


def rows(few: bool, full: bool) -> Iterator[tuple[str, str, str, str]]:
    """Yield (figure, ours, baseline, ratio) for the pocket models and, with `full`, for models of true size."""
    for name in (*POCKET, *(TRUE_SIZE if full else ())):
        yield _row(name, 3 if few else 9)


def remembered(few: bool) -> tuple[str, str, str, str]:
    """Return (figure, ours, baseline, ratio) of a sentence asked again, without the event around it."""
    from pipelines import text_tasks

    ready("pocket/sentiment-en")
    text_tasks.MEMO.clear()

    def ask(text: str, again: bool) -> None:
        if text_tasks.sentiment(text, "pocket/sentiment-en").cached is not again:
            raise RuntimeError("not from memory" if again else "from memory")

    new, again = by_turns(lambda text: ask(text, False), lambda text: ask(text, True), 15 if few else 60)
    return "the same, without the event, ms", f"{again:.3f}", f"computed {new:.1f}", f"{again / new:.3f}"


def ready(name: str) -> Any:
    """Return a model as the app has it once it is warm.

    Args:
        name: One of POCKET or TRUE_SIZE.
    """
    from pipelines import backends, loading
    from settings import SETTINGS

    if name in TRUE_SIZE:
        loaded = _random(name)
    else:
        with loading.use(name, "sentiment") as loaded:
            pass
    if "forward" not in vars(loaded.pipe.model):  # else a session has taken over already
        if backends.suits(SETTINGS.backend, loaded.pipe.task, loaded.pipe.model.config, loaded.device):
            backends.change(loaded, SETTINGS.backend)
    return loaded


def _row(name: str, turns: int) -> tuple[str, str, str, str]:
    from pipelines import classification
    from pipelines.run import Stopwatch

    loaded = ready(name)
    took: tuple[list[float], list[float]] = ([], [])
    with plain_pipeline.beside(loaded.pipe.model, loaded.pipe.tokenizer) as plain:
        for turn in range(turns):
            texts = [f"{SENTENCE} {turn * IN_A_ROW + i}" for i in range(IN_A_ROW)]
            ours, theirs = [], plain(texts)
            for text in texts:
                start = time.perf_counter()
                scores = classification.sentiment(loaded, [text], Stopwatch())[0].result["scores"]
                ours.append(((time.perf_counter() - start) * 1000, scores))
            for measured, answers in zip(took, (ours, theirs), strict=True):
                measured += [ms for ms, _ in answers[WARM:]]
            apart = max(abs(a[label] - b[label]) for (_, a), (_, b) in zip(ours, theirs, strict=True) for label in a)
            if apart > 1e-4 and "int8" not in loaded.device:
                raise RuntimeError(f"{name}: scores differ by {apart:.1e}")
    fast, slow = map(statistics.median, took)
    size = f"{sum(weight.numel() for weight in loaded.pipe.model.parameters()) / 1e6:.0f} M"
    runtime = loaded.device.partition(" · ")[2] or "torch"
    figure = f"sentence, {name.removeprefix('pocket/')} {size}, ms"
    return figure, f"{fast:.1f}", f"pipeline() {slow:.1f}, {runtime}", f"{fast / slow:.2f}"


def by_turns(first: Callable[[str], Any], second: Callable[[str], Any], times: int) -> tuple[float, float]:
    """Return the median milliseconds of two calls that take turns, each with sentences it has not seen, once warm."""
    took: tuple[list[float], list[float]] = ([], [])
    for i in range(-2, times):
        for call, measured in ((first, took[0]), (second, took[1])):
            start = time.perf_counter()
            call(f"{SENTENCE} {i}")
            if i >= 0:
                measured.append((time.perf_counter() - start) * 1000)
    return statistics.median(took[0]), statistics.median(took[1])


def _random(name: str) -> Any:
    """Return a classifier of a true size with random weights, and the word pieces of MiniLM, which are BERT's."""
    import torch
    import transformers

    from pipelines import catalog, loading

    tokenizer = copy.deepcopy(loading.tokenizer(catalog.MINILM))
    if name == "DistilBERT":
        config = transformers.DistilBertConfig(vocab_size=len(tokenizer))
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    else:
        config = transformers.BertConfig(vocab_size=len(tokenizer))
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    pipe = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    return loading.Loaded(name, None, pipe, "cpu", "cache", 0.0)
