"""Measures pocket/sentiment-ko and pocket/fill-mask-ko as a visitor gets them: from their folders."""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from recipes._korean_body import LABELS
from recipes._korean_corpus import MASK, NEGATIVE, NEUTRAL, POSITIVE, Part, piece_kinds
from recipes._korean_examples import MAX_LENGTH, mask_words
from recipes._training import accuracy, macro_f1

PROMPTS = ["이 영화 정말 [MASK].", "배우들의 [MASK] 좋았다.", "다시 [MASK] 싶은 영화", "오늘 날씨가 정말 [MASK]."]


def read_everyday(path: Path) -> Part:
    """``label<TAB>sentence`` lines; there are no ratings, so they hold the class instead."""
    number = {name: i for i, name in LABELS.items()}
    rows = [line.rstrip("\n").split("\t", 1) for line in path.open(encoding="utf-8") if line.strip()]
    return Part([text for _, text in rows], np.array([number[label] for label, _ in rows], dtype=np.int64))


@torch.no_grad()
def logits(folder: Path, texts: list[str]) -> np.ndarray:
    """Class logits in float32, shape (texts, 3)."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    order = np.argsort([len(text) for text in texts])
    result = np.zeros((len(texts), len(LABELS)), dtype=np.float32)
    for start in range(0, len(order), 128):
        some = order[start : start + 128]
        inputs = tokenizer(
            [texts[i] for i in some], padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
        )
        result[some] = model(**inputs).logits.numpy()
    return result


def polar(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For the negative and positive texts: was the likelier of the two classes right, and the true class."""
    chosen = labels != NEUTRAL
    return ((scores[:, POSITIVE] > scores[:, NEGATIVE]) == (labels == POSITIVE))[chosen], labels[chosen]


def evaluate_sentiment(folder: Path, test: Part, everyday: Part) -> dict:
    scores, labels = logits(folder, test.texts), test.labels
    right, true = polar(scores, labels)
    positive = np.flatnonzero(true == POSITIVE)
    negative = np.flatnonzero(true == NEGATIVE)
    sample = np.random.default_rng(0).choice(positive, size=len(negative), replace=False)
    daily = logits(folder, everyday.texts)
    return {
        "films_as_they_come": accuracy(right),
        "films_balanced": accuracy(right[np.concatenate([negative, sample])]),
        "films_three_classes": accuracy(scores.argmax(1) == labels) | {"macro_f1": macro_f1(labels, scores.argmax(1))},
        "everyday": accuracy(polar(daily, everyday.ratings)[0]),
        "everyday_three_classes": accuracy(daily.argmax(1) == everyday.ratings)
        | {"macro_f1": macro_f1(everyday.ratings, daily.argmax(1))},
    }


@torch.no_grad()
def evaluate_fill_mask(folder: Path, test: Part, texts: int = 4000) -> dict:
    """How often the hidden word is the first guess, and among the first five; and a few prompts with their guesses."""
    model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    kinds = torch.from_numpy(piece_kinds(tokenizer.convert_ids_to_tokens(list(range(model.config.vocab_size)))))
    torch.manual_seed(0)
    loss, first, five, count = 0.0, 0, 0, 0
    for start in range(0, texts, 100):
        inputs = tokenizer(
            test.texts[start : start + 100], padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
        )
        ids = inputs["input_ids"]
        _, chosen = mask_words(ids, kinds, 0.15)
        guesses = model(**inputs | {"input_ids": ids.masked_fill(chosen, MASK)}).logits[chosen]
        loss += float(cross_entropy(guesses, ids[chosen], reduction="sum"))
        ranked = guesses.topk(5).indices == ids[chosen][:, None]
        first, five, count = first + int(ranked[:, 0].sum()), five + int(ranked.any(1).sum()), count + len(guesses)
    examples = {}
    for prompt in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt")
        place = model(**inputs).logits[inputs["input_ids"] == MASK][0]
        examples[prompt] = tokenizer.convert_ids_to_tokens(place.topk(5).indices.tolist())
    return {
        "masked_words": count,
        "loss": round(loss / count, 3),
        "first": round(first / count, 4),
        "among_five": round(five / count, 4),
        "examples": examples,
    }
