"""Trains pocket/entities-en: all-MiniLM-L6-v2 with a LoRA adapter that marks names, WNUT-17's six types.

    python -m recipes.entities_en --data DIR              train, measure, write the card
    python -m recipes.entities_en --data DIR --evaluate   only measure: reproduces every figure of the card

DIR holds ``wnut17_train.conll`` and ``wnut17_dev.conll`` (Derczynski et al. 2017,
https://aclanthology.org/W17-4418). The body reads lower case only; capitals reach it as marks (`_english_case`).
"""

import argparse
import os
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForTokenClassification, AutoTokenizer

from recipes._cards import write_card
from recipes._english_adapter import Averaged, adapted, base_folder, fold, merged, save
from recipes._english_case import cased_tokenizer
from recipes._training import batches, device_and_autocast, write_json

FOLDER = Path(__file__).parent.parent / "assets" / "pocket" / "entities-en"
EVERYDAY = Path(__file__).parent / "everyday_entities_en.txt"
TYPES = ("person", "location", "corporation", "group", "product", "creative-work")
LABELS = ("O", *(f"{part}-{kind}" for kind in TYPES for part in "BI"))
IGNORED = -100

Sentence = list[tuple[str, str]]
Span = tuple[int, int, str]


@dataclass(frozen=True)
class Settings:
    """``without`` is the share of the sentences without a name that one pass reads.

    ``swapped`` is the share of names that are replaced by another of their type, ``lowered`` the share of sentences
    read in lower case.
    ``everyday`` is how many everyday sentences one pass reads.
    """

    rank: int = 24
    rate: float = 1e-3
    head_rate: float = 3e-3
    passes: int = 4
    batch_tokens: int = 500
    without: float = 0.25
    swapped: float = 0.35
    lowered: float = 0.06
    everyday: int = 400
    average_from: float = 0.6
    seed: int = 0


def read(path: Path) -> list[Sentence]:
    """Sentences as [(word, tag)], blank lines between them."""
    sentences = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, tag = line.partition("\t")
        if word.strip():
            sentences[-1].append((word, tag.strip()))
        elif sentences[-1]:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def spans(tags: list[str]) -> set[Span]:
    """Names as (first word, word after the last, type).

    Example: spans(["B-person", "I-person", "O"]) gives {(0, 2, "person")}
    """
    found, start = set(), None
    for number, tag in enumerate([*tags, "O"]):
        if start is not None and not (tag.startswith("I-") and tag[2:] == tags[start][2:]):
            found.add((start, number, tags[start][2:]))
            start = None
        if tag != "O" and start is None:
            start = number
    return found


def read_everyday(path: Path = EVERYDAY) -> tuple[dict[str, list[str]], list[str]]:
    """Lists of names by type, and sentences with slots."""
    names, sentences = {}, []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("- "):
            sentences.append(line[2:])
        elif line and not line.startswith("#"):
            kind, _, listed = line.partition(": ")
            names[kind] = listed.split("; ")
    return names, sentences


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+(?:[.&-]\w+)*(?:'s\b)?|\S", text)


def filled(template: str, names: dict[str, list[str]], chance: random.Random) -> Sentence:
    """A template with names in its slots; "the" and "a" before a name are no part of it."""
    sentence = []
    for piece in re.split(r"(\{[a-z-]+\})", template):
        if not piece.startswith("{"):
            sentence += [(word, "O") for word in tokens(piece)]
            continue
        kind, words = piece[1:-1], chance.choice(names[piece[1:-1]]).split()
        if words[0] in ("the", "a", "an"):
            sentence.append((words.pop(0), "O"))
        sentence += [(word, f"{'I' if number else 'B'}-{kind}") for number, word in enumerate(words)]
    first = sentence[0]
    sentence[0] = (first[0][0].upper() + first[0][1:], first[1])
    return sentence


def swapped(sentence: Sentence, names: dict[str, list[str]], share: float, chance: random.Random) -> Sentence:
    """The sentence with some names replaced by others of their type."""
    tags, result, done = [tag for _, tag in sentence], [], 0
    for start, end, kind in sorted(spans(tags)):
        if chance.random() >= share:
            continue
        words = chance.choice(names[kind]).split()
        if words[0] in ("the", "a", "an") and len(words) > 1:
            words = words[1:]
        result += sentence[done:start]
        result += [(word, f"{'I' if number else 'B'}-{kind}") for number, word in enumerate(words)]
        done = end
    return result + sentence[done:]


def written(sentence: Sentence, settings: Settings, chance: random.Random) -> Sentence:
    """Now and then as people type it: all in lower case."""
    return [(word.lower(), tag) for word, tag in sentence] if chance.random() < settings.lowered else sentence


def encode(sentence: Sentence, tokenizer) -> tuple[list[int], list[int]]:
    """Ids of the words joined by spaces, and a label for every piece: B- for the first of a name, I- for the rest."""
    text, places = "", []
    for number, (word, tag) in enumerate(sentence):
        text += (" " if number else "") + word
        places.append((len(text) - len(word), len(text), tag))
    encoded = tokenizer(text, truncation=True, max_length=128, return_offsets_mapping=True)
    labels, word, before = [], 0, -1
    for start, end in encoded["offset_mapping"]:
        if start == end:
            labels.append(IGNORED)
            continue
        while places[word][1] <= start:
            word += 1
        tag = places[word][2]
        labels.append(LABELS.index(tag if tag[0] != "B" or word != before else f"I-{tag[2:]}"))
        before = word
    return encoded["input_ids"], labels


def lesson(sentences: list[Sentence], settings: Settings, chance: random.Random) -> list[Sentence]:
    """What one pass reads."""
    listed, templates = read_everyday()
    mentions = {kind: list(names) for kind, names in listed.items()}
    for sentence in sentences:
        for start, end, kind in spans([tag for _, tag in sentence]):
            mentions[kind] += [" ".join(word for word, _ in sentence[start:end])]
    read_now = [
        swapped(sentence, mentions, settings.swapped, chance)
        for sentence in sentences
        if any(tag != "O" for _, tag in sentence) or chance.random() < settings.without
    ]
    read_now += [filled(chance.choice(templates), mentions, chance) for _ in range(settings.everyday // 4)]
    read_now += [filled(chance.choice(templates), listed, chance) for _ in range(settings.everyday * 3 // 4)]
    return [[(shortened(word), tag) for word, tag in written(sentence, settings, chance)] for sentence in read_now]


def shortened(word: str) -> str:
    """An address cut to its beginning: its letters mean nothing and would be half of what is read."""
    return word[:14] if word.lower().startswith("http") else word


def task_model():
    return AutoModelForTokenClassification.from_pretrained(
        base_folder(),
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def train(settings: Settings, sentences: list[Sentence], checkpoint: Path, watch=lambda *_: ""):
    device, autocast = device_and_autocast()
    torch.manual_seed(settings.seed)
    tokenizer = cased_tokenizer()
    model = adapted(task_model(), "TOKEN_CLS", settings.rank).to(device)
    fold(model)
    plans = []
    for number in range(settings.passes):
        chance, rng = random.Random(number + 100 * settings.seed), np.random.default_rng(number + 100 * settings.seed)
        rows = [encode(sentence, tokenizer) for sentence in lesson(sentences, settings, chance)]
        lengths = np.array([len(ids) for ids, _ in rows])
        plans += [[rows[i] for i in chosen] for chosen in batches(lengths, settings.batch_tokens, rng)]
    print(f"{len(plans)} steps, {sum(len(ids) for plan in plans for ids, _ in plan):,} tokens", flush=True)
    trainer, running = Averaged(model, settings.rate, settings.head_rate, settings.average_from, checkpoint), 0.0
    model.train()
    for step in range(trainer.steps, len(plans)):
        plan = plans[step]
        length = max(len(ids) for ids, _ in plan)
        ids = torch.tensor([ids + [tokenizer.pad_token_id] * (length - len(ids)) for ids, _ in plan])
        labels = torch.tensor([labels + [IGNORED] * (length - len(labels)) for _, labels in plan])
        mask = (torch.arange(length) < torch.tensor([[len(ids)] for ids, _ in plan])).long()
        with autocast:
            logits = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits.float()
        loss = cross_entropy(logits.flatten(0, 1), labels.flatten().to(device), ignore_index=IGNORED)
        trainer.step(loss, step / len(plans))
        running = loss.item() if step == 0 else 0.97 * running + 0.03 * loss.item()
        if (step + 1) % 50 == 0:
            trainer.keep()
            print(f"step {step + 1} of {len(plans)}: loss {running:.3f}{watch(step + 1, model, tokenizer)}", flush=True)
            model.train()
    trainer.finish()
    return model, tokenizer


@torch.no_grad()
def pieces(model, tokenizer, texts: list[str]) -> list[tuple[np.ndarray, list[tuple[int, int, bool]]]]:
    """For each text the logits of its pieces, (pieces, labels), and where they stand and whether they go on a word."""
    model.eval()
    found, order = [None] * len(texts), sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), 32):
        chosen = order[start : start + 32]
        inputs = tokenizer([texts[i] for i in chosen], padding=True, return_offsets_mapping=True, return_tensors="pt")
        offsets = inputs.pop("offset_mapping").tolist()
        logits = model(**inputs.to(next(model.parameters()).device)).logits.float().cpu().numpy()
        for row, i in enumerate(chosen):
            written = tokenizer.convert_ids_to_tokens(inputs["input_ids"][row].tolist())
            kept = [number for number, (a, b) in enumerate(offsets[row]) if a < b]
            found[i] = logits[row, kept], [(*offsets[row][n], written[n].startswith("##")) for n in kept]
    return found


def decode(logits: np.ndarray, places: list[tuple[int, int, bool]]) -> set[Span]:
    """Names as (start, end, type) in characters, as the pipeline groups them: a word has its first piece's label."""
    found, last = [], "O"
    labels = [LABELS[i] for i in logits.argmax(-1)]
    for (start, end, goes_on), label in zip(places, labels, strict=True):
        if goes_on:
            label = last if last == "O" else f"I-{last[2:]}"
        if label != "O" and last[2:] == label[2:] and label[0] != "B":
            found[-1][1] = max(end, found[-1][1])
        elif label != "O":
            found.append([start, end, label[2:]])
        last = label
    return {tuple(each) for each in found}


def characters(sentence: Sentence) -> tuple[str, set[Span]]:
    """The words joined by spaces, and the names in characters of it."""
    words = [word for word, _ in sentence]
    starts = [sum(len(word) + 1 for word in words[:number]) for number in range(len(words))]
    marked = spans([tag for _, tag in sentence])
    return " ".join(words), {(starts[a], starts[b - 1] + len(words[b - 1]), kind) for a, b, kind in marked}


def exact(found: list[set[Span]], wanted: list[set[Span]]) -> dict:
    """Precision, recall and F1 of exact spans with the right type, all together and F1 by type."""

    def figures(pairs: list[tuple[set, set]]) -> tuple[float, float, float]:
        right, given, all_ = (sum(n) for n in zip(*((len(a & b), len(a), len(b)) for a, b in pairs), strict=True))
        return right / max(1, given), right / max(1, all_), 2 * right / max(1, given + all_)

    pairs = list(zip(found, wanted, strict=True))
    precision, recall, f1 = figures(pairs)
    by_type = {
        kind: round(figures([tuple({s for s in side if s[2] == kind} for side in pair) for pair in pairs])[2], 4)
        for kind in TYPES
    }
    unlabelled = figures([tuple({s[:2] for s in side} for side in pair) for pair in pairs])[2]
    return {
        "f1": round(f1, 4),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1_whatever_the_type": round(unlabelled, 4),
        "n": sum(len(each) for each in wanted),
        "by_type": by_type,
    }


def load(folder: Path):
    return merged(task_model(), folder), AutoTokenizer.from_pretrained(folder)


def found_in(model, tokenizer, sentences: list[Sentence]) -> dict:
    texts, wanted = zip(*(characters(sentence) for sentence in sentences), strict=True)
    return exact([decode(*each) for each in pieces(model, tokenizer, list(texts))], list(wanted))


def evaluate(folder: Path, dev: list[Sentence]) -> dict:
    model, tokenizer = load(folder)
    lowered = [[(word.lower(), tag) for word, tag in sentence] for sentence in dev]
    return {"wnut17_dev": found_in(model, tokenizer, dev), "in_lower_case": found_in(model, tokenizer, lowered)["f1"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/entities-en"), help="the checkpoint")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.evaluate:
        member = options.work / "member"
        if not member.exists():
            options.work.mkdir(parents=True, exist_ok=True)
            save(*train(Settings(), read(options.data / "wnut17_train.conll"), options.work / "checkpoint.pt"), member)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(member, options.output, dirs_exist_ok=True)
    figures = evaluate(options.output, read(options.data / "wnut17_dev.conll"))
    write_json(options.output / "metrics.json", figures)
    write_card(options.output)
    print(figures)


if __name__ == "__main__":
    main()
