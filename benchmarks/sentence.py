"""One warm short sentence through a sentiment model: our path, against transformers' own pipeline() in float32."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

SENTENCE = "What a lovely film, I want to see it again."
POCKET = ("pocket/sentiment-ko", "pocket/sentiment-en")
# Random weights in the true size of the course's models: what a product of matrices costs does not depend on them.
TRUE_SIZE = ("DistilBERT", "BERT-base")


def rows(few: bool, full: bool) -> Iterator[tuple[str, str, str, str]]:
    """Yield (figure, ours, baseline, ratio) for the pocket models and, with `full`, for models of true size."""
    for name in (*POCKET, *(TRUE_SIZE if full else ())):
        yield _row(name, 15 if few else 60)


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


def ready(name: str) -> tuple[Any, Any]:
    """Return a model as the app has it once it is warm, and transformers' own pipeline on the same weights.

    Args:
        name: One of POCKET or TRUE_SIZE.
    """
    import transformers

    from pipelines import backends, loading
    from settings import SETTINGS

    if name in TRUE_SIZE:
        loaded = _random(name)
    else:
        with loading.use(name, "sentiment") as loaded:
            pass
    model, tokenizer = loaded.pipe.model, loaded.pipe.tokenizer
    twin = copy.deepcopy(model, {id(weight): weight for weight in (*model.parameters(), *model.buffers())})
    vars(twin).pop("forward", None)  # torch's own again, where a session has taken over already
    plain = transformers.pipeline("text-classification", model=twin, tokenizer=copy.deepcopy(tokenizer), device="cpu")
    if backends.suits(SETTINGS.backend, loaded.pipe.task, model.config, loaded.device):
        backends.change(loaded, SETTINGS.backend)
    return loaded, plain


def _row(name: str, times: int) -> tuple[str, str, str, str]:
    from pipelines import classification
    from pipelines.run import Stopwatch

    loaded, plain = ready(name)
    answers = {}

    def ours(text: str) -> None:
        answers["ours"] = classification.sentiment(loaded, [text], Stopwatch())[0].result["scores"]

    def theirs(text: str) -> None:
        answers["theirs"] = {each["label"]: each["score"] for each in plain(text, top_k=None)}

    fast, slow = by_turns(ours, theirs, times)
    apart = max(abs(score - answers["theirs"][label]) for label, score in answers["ours"].items())
    if apart > 1e-4 and "int8" not in loaded.device:
        raise RuntimeError(f"{name}: scores differ by {apart:.1e}")
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
