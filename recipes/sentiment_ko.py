"""Trains pocket/sentiment-ko and pocket/fill-mask-ko from the Naver movie reviews.

    python -m recipes.sentiment_ko --data DIR              every stage that is not done yet, then the cards
    python -m recipes.sentiment_ko --data DIR --evaluate   only measure: reproduces every figure of the cards

DIR holds ``nsmc_reviews.tsv.gz``. An interrupted run goes on where it stopped (checkpoints lie in ``--work``).
"""

import argparse
import copy
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from recipes import _korean_body as body
from recipes._cards import write_card
from recipes._korean_corpus import (
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    Part,
    encode,
    piece_kinds,
    read_reviews,
    train_vocabulary,
)
from recipes._korean_evaluation import evaluate_fill_mask, evaluate_sentiment, read_everyday
from recipes._korean_examples import MAX_LENGTH, Examples, fewer_positive, join_some, together, without_stars
from recipes._korean_teacher import judge
from recipes._smaller import in_eight_bits
from recipes._training import Rates, publish, write_json

VOCABULARY = 16_000
WEIGHTS = (1.15, 1.20, 0.66)
HERE = Path(__file__).parent
POCKET = HERE.parent / "assets" / "pocket"
EVERYDAY_TRAIN = HERE / "everyday_ko_train.tsv"
EVERYDAY_TEST = HERE.parent / "tests" / "models" / "everyday_ko.tsv"


def vocabulary(parts: dict[str, Part], work: Path) -> Tokenizer:
    path = work / "tokenizer.json"
    if not path.exists():
        train_vocabulary(parts["train"].texts, VOCABULARY).save(str(path))
    return Tokenizer.from_file(str(path))


def examples(part: Part, tokenizer: Tokenizer, teacher: Path | None = None) -> Examples:
    """A part in tokens; with ``teacher``, the file of the linear teacher's answers, which it writes if need be."""
    rows = encode(tokenizer, part.texts, MAX_LENGTH)
    answers = np.full(len(rows), np.nan, dtype=np.float32)
    if teacher:
        if not teacher.exists():
            np.save(teacher, judge(rows, part.texts, part.labels))
        answers = np.load(teacher)
    return Examples(rows, part.ratings, part.labels, answers)


@torch.no_grad()
def log_odds(model: body.TwoTasks, some: Examples, order: np.ndarray) -> np.ndarray:
    """Positive against negative, for the rows that ``order`` names (best sorted by length)."""
    device = next(model.parameters()).device
    result = []
    for start in range(0, len(order), 128):
        pooled, _ = model(some.pad(order[start : start + 128]).to(device))
        logits = model.classifier.classifier(pooled).float().cpu().numpy()
        result.append(logits[:, POSITIVE] - logits[:, NEGATIVE])
    return np.concatenate(result)


def two_accuracies(odds: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Negative-versus-positive accuracy of the reviews as they come, and with both classes counting the same."""
    right = (odds > 0) == (labels == POSITIVE)
    return right[labels != NEUTRAL].mean(), (right[labels == NEGATIVE].mean() + right[labels == POSITIVE].mean()) / 2


def watcher(dev: Examples):
    """A function of the model that tells its accuracy on half of the development films' reviews."""
    order = np.argsort([len(row) for row in dev.rows])[::2]

    def watch(model: body.TwoTasks) -> str:
        as_they_come, balanced = two_accuracies(log_odds(model, dev, order), dev.labels[order])
        return f"development films: {as_they_come:.4f} as they come, {balanced:.4f} balanced"

    return watch


@torch.no_grad()
def settle(model: body.TwoTasks, dev: Examples) -> None:
    """Moves the line between negative and positive to where the lower of the two accuracies is highest.

    Both are measured on development films.
    """
    order = np.argsort([len(row) for row in dev.rows])
    odds, labels = log_odds(model, dev, order), dev.labels[order]
    shifts = np.linspace(-1, 1, 81)
    best = max(shifts, key=lambda shift: min(two_accuracies(odds + shift, labels)))
    print(f"shift {best:+.3f}: {two_accuracies(odds, labels)} before, {two_accuracies(odds + best, labels)} after")
    model.classifier.classifier.bias[POSITIVE] += best / 2
    model.classifier.classifier.bias[NEGATIVE] -= best / 2


def pretrain(tokenizer: Tokenizer, train: Examples, dev: Examples, work: Path, minutes: float) -> body.TwoTasks:
    def one_pass(rng: np.random.Generator) -> Examples:
        return join_some(fewer_positive(train, rng), rng, 0.02)

    torch.manual_seed(0)
    pieces = [tokenizer.id_to_token(i) for i in range(VOCABULARY)]
    model = body.TwoTasks(torch.from_numpy(piece_kinds(pieces)))
    if (work / "pretrained.pt").exists():
        model.load_state_dict(torch.load(work / "pretrained.pt"))
        return model
    if not (work / "pretrain.checkpoint.pt").exists():
        path = work / "vectors.npy"
        if not path.exists():
            np.save(path, body.starting_embeddings(train.rows, train.ratings, VOCABULARY, 256))
        model.start_from(np.load(path), np.bincount(np.concatenate(train.rows), minlength=VOCABULARY))
    stage = body.Stage("pretrain", minutes, Rates(matrices=0.015, rest=0.002), WEIGHTS, mask=0.2)
    body.train(model, stage, one_pass, work / "pretrain.checkpoint.pt", watcher(dev))
    torch.save(model.cpu().state_dict(), work / "pretrained.pt")
    return model


def finetune(
    model: body.TwoTasks, train: Examples, dev: Examples, everyday: Examples, work: Path, rounds: list[float]
) -> body.TwoTasks:
    """Rounds of training on the classes, each so many minutes: the rates rise again and fall to zero in each.

    What comes back is the mean of the rounds' weights, which is better than the last (https://arxiv.org/abs/2203.05482).
    """

    def one_pass(rng: np.random.Generator) -> Examples:
        reviews = join_some(fewer_positive(train, rng), rng)
        for _ in range(12):
            reviews = together(reviews, everyday)
        return reviews

    for number, minutes in enumerate(rounds, 1):
        done = work / f"finetuned-{number}.pt"
        if not done.exists():
            rates = Rates(matrices=0.01, rest=0.001) if number == 1 else Rates(matrices=0.008, rest=0.0008)
            stage = body.Stage("finetune", minutes, rates, WEIGHTS, seed=number)
            body.train(model, stage, one_pass, work / f"finetune-{number}.checkpoint.pt", watcher(dev))
            torch.save(model.cpu().state_dict(), done)
        model.load_state_dict(torch.load(done))
    ends = [torch.load(work / f"finetuned-{number}.pt") for number in range(1, len(rounds) + 1)]
    model.load_state_dict({name: sum(end[name].float() for end in ends) / len(ends) for name in ends[0]})
    return model


def save(model: torch.nn.Module, tokenizer: Tokenizer, folder: Path) -> None:
    """A model folder that ``from_pretrained`` reads; its files are put in place by renaming.

    It is stored in float16; the model that guesses hidden words, which loses nothing by it, in eight bits.
    """
    from transformers import BertForMaskedLM, PreTrainedTokenizerFast

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        target = Path(part) / folder.name
        model, guesses = copy.deepcopy(model).cpu(), isinstance(model, BertForMaskedLM)
        if guesses:
            model.bert.pooler = None
        model.config.dtype = torch.float32 if guesses else torch.float16
        (model if guesses else model.half()).save_pretrained(target)
        if guesses:
            in_eight_bits(target)
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            model_max_length=MAX_LENGTH,
            unk_token="[UNK]",
            pad_token="[PAD]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            mask_token="[MASK]",
        ).save_pretrained(target)
        publish(target, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/sentiment-ko"), help="checkpoints")
    parser.add_argument("--output", type=Path, default=POCKET, help="where the two model folders go")
    parser.add_argument("--pretrain-minutes", type=float, default=24)
    parser.add_argument("--finetune-minutes", type=float, nargs="+", default=[34, 40, 50], help="one number a round")
    parser.add_argument("--evaluate", action="store_true", help="measure the folders that are there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sentiment, fill_mask = options.output / "sentiment-ko", options.output / "fill-mask-ko"

    parts = read_reviews(options.data / "nsmc_reviews.tsv.gz")
    if not options.evaluate:
        options.work.mkdir(parents=True, exist_ok=True)
        tokenizer = vocabulary(parts, options.work)
        train = examples(parts["train"], tokenizer, options.work / "teacher.npy")
        dev, daily = examples(parts["dev"], tokenizer), read_everyday(EVERYDAY_TRAIN)
        everyday = without_stars(encode(tokenizer, daily.texts, MAX_LENGTH), daily.ratings)
        model = pretrain(tokenizer, train, dev, options.work, options.pretrain_minutes)
        save(model.masked, tokenizer, fill_mask)
        model = finetune(model, train, dev, everyday, options.work, options.finetune_minutes)
        settle(model, dev)
        save(model.classifier, tokenizer, sentiment)
    figures = {
        fill_mask: evaluate_fill_mask(fill_mask, parts["test"]),
        sentiment: evaluate_sentiment(sentiment, parts["test"], read_everyday(EVERYDAY_TEST)),
    }
    for folder, measured in figures.items():
        print(folder.name, measured)
        write_json(folder / "metrics.json", measured)
        write_card(folder)


if __name__ == "__main__":
    main()
