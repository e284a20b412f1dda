"""Trains pocket/stars-ko: one to five stars for a Korean review, a LoRA adapter of pocket/sentiment-ko.

    python -m recipes.stars_ko --data DIR              train, measure, write the card
    python -m recipes.stars_ko --data DIR --evaluate   only measure: reproduces every figure of the card

DIR holds ``nsmc_reviews.tsv.gz``. Stars are half of the rating, rounded up (1-2 one star, 9-10 five), and one star off
is better than four off: beside cross-entropy the loss is the mean distance that the probabilities expect. The films are
parted as for sentiment-ko. An interrupted run goes on where it stopped (checkpoints lie in ``--work``).
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from recipes import _korean_adapter as adapter
from recipes._cards import write_card
from recipes._korean_corpus import Part, read_reviews
from recipes._training import accuracy, write_json

BASE = "pocket/sentiment-ko"
FOLDER = adapter.POCKET / "stars-ko"
STARS = {i: f"{i + 1} star{'s' if i else ''}" for i in range(5)}
RANK = 32
DISTANCE = 0.5
READ = 200_000


def stars(ratings: np.ndarray) -> np.ndarray:
    """0 (one star) to 4 (five).

    Example: ratings [1, 2, 3, 8, 10] give [0, 0, 1, 3, 4]
    """
    return (np.asarray(ratings) + 1) // 2 - 1


def with_adapter(rank: int = RANK):
    """The body with LoRA on every linear layer; the pooler is trained whole, and so is the classifier, which is new."""
    from peft import LoraConfig, TaskType, get_peft_model

    folder = adapter.body_folder(BASE)
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(folder, id2label=STARS, label2id={name: i for i, name in STARS.items()})
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, config=config, dtype=torch.float32, ignore_mismatched_sizes=True
    )
    return get_peft_model(
        model,
        LoraConfig(
            task_type=TaskType.SEQ_CLS,
            r=rank,
            lora_alpha=rank,
            target_modules=adapter.LINEAR,
            modules_to_save=["pooler", "classifier"],
        ),
    )


def ordinal_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, and the distance between the stars given and those that the probabilities expect."""
    off = (torch.arange(5, device=logits.device) - labels[:, None]).abs()
    return cross_entropy(logits, labels, label_smoothing=0.02) + DISTANCE * (logits.softmax(-1) * off).sum(-1).mean()


@torch.no_grad()
def logits_of(model, tokenizer, texts: list[str]) -> np.ndarray:
    """Class logits in float32, shape (texts, 5)."""
    device = next(model.parameters()).device
    rows = adapter.rows_of(tokenizer, texts)
    order, result = np.argsort([len(row) for row in rows]), np.zeros((len(rows), 5), dtype=np.float32)
    for start in range(0, len(order), 128):
        some = order[start : start + 128]
        result[some] = model(**adapter.padded(tokenizer, [rows[i] for i in some], device)).logits.cpu().numpy()
    return result


def two_errors(chosen: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean absolute error in stars: of the reviews as they come, and with all five classes counting the same."""
    off = np.abs(chosen - labels)
    return float(off.mean()), float(np.mean([off[labels == star].mean() for star in range(5)]))


def settle(model, scores: np.ndarray, labels: np.ndarray, balance: float = 0.2) -> np.ndarray:
    """Shifts the five biases until the likeliest class is as near to the truth as can be, on development films.

    What is made least is the error of the reviews as they come plus ``balance`` times that of balanced classes.
    """

    def cost(shift: np.ndarray) -> float:
        as_they_come, balanced = two_errors((scores + shift).argmax(1), labels)
        return as_they_come + balance * balanced

    shift = np.zeros(5)
    for width in (0.4, 0.2, 0.1, 0.05):
        for _ in range(4):
            for star in range(5):
                tried = [shift + width * step * np.eye(5)[star] for step in range(-3, 4)]
                shift = min(tried, key=cost)
    shift -= shift.mean()
    before, after = (two_errors((scores + s).argmax(1), labels) for s in (0, shift))
    print(f"biases {np.round(shift, 2)}: {before} before, {after} after")
    [head] = [m for n, m in model.named_modules() if n.endswith("classifier.modules_to_save.default")]
    with torch.no_grad():
        head.bias += torch.from_numpy(shift).float()
    return shift


def evaluate(folder: Path, test: Part) -> dict:
    model, tokenizer = adapter.load(folder, BASE, AutoModelForSequenceClassification)
    scores, labels = logits_of(model, tokenizer, test.texts), stars(test.ratings)
    chosen, chances = scores.argmax(1), torch.from_numpy(scores).softmax(-1).numpy()
    always = [two_errors(np.full(len(labels), star), labels) for star in range(5)]
    return {
        "reviews": len(labels),
        "mean_absolute_error": round(two_errors(chosen, labels)[0], 4),
        "balanced": round(two_errors(chosen, labels)[1], 4),
        "of_the_mean": round(float(np.abs(chances @ np.arange(5) - labels).mean()), 4),
        "always_the_same": round(min(error for error, _ in always), 4),
        "exact": accuracy(chosen == labels),
        "at_most_one_off": accuracy(np.abs(chosen - labels) <= 1),
        "by_star": [round(float(np.abs(chosen - labels)[labels == star].mean()), 4) for star in range(5)],
        "share": [round(float((labels == star).mean()), 4) for star in range(5)],
        "given": [round(float((chosen == star).mean()), 4) for star in range(5)],
    }


def make(parts: dict[str, Part], work: Path, minutes: float, folder: Path) -> None:
    model, tokenizer = with_adapter(), AutoTokenizer.from_pretrained(adapter.body_folder(BASE))
    train, dev = parts["train"], parts["dev"]
    read = np.random.default_rng(0).permutation(len(train.texts))[:READ]
    rows = adapter.rows_of(tokenizer, [train.texts[i] for i in read])
    labels = torch.from_numpy(stars(train.ratings[read]))
    lengths, dev_labels = np.array([len(row) for row in rows]), stars(dev.ratings)

    def losses(rng: np.random.Generator):
        for indices in adapter.endless(lengths, 2048, rng):
            inputs = adapter.padded(tokenizer, [rows[i] for i in indices], next(model.parameters()).device)
            yield ordinal_loss(model(**inputs).logits.float(), labels[indices].to(inputs["input_ids"].device))

    def watch(model) -> str:
        errors = two_errors(logits_of(model, tokenizer, dev.texts[::4]).argmax(1), dev_labels[::4])
        return "development films: {:.4f} as they come, {:.4f} balanced".format(*errors)

    adapter.train("stars", model, losses, minutes, 1e-3, work / "stars.checkpoint.pt", watch)
    settle(model, logits_of(model, tokenizer, dev.texts), dev_labels)
    adapter.save(model, tokenizer, BASE, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/stars-ko"), help="checkpoints")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    parts = read_reviews(options.data / "nsmc_reviews.tsv.gz")
    if not options.evaluate:
        make(parts, options.work, options.minutes, options.output)
    figures = evaluate(options.output, parts["test"])
    print(figures)
    write_json(options.output / "metrics.json", figures)
    write_card(options.output)


if __name__ == "__main__":
    main()
