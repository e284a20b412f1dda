"""Trains pocket/entities-ko, which finds Korean names of people, places and so on, from KLUE-NER.

    python -m recipes.entities_ko --data DIR              every stage that is not done yet, then the card
    python -m recipes.entities_ko --data DIR --evaluate   only measure: reproduces every figure of the card

DIR holds ``klue_ner.tsv``, ``klue_nli.json``, ``xnli_ko_dev.tsv``, ``korsts_train.tsv``, ``korsts_dev.tsv`` and
``nsmc_reviews.tsv.gz``. An interrupted run goes on where it stopped (checkpoints lie in ``--work``).
"""

import argparse
import copy
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import torch

from recipes import _entity_body as body
from recipes._cards import write_card
from recipes._entity_text import (
    TAGS,
    TYPES,
    Analyser,
    Marked,
    Swapper,
    part_of,
    read_klue,
    spans,
    speech_of,
    unmarked_texts,
)
from recipes._entity_tokenizer import Pieces, vocabulary
from recipes._korean_corpus import CLS, PAD, SEP
from recipes._training import publish, write_json

STEMS = 4_000
REVIEWS = 48_000
POCKET = Path(__file__).parent.parent / "assets" / "pocket"
Span = tuple[int, int, str]


def prepare(data: Path, work: Path) -> dict:
    """What the trainings read, from ``work`` if it lies there: marked sentences by part, silver texts, the pieces."""
    path = work / "texts.pickle"
    if path.exists():
        return pickle.loads(path.read_bytes())
    analyser = Analyser()
    parts: dict[str, list[Marked]] = {"train": [], "dev": [], "test": []}
    for source, text, tags in read_klue(data / "klue_ner.tsv"):
        parts[part_of(text)].append(Marked(text, tags, speech_of(text, analyser.words(text)), source))
    held_out = [each.text for part in ("dev", "test") for each in parts[part]]
    analysed = [(text, analyser.words(text)) for text in unmarked_texts(data, held_out, REVIEWS)]
    counted = [(text, words, 1) for text, words in analysed]
    counted += [(each.text, analyser.words(each.text), 3) for each in parts["train"]]
    found = {
        "parts": parts,
        "analysed": analysed,
        "silver": [Marked(text, None, speech_of(text, words)) for text, words in analysed],
        "vocabulary": vocabulary(counted, STEMS),
    }
    path.write_bytes(pickle.dumps(found))
    return found


@torch.no_grad()
def guess(model: body.Tagger, pieces: Pieces, texts: list[str]) -> list[list[Span]]:
    """The entities of every text, settled and joined as the page does it."""
    encodings = pieces.whole.encode_batch(texts, add_special_tokens=False)
    order, found = np.argsort([len(each.ids) for each in encodings]), [[] for _ in texts]
    device = next(model.parameters()).device
    for start in range(0, len(order), 64):
        some = order[start : start + 64]
        ids = body.pad([np.array(encodings[i].ids) for i in some], PAD, (CLS, SEP)).to(device)
        for i, row in zip(some, model.tags(model.hidden(ids)).argmax(-1).tolist(), strict=True):
            offsets = encodings[i].offsets
            found[i] = joined(settled([TAGS[tag] for tag in row[1:]], offsets, texts[i]), offsets)
    return found


def settled(tags: list[str], offsets: list[tuple[int, int]], text: str) -> list[str]:
    """Inside a word, a tag I- goes on with what stands before it.

    Example: ["B-PS", "I-OG"] in one word become ["B-PS", "I-PS"], ["O", "I-PS"] become ["O", "O"]
    """
    tags = tags[: len(offsets)]
    for i in range(1, len(tags)):
        start = offsets[i][0]
        inside = offsets[i - 1][1] == start and text[start - 1 : start + 1].isalnum()
        if inside and tags[i][0] == "I":
            tags[i] = "O" if tags[i - 1] == "O" else f"I-{tags[i - 1][2:]}"
    return tags


def joined(tags: list[str], offsets: list[tuple[int, int]]) -> list[Span]:
    """Entities from the tags of pieces, as transformers' "simple" aggregation joins them.

    Example: ["B-PS", "I-PS", "O"] at [(0, 1), (1, 3), (3, 4)] gives [(0, 3, "PS")]
    """
    found: list[Span] = []
    last = "O"
    for tag, (start, end) in zip(tags, offsets, strict=False):
        if tag[0] == "I" and last != "O" and found[-1][2] == tag[2:]:
            found[-1] = (found[-1][0], end, tag[2:])
        elif tag != "O":
            found.append((start, end, tag[2:]))
        last = tag
    return found


def f1(golds: list[list[Span]], guesses: list[list[Span]], kind: str | None = None) -> dict[str, float]:
    """F1, precision and recall of whole entities: start, end and type all right."""
    wanted, found = (
        {(i, *span) for i, row in enumerate(rows) for span in row if kind in (None, span[2])}
        for rows in (golds, guesses)
    )
    hits, golden, guessed = len(wanted & found), len(wanted), len(found)
    return {
        "f1": round(2 * hits / max(1, golden + guessed), 4),
        "precision": round(hits / max(1, guessed), 4),
        "recall": round(hits / max(1, golden), 4),
        "n": golden,
    }


def watcher(pieces: Pieces, dev: list[Marked]):
    """A function of the model that tells its F1 on the development sentences."""
    golds = [spans(each.tags) for each in dev]

    def watch(model: body.Tagger) -> str:
        training = model.training
        model.eval()
        measured = f1(golds, guess(model, pieces, [each.text for each in dev]))
        model.train(training)
        return f"development sentences: F1 {measured['f1']:.4f}"

    return watch


def evaluate(folder: Path, data: Path) -> dict:
    """The figures of a model folder on the test sentences, in float32."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    test = [each for each in read_klue(data / "klue_ner.tsv") if part_of(each[1]) == "test"]
    golds, guesses, plain = [spans(tags) for _, _, tags in test], [], []
    for _, text, _ in test:
        encoding = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
        offsets = [tuple(pair) for pair in encoding.pop("offset_mapping")[0, 1:-1].tolist()]
        with torch.no_grad():
            best = model(**encoding).logits[0, 1:-1].argmax(-1).tolist()
        tags = [model.config.id2label[number] for number in best]
        plain.append(joined(tags, offsets))
        guesses.append(joined(settled(tags, offsets, text), offsets))
    measured = {"sentences": len(test), "entities": f1(golds, guesses), "not_settled": f1(golds, plain)}
    for name, source in (("news", "wikitree"), ("reviews", "nsmc")):
        here = [i for i, each in enumerate(test) if each[0] == source]
        measured[name] = f1([golds[i] for i in here], [guesses[i] for i in here])
    return measured | {"types": {kind: f1(golds, guesses, kind) for kind in TYPES}}


def save(model: body.Tagger, pieces: Pieces, folder: Path) -> None:
    """A float16 model folder that ``from_pretrained`` reads; its files are put in place by renaming."""
    from transformers import PreTrainedTokenizerFast

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        target = Path(part) / folder.name
        tagger = copy.deepcopy(model.tagger).cpu().half()
        tagger.config.dtype = torch.float16
        tagger.save_pretrained(target)
        PreTrainedTokenizerFast(
            tokenizer_object=pieces.whole,
            model_max_length=body.LENGTH,
            model_input_names=["input_ids", "attention_mask"],
            unk_token="[UNK]",
            pad_token="[PAD]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            mask_token="[MASK]",
        ).save_pretrained(target)
        publish(target, folder)


def train(data: Path, work: Path, pretrain_minutes: float, finetune_minutes: list[float]) -> tuple[body.Tagger, Pieces]:
    """Every stage; the mean of the finetunings' weights is the model (https://arxiv.org/abs/2203.05482).

    The finetunings read the development sentences too: how long and with what was decided before, without them.
    """
    work.mkdir(parents=True, exist_ok=True)
    found = prepare(data, work)
    pieces, parts = Pieces(found["vocabulary"]), found["parts"]
    watch = watcher(pieces, parts["dev"])
    model = body.pretrain(pieces, found["silver"], parts["train"], work, pretrain_minutes, watch)
    gold = parts["train"] + parts["dev"]
    swap, ends = Swapper(gold, found["analysed"]), []
    for seed, minutes in enumerate(finetune_minutes, 1):
        path = work / f"finetuned-{seed}.pt"
        if not path.exists():
            tuned = body.finetune(model, pieces, gold, swap, minutes, seed, watch)
            torch.save(tuned.cpu().state_dict(), path)
        ends.append(torch.load(path))
    model.load_state_dict({name: sum(end[name] for end in ends) / len(ends) for name in ends[0]})
    return model.eval(), pieces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/entities-ko"), help="checkpoints")
    parser.add_argument("--output", type=Path, default=POCKET, help="where the model folder goes")
    parser.add_argument("--pretrain-minutes", type=float, default=10)
    parser.add_argument("--finetune-minutes", type=float, nargs="+", default=[6, 6], help="one number a finetuning")
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.output / "entities-ko"
    if not options.evaluate:
        save(*train(options.data, options.work, options.pretrain_minutes, options.finetune_minutes), folder)
    measured = evaluate(folder, options.data)
    print(folder.name, measured)
    write_json(folder / "metrics.json", measured)
    write_card(folder)


if __name__ == "__main__":
    main()
