"""What transformers' own classes say of a model folder: the yardstick for the pipelines' answers."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache(maxsize=64)
def load(folder: Path, auto_class: str) -> tuple[Any, Any]:
    """Return (model in float32, tokenizer), each from its Auto class."""
    import torch
    import transformers

    model = getattr(transformers, auto_class).from_pretrained(folder, dtype=torch.float32).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def classify(folder: Path, first: str, second: str | None = None) -> dict[str, float]:
    """Return {label: probability} of a text or a pair."""
    import torch

    model, tokenizer = load(folder, "AutoModelForSequenceClassification")
    with torch.inference_mode():
        logits = model(**tokenizer(first, second, return_tensors="pt")).logits[0]
    names = model.config.id2label
    return {names[number]: float(score) for number, score in enumerate(logits.softmax(-1))}


def entails(folder: Path, text: str, hypotheses: list[str]) -> list[float]:
    """Return how likely each hypothesis follows, as zero-shot classification weighs them against each other."""
    import torch

    model, tokenizer = load(folder, "AutoModelForSequenceClassification")
    entailment = next(number for number, name in model.config.id2label.items() if name.startswith("entail"))
    with torch.inference_mode():
        logits = [model(**tokenizer(text, each, return_tensors="pt")).logits[0, entailment] for each in hypotheses]
    return torch.stack(logits).softmax(-1).tolist()


def best_span(folder: Path, question: str, context: str, none: bool, longest: int = 15) -> tuple[str, float]:
    """Return the most probable answer and its score, by trying every start and end in the context.

    The probabilities are among the context's tokens and, where `none`, the first token, which says "no answer".
    """
    import torch

    model, tokenizer = load(folder, "AutoModelForQuestionAnswering")
    inputs = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    offsets = inputs.pop("offset_mapping")[0].tolist()
    parts = inputs.encodings[0].sequence_ids
    with torch.inference_mode():
        output = model(**inputs)
    own = torch.tensor([part == 1 for part in parts])
    own[0] = none
    starts, ends = (each[0].masked_fill(~own, -1e4).softmax(-1) for each in (output.start_logits, output.end_logits))
    score, start, end = max(
        (float(starts[i] * ends[j]), i, j)
        for i in range(1, len(parts))
        for j in range(i, min(i + longest, len(parts)))
        if own[i] and own[j]
    )
    return context[offsets[start][0] : offsets[end][1]], score


def mask_candidates(folder: Path, text: str, count: int) -> list[tuple[int, float]]:
    """Return the (id, probability) of the best fillings of [MASK] that are no special tokens."""
    import torch

    model, tokenizer = load(folder, "AutoModelForMaskedLM")
    inputs = tokenizer(text.replace("[MASK]", tokenizer.mask_token), return_tensors="pt")
    (place,) = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()
    with torch.inference_mode():
        scores = model(**inputs).logits[0, int(place)].softmax(-1)
    ranked = sorted(enumerate(scores.tolist()), key=lambda each: -each[1])
    return [each for each in ranked if each[0] not in tokenizer.all_special_ids][:count]


def continued(folder: Path, prompt: str, count: int) -> list[int]:
    """Return the ids that greedy generation adds."""
    import torch

    model, tokenizer = load(folder, "AutoModelForCausalLM")
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        output = model.generate(ids, max_new_tokens=count, do_sample=False, num_beams=1)
    return output[0, ids.shape[1] :].tolist()


def rewritten(folder: Path, text: str, **options: Any) -> str:
    """Return what a sequence-to-sequence model makes of a text with its own generation settings."""
    import torch

    model, tokenizer = load(folder, "AutoModelForSeq2SeqLM")
    with torch.inference_mode():
        output = model.generate(**tokenizer(text, return_tensors="pt"), **options)
    return tokenizer.decode(output[0], skip_special_tokens=True)


def vectors(folder: Path, texts: list[str]) -> Any:
    """Return the normalised mean of each text's last hidden state, one text at a time: (texts, dimensions)."""
    import torch

    model, tokenizer = load(folder, "AutoModel")
    rows = []
    with torch.inference_mode():
        for text in texts:
            rows.append(model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0))
    return torch.nn.functional.normalize(torch.stack(rows), dim=-1)
