"""Beam search: several texts grow side by side, and the one that is likeliest as a whole is kept.

model.generate() searches. Meanwhile the beginnings it weighs can be looked at, and it can be stopped; afterwards one
more pass says how likely each token of the text was in its place, and what else might have stood there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipelines import generation
from pipelines.generation import Sampling, Start, Written
from pipelines.run import Stopwatch

if TYPE_CHECKING:
    from pipelines.loading import Loaded

POLL_S = 0.15


def write(
    loaded: Loaded,
    prompt: str,
    sampling: Sampling,
    watch: Stopwatch,
    stop: Callable[[], bool] | None = None,
    begun: Sequence[dict[str, Any]] = (),
) -> Iterator[Written]:
    """Yield the beams from time to time, and at last the text, as `generation.write` does for a text of one beam.

    The model's lock is let go after each token, so that others take their turns. Stopped, the search keeps the best
    text it has.

    Args:
        loaded: A causal language model.
        prompt: The beginning.
        sampling: `num_beams` is 2 or more.
        watch: Gets "tokenize" and "model".
        stop: Asked a few times a second.
        begun: Entries of an earlier text that stay as they are.

    Yields:
        Written with `beams` and no new token while it searches; then the text, whose probabilities are the model's own
        in each place (after the repetition penalty), which is not what the whole was chosen by.
    """
    start = generation.starting(loaded, prompt, sampling, watch, begun)
    search = _Search(loaded, start, sampling, watch)
    with loaded.lock:
        kept = Written(start.text(loaded.pipe.tokenizer, []), list(begun), start.cut)
    if begun:
        yield kept
    if search.over:
        return
    search.thread.start()
    try:
        while search.thread.is_alive():
            search.thread.join(POLL_S)
            if stop is not None and stop():
                search.halt.set()
            elif search.beams:
                yield Written(kept.text, kept.tokens, start.cut, search.texts())
    finally:
        search.halt.set()
    if search.failed is not None:
        raise search.failed
    new = search.found
    with loaded.lock, watch("model"):
        tokens = [*kept.tokens, *_scored(loaded, start, sampling, new)]
        text = start.text(loaded.pipe.tokenizer, new)
    yield Written(text, tokens, start.cut)


class _Search:
    """One call of model.generate() in a thread of its own.

    Attributes:
        over: There is nothing to search: what is kept ends the text.
        halt: Set it to end the search after the next token.
        beams: New ids of each beam, the best first.
        found: New ids of the text, when the thread has ended.
        failed: What went wrong in it.
    """

    def __init__(self, loaded: Loaded, start: Start, sampling: Sampling, watch: Stopwatch) -> None:
        self._loaded, self._start, self._sampling, self._watch = loaded, start, sampling, watch
        self.over = bool(start.kept) and start.kept[-1] in self._ends()
        self.halt = threading.Event()
        self.beams: list[list[int]] = []
        self.found: list[int] = []
        self.failed: Exception | None = None
        self.thread = threading.Thread(target=self._run, name="beam-search", daemon=True)

    def texts(self) -> tuple[str, ...]:
        with self._loaded.lock:
            return tuple(self._start.text(self._loaded.pipe.tokenizer, ids) for ids in self.beams)

    def _ends(self) -> set[int]:
        return generation.end_ids(self._loaded.pipe.model.generation_config)

    def _run(self) -> None:
        import torch

        model, fed = self._loaded.pipe.model, self._start.fed
        settings = self._sampling.kwargs() | {"max_new_tokens": self._start.room}
        try:
            with self._loaded.lock, torch.inference_mode(), self._watch("model"):
                ids = torch.tensor([fed], device=model.device)
                output = model.generate(
                    ids, attention_mask=torch.ones_like(ids), stopping_criteria=[self._after_token], **settings
                )
            new, ends = output[0, len(fed) :].tolist(), self._ends()
            last = next((place for place, each in enumerate(new) if each in ends), len(new))
            self.found = new[: last + 1]  # what follows the end is padding
        except Exception as error:  # raised again where the text is read
            self.failed = error

    def _after_token(self, ids: Any, scores: Any, **_: Any) -> Any:
        """Called by generate() with the candidates, the best first; says of each whether it ends here."""
        import torch

        self.beams = ids[: self._sampling.num_beams, len(self._start.fed) :].tolist()
        self._loaded.lock.release()
        self._loaded.lock.acquire()
        return torch.full((len(ids),), self.halt.is_set(), device=ids.device)


def _scored(loaded: Loaded, start: Start, sampling: Sampling, new: list[int]) -> list[dict[str, Any]]:
    """Return the entries of a text's new tokens from one pass over it; the caller holds the lock."""
    import torch

    model = loaded.pipe.model
    ids = torch.tensor([start.fed + new], device=model.device)
    _, processors = generation.library_parts(model, ids[:, : len(start.fed)], sampling)
    entries = []
    with torch.inference_mode():
        logits = model(input_ids=ids[:, :-1]).logits.float()
        for place, chosen in enumerate(new, start=len(start.fed)):
            # As in generate(): with beams, processors see logarithms of probabilities.
            scores = processors(ids[:, :place], logits[:, place - 1].log_softmax(dim=-1))
            entries.append(generation.describe(loaded.pipe.tokenizer, chosen, scores.softmax(dim=-1)[0].cpu()))
    return entries
