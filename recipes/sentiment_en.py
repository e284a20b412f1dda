"""Trains pocket/sentiment-en: all-MiniLM-L6-v2 with a LoRA adapter, on SST-2 and on what a larger model says.

    python -m recipes.sentiment_en --data DIR              train, measure, write the card
    python -m recipes.sentiment_en --data DIR --evaluate   only measure: reproduces every figure of the card

DIR holds ``sst2_train.tsv``, ``sst2_dev.tsv``, ``wnut17_train.conll``, ``stories.txt.gz``, VADER's sentences and
WordNet (where from: recipes/README.md). Two adapters learn from the sentences that have labels, and so does a teacher,
all-mpnet-base-v2. It then judges 87,000 new texts, a third of them made of the old ones, and the mean of the adapters
learns from what it says of them, in three rounds. Each stage leaves a file in ``--work``, and an interrupted run goes
on from there. The teacher takes most of the time.
"""

import argparse
import gzip
import math
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import log_softmax
from transformers import AutoTokenizer

from recipes import _english_members as members
from recipes import _english_teacher as teaching
from recipes._cards import write_card
from recipes._english_adapter import Averaged, base_folder, fold, halfway, merged, save
from recipes._english_found import meanings, sentences
from recipes._english_members import base_model
from recipes._english_pieces import Swap, invented, told, tweets
from recipes._english_text import read_labelled, read_lexicon, read_sst2, untokenize, variant
from recipes._training import accuracy, batches, device_and_autocast, write_json

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "assets" / "pocket" / "sentiment-en"
EVERYDAY_TRAIN = Path(__file__).parent / "everyday_en_train.tsv"
EVERYDAY_TEST = ROOT / "tests" / "models" / "everyday_en.tsv"
NEW = {"invented": (17000, 4000, 4000, 2500), "tweets": 600, "stories": 1500}

Pairs = list[tuple[str, int]]


@dataclass(frozen=True)
class Settings:
    """``made`` and ``found`` are how many of the new texts are read, of those made of the old and of other people's.

    ``again`` is the share of SST-2, ``everyday`` how often each everyday sentence is read beside the new texts.

    ``meaning`` is the weight of the loss that draws the mean state to the teacher's, in its ``places`` main directions.
    ``blank`` is the share of pieces hidden behind [MASK] in training, so that no verdict hangs on one word.
    The weights of all steps after ``average_from`` (a share of the training) are averaged.
    """

    made: int = 29_600
    found: int = 27_000
    passes: float = 6.0
    rate: float = 7e-4
    again: float = 0.25
    everyday: int = 1
    meaning: float = 0.3
    places: int = 32
    blank: float = 0.03
    average_from: float = 0.6
    batch_tokens: int = 900
    seed: int = 0


# Each round goes on from the one before; of the second on, what is kept is the mean of before and after.
ROUNDS = (
    Settings(),
    Settings(made=0, found=57_400, passes=3.0, everyday=2, average_from=0.5, seed=100),
    Settings(made=9_000, found=17_000, passes=2.0, again=0.6, average_from=0.4, seed=200),
)


@dataclass(frozen=True)
class Lessons:
    """What the adapter should say of all texts, (texts, 2), and the teacher's means of the new ones, (new, 768).

    The first ``made`` of the new texts were made of the old ones.
    """

    sst2: Pairs
    everyday: Pairs
    new: list[str]
    made: int
    wanted: torch.Tensor
    meanings: np.ndarray

    def some(self, settings: Settings) -> "Lessons":
        """The lessons of one round, with the main directions of the teacher's means, (new, places)."""
        chance, found = np.random.default_rng(settings.seed), len(self.new) - self.made
        made = chance.permutation(self.made)[: settings.made]
        chosen = np.concatenate([made, self.made + chance.permutation(found)[: settings.found]])
        labelled = len(self.sst2) + len(self.everyday)
        wanted = torch.cat([self.wanted[:labelled], self.wanted[labelled + torch.from_numpy(chosen)]])
        new = [self.new[i] for i in chosen]
        means = main_directions(self.meanings[chosen], settings.places)
        return Lessons(self.sst2, self.everyday, new, len(made), wanted, means)


def held_out(pairs: Pairs) -> np.ndarray:
    """The tenth of SST-2's training sentences that the teacher is measured on and does not learn from."""
    held = np.zeros(len(pairs), dtype=bool)
    held[np.random.default_rng(9).permutation(len(pairs))[: len(pairs) // 10]] = True
    return held


def new_texts(data: Path, sst2: list[str], everyday: list[str]) -> tuple[list[str], list[str]]:
    """The texts that only the teacher judges: those made of the old ones, with a few others, and other people's."""
    opinions = [word for word, _ in read_lexicon()]
    vocabulary = AutoTokenizer.from_pretrained(base_folder()).get_vocab()
    swap = Swap(opinions, [word for word in vocabulary if word.isalpha() and word.isascii() and len(word) > 3])
    texts = invented(sst2, everyday, swap, NEW["invented"])
    texts += tweets(data / "wnut17_train.conll", set(opinions), NEW["tweets"])
    with gzip.open(data / "stories.txt.gz", "rt", encoding="utf-8") as file:
        texts += told(file.read(), set(opinions), NEW["stories"])
    return texts, sentences(data / "hutto_ICWSM_2014.tar.gz") + meanings(data / "wordnet")


def lessons(data: Path, work: Path) -> Lessons:
    """Trains the teacher and asks it about all texts, unless its answers lie in ``work``."""
    work.mkdir(parents=True, exist_ok=True)
    sst2, everyday = read_sst2(data / "sst2_train.tsv"), read_labelled(EVERYDAY_TRAIN)
    labels = np.array([label for _, label in sst2 + everyday])
    held = np.append(held_out(sst2), np.zeros(len(everyday), dtype=bool))
    learned = [text for (text, _), out in zip(sst2, held, strict=False) if not out]
    made, found = new_texts(data, learned, [text for text, _ in everyday])
    new = made + found
    if not (work / "asked.npy").exists() or len(np.load(work / "asked.npy")) < len(new):
        teacher = teaching.Teacher(teaching.unpacked(work))
        texts = [untokenize(text) for text, _ in sst2] + [text for text, _ in everyday]
        memory = teaching.Memory(teacher, texts, work / "memory.npy")
        teaching.train(teacher, memory, labels, held, work)
        teaching.ask(teacher, new, work / "asked.npy")
    logits, means = teaching.told(work / "asked.npy")
    smooth = torch.from_numpy(np.eye(2, dtype=np.float32)[labels] * 0.95 + 0.025)
    wanted = torch.cat([smooth, torch.from_numpy(logits).softmax(-1)])
    return Lessons(sst2, everyday, new, len(made), wanted, means)


def main_directions(means: np.ndarray, places: int) -> torch.Tensor:
    """The teacher's means, (texts, 768), in their main directions, (texts, places)."""
    apart = means - means.mean(0)
    moved = apart @ np.linalg.eigh(apart.T @ apart).eigenvectors[:, -places:]
    return torch.from_numpy(moved / moved.std(0).mean()).float()


class Student(torch.nn.Module):
    """The body with the adapter that the first stage made. ``aside`` guesses the teacher's mean, and is not kept."""

    def __init__(self, start: Path, places: int):
        from peft import PeftModel

        super().__init__()
        self.model = PeftModel.from_pretrained(base_model(), str(start), is_trainable=True)
        self.aside = torch.nn.Linear(self.model.config.hidden_size, places)
        fold(self.model)

    def forward(self, inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (texts, 2) and the guess at the teacher's means (texts, places)."""
        base = self.model.get_base_model()
        out, mask = base.bert(**inputs), inputs["attention_mask"]
        mean = (out.last_hidden_state * (mask / mask.sum(1, keepdim=True))[..., None]).sum(1)
        return base.classifier(base.dropout(out.pooler_output)), self.aside(mean)


def reading(lessons: Lessons, settings: Settings, number: int) -> tuple[list[str], np.ndarray]:
    """The texts of one pass, the treebank's as it has them or as people write, and their places in the lessons."""
    chance, old = random.Random(1000 + settings.seed + number), len(lessons.sst2)
    labelled = old + len(lessons.everyday)
    some = chance.sample(range(old), round(settings.again * old))
    texts = [variant(lessons.sst2[i][0], chance) for i in some]
    texts += [text for text, _ in lessons.everyday] * settings.everyday + lessons.new
    places = [np.array(some), *[np.arange(old, labelled)] * settings.everyday]
    return texts, np.concatenate([*places, labelled + np.arange(len(lessons.new))])


def train(start: Path, lessons: Lessons, settings: Settings, checkpoint: Path):
    torch.manual_seed(settings.seed)
    tokenizer, student = AutoTokenizer.from_pretrained(base_folder()), Student(start, settings.places)
    averaged = Averaged(student, settings.rate, settings.rate, settings.average_from, checkpoint)
    autocast = device_and_autocast()[1]
    torch.manual_seed(settings.seed + averaged.steps)
    student.train()
    done, running, labelled = 0, 0.7, len(lessons.sst2) + len(lessons.everyday)
    for number in range(math.ceil(settings.passes)):
        texts, places = reading(lessons, settings, number)
        rows = tokenizer(texts, truncation=True, max_length=96)["input_ids"]
        lengths = np.array([len(row) for row in rows])
        plan = list(batches(lengths, settings.batch_tokens, np.random.default_rng(settings.seed + number)))
        steps = round(settings.passes * len(plan))
        for indices in plan[: steps - done]:
            done += 1
            if done <= averaged.steps:
                continue
            inputs = tokenizer.pad({"input_ids": [rows[i] for i in indices]}, return_tensors="pt")
            with autocast:
                logits, guess = student(hidden(inputs, tokenizer, settings.blank))
            logits, guess = logits.float(), guess.float()
            chosen = torch.from_numpy(places[indices])
            loss = -(lessons.wanted[chosen] * log_softmax(logits, -1)).sum(1).mean()
            new = chosen >= labelled
            if new.any():
                meant = lessons.meanings[chosen[new] - labelled]
                loss = loss + settings.meaning * (guess[new] - meant).square().mean() * new.float().mean()
            averaged.step(loss, done / steps)
            running = 0.98 * running + 0.02 * loss.item()
            if done % 25 == 0:
                print(f"step {done} of {steps}: loss {running:.3f}", flush=True)
                averaged.keep()
    averaged.keep()
    averaged.finish()
    return student.model, tokenizer


def hidden(inputs, tokenizer, share: float):
    """The batch with a share of its pieces behind [MASK]."""
    ids = inputs["input_ids"]
    inner = (ids != tokenizer.cls_token_id) & inputs["attention_mask"].bool()
    inputs["input_ids"] = ids.masked_fill(inner & (torch.rand(ids.shape) < share), tokenizer.mask_token_id)
    return inputs


@torch.no_grad()
def predict(model, tokenizer, texts: list[str]) -> np.ndarray:
    """0 or 1 for every text."""
    model.eval()
    answers = []
    for start in range(0, len(texts), 32):
        inputs = tokenizer(
            texts[start : start + 32], padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        answers.append(model(**inputs).logits.argmax(-1).numpy())
    return np.concatenate(answers)


def right(model, tokenizer, pairs: Pairs) -> np.ndarray:
    return predict(model, tokenizer, [text for text, _ in pairs]) == np.array([label for _, label in pairs])


def load(folder: Path):
    return merged(base_model(), folder), AutoTokenizer.from_pretrained(folder)


def evaluate(folder: Path, dev: Pairs) -> dict:
    model, tokenizer = load(folder)
    written = [(untokenize(text), label) for text, label in dev]
    return {
        "sst2_dev": accuracy(right(model, tokenizer, dev)),
        "sst2_dev_as_written": accuracy(right(model, tokenizer, written)),
        "everyday": accuracy(right(model, tokenizer, read_labelled(EVERYDAY_TEST))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/sentiment-en"), help="the teacher and checkpoints")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.evaluate:
        taught = lessons(options.data, options.work)
        here = members.start(options.work, taught.sst2, taught.everyday)
        for number, settings in enumerate(ROUNDS):
            after = options.work / f"round-{number}"
            if not after.exists():
                save(*train(here, taught.some(settings), settings, options.work / f"student-{number}.pt"), after)
            here = halfway(here, after, options.work / f"mean-{number}") if number else after
        options.output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(here, options.output, dirs_exist_ok=True)
    figures = evaluate(options.output, read_sst2(options.data / "sst2_dev.tsv"))
    write_json(options.output / "metrics.json", figures)
    write_card(options.output)
    print(figures)


if __name__ == "__main__":
    main()
