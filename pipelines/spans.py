"""Tasks whose answer is a place in the text: named entities, question answering, fill-mask.

Every place is given in characters of the text as it was typed, so that text[start:end] is what is shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pipelines import batching
from pipelines.catalog import ModelCard
from pipelines.errors import VisitorError
from pipelines.inputs import is_korean
from pipelines.outcome import Outcome
from pipelines.run import Stopwatch

if TYPE_CHECKING:
    from pipelines.loading import Loaded

MASK = re.compile(r"\[MASK\]|<mask>|\[mask\]|<extra_id_0>")
OVERLAP = 32


def entities(loaded: Loaded, text: str, watch: Stopwatch) -> Outcome:
    """Return [{entity, text, start, end, score}] in the order of the text.

    A text longer than the model takes is read in overlapping windows.
    """
    pipe = loaded.pipe
    limit = batching.max_length(pipe)
    windowed = pipe.tokenizer.is_fast
    strategy = aggregation(pipe.tokenizer, text)
    before, _, after = pipe._sanitize_parameters(
        aggregation_strategy=strategy, stride=min(OVERLAP, limit // 4) if windowed else None
    )
    before.setdefault("tokenizer_params", {})["max_length"] = limit
    with watch("tokenize"):
        windows = list(pipe.preprocess(text, **before))
    with watch("model"):
        outputs = [pipe.forward(window) for window in windows]
    with watch("postprocess"):
        if settles(loaded.id, strategy):
            outputs = [settle(output, text, pipe.model.config.id2label) for output in outputs]
        groups = pipe.postprocess(outputs, **after)
        found, cursor = [], 0
        for group in groups:
            start, end = _place(text, group, cursor)
            if start < end:
                found.append(
                    {
                        "entity": group["entity_group"],
                        "text": text[start:end],
                        "start": start,
                        "end": end,
                        "score": float(group["score"]),
                    }
                )
                cursor = end
    return Outcome(sorted(found, key=lambda each: each["start"]))


def settles(model_id: str, strategy: str) -> bool:
    """Tell whether a model's tags are settled within words: only a pocket model's, the Hub's stay as they are."""
    return model_id.startswith("pocket/") and strategy == "simple"


def settle(output: dict[str, Any], text: str, labels: dict[int, str]) -> dict[str, Any]:
    """Return a window's output in which, inside a word, a tag I- goes on with what stands before it.

    Pieces are tagged one by one, so that a small model may change its mind within a name. Where a tag gives way, its
    logit changes places with that of the tag that takes over: the piece keeps its score.

    Example: "B-PS", "I-OG" in one word become "B-PS", "I-PS"; "O", "I-PS" become "O", "O"
    """
    logits, offsets = output["logits"].clone(), output["offset_mapping"][0].tolist()
    numbers = {label: number for number, label in labels.items()}
    best = logits[0].argmax(dim=-1).tolist()
    for i in range(1, len(best)):
        start = offsets[i][0]
        inside = start and offsets[i - 1][1] == start and text[start - 1 : start + 1].isalnum()
        if not inside or not labels[best[i]].startswith("I-"):
            continue
        before = labels[best[i - 1]]
        number = numbers.get("O" if before == "O" else f"I-{before[2:]}", best[i])
        logits[0, i, [best[i], number]] = logits[0, i, [number, best[i]]]
        best[i] = number
    return {**output, "logits": logits}


def answer(loaded: Loaded, question: str, context: str, watch: Stopwatch) -> Outcome:
    """Return {answer, start, end, score}, the score being the product of the start's and the end's probability."""
    pipe = loaded.pipe
    unanswerable = knows_no_answer(loaded.card, loaded.id)
    # The answer ends where the model's last token does: a Korean word would bring its particle along.
    before, _, after = pipe._sanitize_parameters(handle_impossible_answer=unanswerable, align_to_words=False)
    with watch("tokenize"):
        windows = list(pipe.preprocess({"question": question, "context": context}, **before))
    with watch("model"):
        outputs = [pipe.forward(window) for window in windows]
    with watch("postprocess"):
        best = pipe.postprocess(outputs, **after)
    return Outcome({key: best[key] for key in ("answer", "start", "end", "score")})


def knows_no_answer(card: ModelCard | None, model_id: str) -> bool:
    """Tell whether a model was trained on questions without an answer, and may say that a text holds none."""
    return "squad2" in (card.trained_on or "" if card else model_id.lower().replace("_", "").replace("-", ""))


def one_mask(text: str) -> tuple[int, int]:
    """Return where the one mask of a text is.

    Raises:
        VisitorError: no_mask, one_mask.
    """
    found = list(MASK.finditer(text))
    if len(found) != 1:
        raise VisitorError("one_mask", count=len(found)) if found else VisitorError("no_mask")
    return found[0].span()


def fill_mask(loaded: Loaded, text: str, top_k: int, watch: Stopwatch) -> Outcome:
    """Return [{token, score, sentence}], best first; special tokens are no candidates.

    A long text is cut to as many tokens around the mask as the model takes.
    """
    import torch

    pipe = loaded.pipe
    tokenizer = pipe.tokenizer
    start, end = one_mask(text)
    before, after = text[:start], text[end:]
    with watch("tokenize"):
        inputs, cut = around_mask(pipe, before, after)
        where = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()
    if len(where) != 1:
        raise VisitorError("one_mask", count=len(where)) if len(where) else VisitorError("no_mask")
    with watch("model"):
        logits = pipe.model(**inputs.to(pipe.device)).logits[0, int(where[0])].float().cpu()
    with watch("postprocess"):
        probabilities = logits.softmax(dim=-1)
        allowed = torch.ones_like(probabilities, dtype=torch.bool)
        allowed[[i for i in tokenizer.all_special_ids if i < len(allowed)]] = False
        best = probabilities.masked_fill(~allowed, -1.0).topk(min(top_k, int(allowed.sum())))
        result = [
            {"token": token, "score": score, "sentence": filled(before, token, after)}
            for score, token in zip(best.values.tolist(), _words(tokenizer, best.indices.tolist()), strict=True)
        ]
    return Outcome(result, cut=cut)


def aggregation(tokenizer: Any, text: str) -> str:
    """Word-piece models of spaced languages give a word one tag; a Korean word also holds a particle that has none."""
    pieces = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    return "first" if getattr(pieces, "continuing_subword_prefix", None) and not is_korean(text) else "simple"


def _place(text: str, group: dict[str, Any], cursor: int) -> tuple[int, int]:
    """Return the characters of an entity without white space at its ends; (0, 0) when it cannot be found."""
    start, end = group["start"], group["end"]
    if start is None or end is None:  # a tokenizer without offsets
        start = text.find(group["word"], cursor)
        if start < 0:
            return 0, 0
        end = start + len(group["word"])
    piece = text[int(start) : int(end)]
    start = int(start) + len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())


def around_mask(pipe: Any, before: str, after: str) -> tuple[Any, bool]:
    """Return the model's inputs for a text with a mask between two halves, and whether it had to be cut to fit."""
    tokenizer, limit = pipe.tokenizer, batching.max_length(pipe)
    inputs = tokenizer(before + tokenizer.mask_token + after, return_tensors="pt", truncation=False, verbose=False)
    length = inputs["input_ids"].shape[1]
    if length <= limit:
        return inputs, False
    # Halve the side that is longer until the rest fits: characters and tokens go together closely enough.
    while length > limit and max(len(before), len(after)) > 1:
        share = max(limit / length, 0.5)
        if len(before) > len(after):
            before = before[-max(1, int(len(before) * share)) :]
        else:
            after = after[: max(1, int(len(after) * share))]
        inputs = tokenizer(before + tokenizer.mask_token + after, return_tensors="pt", truncation=False, verbose=False)
        length = inputs["input_ids"].shape[1]
    return inputs, True


def _words(tokenizer: Any, ids: list[int]) -> list[str]:
    return [tokenizer.decode([index]).strip() or tokenizer.convert_ids_to_tokens(index) for index in ids]


def filled(before: str, token: str, after: str) -> str:
    """Put a token where the mask was; a word piece that continues a word ("##s") joins the one before it."""
    if token.startswith("##") and len(token) > 2:
        return before.rstrip() + token[2:] + after
    return before + token + after
