"""Trains pocket/entail-ko: whether a Korean sentence follows from another, contradicts it, or neither.

    python -m recipes.entail_ko --data DIR              train, measure, write the card
    python -m recipes.entail_ko --data DIR --evaluate   only measure: reproduces every figure of the card

DIR holds ``xnli_ko_dev.tsv``, ``klue_nli.json``, ``korsts_train.tsv``, ``korsts_dev.tsv``, ``klue_ner.tsv`` and
``nsmc_reviews.tsv.gz``. A large model learns the labels; a smaller one, cut out of it, learns what it says of those
pairs and of many more. An interrupted run goes on where it stopped (checkpoints lie in ``--work``).
"""

import argparse
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, kl_div, normalize
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForSequenceClassification, BertModel

from recipes import _e5 as e5
from recipes import _entail_pairs as pairs
from recipes._cards import write_card
from recipes._korean_adapter import train
from recipes._korean_sentences import ABOUT, read_sts, topics_to_find
from recipes._smaller import activations, in_eight_bits, shrunken
from recipes._training import accuracy, device_and_autocast, publish, write_json

FOLDER = Path(__file__).parent.parent / "assets" / "pocket" / "entail-ko"
PIECES, PLACES, NEURONS = 8_000, 128, 256
LONGEST = 96
# The layers of the large model that the small one begins with, and after which of the large one's each should agree.
KEPT = (0, 2, 4, 6, 7, 8, 9, 11)
LIKE = (1, 3, 5, 6, 7, 8, 10, 11)
TEMPERATURE, GOLD = 1.5, 0.3


class Encoded:
    """Batches of pairs, on the device to train on; what a pair becomes is remembered."""

    def __init__(self, tokenizer):
        self._tokenizer, self._known = tokenizer, {}
        self.device, _ = device_and_autocast()

    def length(self, first: str, second: str) -> int:
        return len(self._row(first, second)["input_ids"])

    def __call__(self, asked: list) -> dict[str, torch.Tensor]:
        rows = [self._row(first, second) for first, second, *_ in asked]
        return dict(self._tokenizer.pad(rows, return_tensors="pt").to(self.device))

    def labels(self, asked: list) -> torch.Tensor:
        return torch.tensor([label for *_, label in asked], device=self.device)

    def _row(self, first: str, second: str):
        if (first, second) not in self._known:
            cut = {"truncation": "longest_first", "max_length": LONGEST}
            self._known[first, second] = dict(self._tokenizer(first, second, **cut))
        return self._known[first, second]

    def batches(self, asked: list, size: int, rng: np.random.Generator) -> Iterator[list]:
        """Every pair once, those of like length together."""
        order = rng.permutation(len(asked))
        for start in range(0, len(order), 20 * size):
            some = sorted(order[start : start + 20 * size], key=lambda i: self.length(*asked[i][:2]))
            for at in rng.permutation(range(0, len(some), size)):
                yield [asked[i] for i in some[at : at + size]]


@torch.no_grad()
def logits_of(model, encoded: Encoded, asked: list[pairs.Pair]) -> torch.Tensor:
    """(pairs, 3), in float32."""
    order = sorted(range(len(asked)), key=lambda i: encoded.length(*asked[i][:2]))
    found = torch.zeros(len(asked), len(pairs.LABELS))
    for start in range(0, len(order), 64):
        some = order[start : start + 64]
        found[some] = model(**encoded([asked[i] for i in some])).logits.float().cpu()
    return found


def begin(data: Path, work: Path, groups: list[pairs.Group], others: dict[str, list[str]]) -> Path:
    """The folder of the large model before it has learned anything of entailment."""
    folder = work / "body"
    if not (folder / "model.safetensors").exists():
        carried = e5.Carried(e5.packaged())
        rated = [text for name in ("korsts_train.tsv", "korsts_dev.tsv") for text in read_sts(data / name).texts]
        labelled = [text for group in groups for row in group.rows for text in row[:2]]
        read = [(15, labelled), (4, rated), (4, others["names"]), (4, others["everyday"]), (1, others["reviews"])]
        kept = e5.chosen_pieces(carried, read, PIECES)
        e5.tokenizer([carried.pieces[i] for i in kept], carried.scores[kept], PLACES).save_pretrained(folder)
        e5.body(carried, kept).save_pretrained(folder)
    return folder


def learn_labels(folder: Path, groups: list[pairs.Group], work: Path, minutes: float, watch) -> torch.nn.Module:
    """The large model, trained on the labels; which hypothesis of a premise follows most is learned beside them."""
    names = dict(enumerate(pairs.LABELS))
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(
        folder, id2label=names, label2id={name: number for number, name in names.items()}, dtype=torch.float32
    )
    encoded = Encoded(AutoTokenizer.from_pretrained(folder))

    def losses(rng: np.random.Generator) -> Iterator[torch.Tensor]:
        while True:
            order = rng.permutation(len(groups))
            for start in range(0, len(order) - 9, 10):
                some = [groups[i] for i in order[start : start + 10]]
                rows = [row for group in some for row in group.rows]
                logits = model(**encoded(rows)).logits.float()
                loss = cross_entropy(logits, encoded.labels(rows), label_smoothing=0.05)
                yield loss + 0.5 * among_themselves(logits, some)

    train("labels", model, losses, minutes, 6e-5, work / "labels.checkpoint.pt", watch)
    return model


def among_themselves(logits: torch.Tensor, groups: list[pairs.Group]) -> torch.Tensor:
    """Of premises with one hypothesis for each label: the loss of telling which of the three has which label."""
    found, start = [], 0
    for group in groups:
        count, labels = len(group.hypotheses), [label for _, label in group.hypotheses]
        if sorted(labels) == [0, 1, 2]:
            chances = logits[start : start + count].log_softmax(1)
            found.append(cross_entropy(chances.T[labels], torch.arange(3, device=logits.device)))
        start += count
    return torch.stack(found).mean() if found else logits.new_zeros(())


@torch.no_grad()
def near_topics(folder: Path, texts: list[str], count: int = 2) -> list[list[str]]:
    """Of each text the topics that the body's vectors find nearer to it than to other texts."""
    encoded, (device, autocast) = AutoTokenizer.from_pretrained(folder), device_and_autocast()
    body, vectors = BertModel.from_pretrained(folder, dtype=torch.float32).eval().to(device), []
    asked = [f"query: {text}" for text in [*texts, *map(ABOUT.format, pairs.TOPICS)]]
    for start in range(0, len(asked), 128):
        cut = {"padding": True, "truncation": True, "max_length": LONGEST, "return_tensors": "pt"}
        inputs = encoded(asked[start : start + 128], **cut).to(device)
        with autocast:
            hidden, real = body(**inputs).last_hidden_state.float(), inputs["attention_mask"].unsqueeze(-1)
        vectors.append(normalize((hidden * real).sum(1) / real.sum(1), dim=-1))
    read, topics = torch.cat(vectors).split([len(texts), len(pairs.TOPICS)])
    likeness = read @ topics.T
    best = (likeness - likeness.mean(0)).topk(count).indices.tolist()
    return [[pairs.TOPICS[i] for i in each] for each in best]


def cut(large: torch.nn.Module, tokenizer, groups: list[pairs.Group]) -> torch.nn.Module:
    """A smaller model out of the large one, before it has learned to do with less."""
    encoded, large = Encoded(tokenizer), large.eval()
    looked_at = random.Random(1).sample([row for group in groups for row in group.rows], 384)
    with device_and_autocast()[1]:
        seen = activations(large, (encoded(looked_at[i : i + 32]) for i in range(0, len(looked_at), 32)))
    return shrunken(large.cpu(), [each.cpu() for each in seen], KEPT, NEURONS, PLACES)


def learn_from(
    large: torch.nn.Module, small: torch.nn.Module, tokenizer, groups, more: list, work: Path, minutes: float, watch
) -> None:
    """The small model learns to answer as the large one does, and to hold in its layers what those hold."""
    encoded, large = Encoded(tokenizer), large.eval()
    large.to(encoded.device)
    labelled = [row for group in groups for row in group.rows]
    for module in small.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.05
    asked = [(*pair, -1) for pair in more] + labelled * 3

    def losses(rng: np.random.Generator) -> Iterator[torch.Tensor]:
        while True:
            for some in encoded.batches(asked, 32, rng):
                inputs, labels = encoded(some), encoded.labels(some)
                with torch.no_grad():
                    wanted = large(**inputs, output_hidden_states=True)
                given = small(**inputs, output_hidden_states=True)
                logits, real = given.logits.float(), inputs["attention_mask"].bool()
                softened = (wanted.logits.float() / TEMPERATURE).softmax(1)
                loss = kl_div((logits / TEMPERATURE).log_softmax(1), softened, reduction="batchmean") * TEMPERATURE**2
                for number, like in enumerate(LIKE, 1):
                    target, state = wanted.hidden_states[like + 1][real].float(), given.hidden_states[number][real]
                    loss = loss + ((state.float() - target).square() / (target.var(0) + 1e-5)).mean() / len(LIKE)
                if (labels >= 0).any():
                    loss = loss + GOLD * cross_entropy(logits, labels, ignore_index=-1)
                yield loss

    train("small", small, losses, minutes, 2e-4, work / "small.checkpoint.pt", watch)


def make(data: Path, work: Path, output: Path, minutes: tuple[float, float]) -> None:
    groups, held = pairs.read_groups(data)
    others = pairs.other_texts(data)
    folder = begin(data, work, groups, others)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded, asked = Encoded(tokenizer), [row for group in held for row in group.rows]

    def watch(model) -> str:
        right = logits_of(model, encoded, asked).argmax(1) == encoded.labels(asked).cpu()
        return f"held-out pairs: {right.float().mean():.4f}"

    large = learn_labels(folder, groups, work, minutes[0], watch)
    small = cut(large, tokenizer, groups)
    texts = [text for each in others.values() for text in each] + [group.premise for group in groups]
    more = pairs.unlabelled(groups, others, data) + pairs.about(texts, near_topics(folder, texts))
    learn_from(large, small, tokenizer, groups, more, work, minutes[1], watch)
    save(small, AutoTokenizer.from_pretrained(folder), output)  # one that has not been told to cut


def save(model: torch.nn.Module, tokenizer, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        target = Path(part) / folder.name
        model.float().save_pretrained(target)
        in_eight_bits(target)
        tokenizer.save_pretrained(target)
        publish(target, folder)


def evaluate(folder: Path, data: Path) -> dict:
    """On the held-out premises of XNLI-ko, and on topics of sentences written for this project (zero-shot)."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    encoded = Encoded(AutoTokenizer.from_pretrained(folder))
    model.to(encoded.device)
    rows = [row for group in pairs.read_groups(data)[1] for row in group.rows]
    labels = np.array([label for *_, label in rows])
    chosen = logits_of(model, encoded, rows).argmax(1).numpy()
    sentences, topics, right = topics_to_find()
    asked = [(text, ABOUT.format(topic)) for text in sentences for topic in topics]
    follows = logits_of(model, encoded, asked)[:, 0].reshape(len(sentences), len(topics))
    return {
        "held_out": accuracy(chosen == labels),
        "right_of": {name: round(float((chosen[labels == i] == i).mean()), 4) for i, name in enumerate(pairs.LABELS)},
        "commonest": round(float(max((labels == i).mean() for i in range(len(pairs.LABELS)))), 4),
        "topics": topics,
        "topic_first": accuracy(follows.argmax(1).numpy() == right),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/entail-ko"), help="body, checkpoints")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--minutes", type=float, nargs=2, default=(13, 32), help="of the large model, of the small one")
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.evaluate:
        make(options.data, options.work, options.output, tuple(options.minutes))
    figures = evaluate(options.output, options.data)
    print(figures)
    write_json(options.output / "metrics.json", figures)
    write_card(options.output)


if __name__ == "__main__":
    main()
