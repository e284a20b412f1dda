"""Sentences with their names marked, texts without, and what a morphological analyser says of both.

Toy example of the notation, one tag a character: "김 씨" with ["B-PS", "O", "O"] holds one person, text[0:1].

Source of the marked sentences: https://github.com/KLUE-benchmark/KLUE (klue-ner, CC BY-SA 4.0).
"""

import csv
import json
import random
import re
import unicodedata
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes._korean_corpus import read_reviews

TYPES = ("PS", "LC", "OG", "DT", "TI", "QT")
TAGS = ("O", *(f"{place}-{kind}" for kind in TYPES for place in "BI"))
TAG = {tag: number for number, tag in enumerate(TAGS)}
UNKNOWN = -100
# The dictionary's parts of speech, coarser, but with persons and places apart from other proper nouns.
SPEECH = tuple("_ NNG NNP NNP-PS NNP-LC NNB NNBC NR NP V VX M IC J E XPN XSN XS SN SL S VCP".split())
SPEECHES = 2 * len(SPEECH)
# Reviews that are likely to hold a name or a number.
PROMISING = re.compile(
    r"\d|감독|배우|씨|주연|출연|형님|누나|오빠|한국|일본|미국|중국|[가-힣]{3}의 |[가-힣]{2,3}[와과이랑] [가-힣]{3}"
)


@dataclass(frozen=True)
class Marked:
    """A text; ``tags``, one of TAGS a character (None where nobody marked it); ``speech``, see ``speech_of``."""

    text: str
    tags: tuple[str, ...] | None
    speech: np.ndarray
    source: str = ""


def read_klue(path: Path) -> list[tuple[str, str, tuple[str, ...]]]:
    """(source, text, tags) of every sentence; the source is "wikitree" (news) or "nsmc" (film reviews)."""
    sentences = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.split("\n") if line]
        heads = [line for line in lines if line.startswith("## klue-ner")]
        if heads:
            rows = [line.rsplit("\t", 1) for line in lines if not line.startswith("## ")]
            source = heads[0].split("\t")[0].rsplit("-", 1)[1]
            sentences.append((source, "".join(char for char, _ in rows), tuple(tag for _, tag in rows)))
    return sentences


def part_of(text: str) -> str:
    """One eighth of the sentences is the test, one eighth the development part, from a checksum of the text."""
    return {0: "test", 1: "dev"}.get(zlib.crc32(text.encode()) % 8, "train")


def spans(tags: Iterable[str]) -> list[tuple[int, int, str]]:
    """(start, end, type) of every entity.

    Example: ["B-LC", "I-LC", "O"] gives [(0, 2, "LC")]
    """
    found: list[tuple[int, int, str]] = []
    for i, tag in enumerate(tags):
        if tag[0] == "B":
            found.append((i, i + 1, tag[2:]))
        elif tag[0] == "I" and found:
            start, _, kind = found[-1]
            found[-1] = (start, i + 1, kind)
    return found


def bare(text: str) -> str:
    """What is compared to tell whether two texts are the same: letters and digits alone."""
    return re.sub(r"\W", "", unicodedata.normalize("NFKC", text))


def unmarked_texts(data: Path, held_out: Iterable[str], reviews: int) -> list[str]:
    """Film reviews, three of four likely to hold a name, and sentence pairs from news, encyclopedias and captions.

    None of them is a held-out sentence.
    """
    pairs = [text for pair in json.loads((data / "klue_nli.json").read_text("utf-8")) for text in _two(pair)]
    for name, columns in (("xnli_ko_dev.tsv", (0, 1)), ("korsts_train.tsv", (5, 6)), ("korsts_dev.tsv", (5, 6))):
        with (data / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
        pairs += [row[column] for row in rows for column in columns if len(row) > column]
    films = [text for part in read_reviews(data / "nsmc_reviews.tsv.gz").values() for text in part.texts]
    random.Random(0).shuffle(films)
    films = [text for text in films if len(text) <= 120]
    promising = [text for text in films if len(text) >= 18 and PROMISING.search(text)]
    known, chosen = {bare(text) for text in held_out}, []
    for text in [*pairs, *promising[: reviews * 3 // 4], *films[: reviews // 4]]:
        text, key = " ".join(unicodedata.normalize("NFKC", text).split()), bare(text)
        if key and key not in known:
            known.add(key)
            chosen.append(text)
    return chosen


def _two(pair: dict) -> tuple[str, str]:
    return pair["premise"], pair["hypothesis"]


class Analyser:
    """mecab-ko with its dictionary (https://pypi.org/project/python-mecab-ko-dic, Apache-2.0)."""

    def __init__(self):
        from mecab import MeCab

        self.mecab = MeCab()

    def words(self, text: str) -> list[tuple[int, int, str]]:
        """(start, end, one of SPEECH) of every morpheme of a text."""
        return [
            (each.span.start, each.span.end, coarse(each.feature.pos, each.feature.semantic))
            for each in self.mecab.parse(text)
        ]


def coarse(pos: str, semantic: str | None) -> str:
    """A part of speech of the dictionary as one of SPEECH.

    Example: coarse("NNP", "인명") gives "NNP-PS", coarse("VV+EP", None) gives "V"
    """
    pos = pos.split("+")[0]
    if pos == "NNP":
        return {"인명": "NNP-PS", "지명": "NNP-LC"}.get(semantic or "", "NNP")
    if pos in SPEECH:
        return pos
    families = {"J": "J", "E": "E", "M": "M", "V": "V", "X": "V" if pos == "XR" else "XS"}
    if pos in ("SL", "SH"):
        return "SL"
    return families.get(pos[0], "S" if pos[0] == "S" else "NNG")


def speech_of(text: str, words: list[tuple[int, int, str]]) -> np.ndarray:
    """Of every character the number of its part of speech, times two, and one more where the morpheme begins."""
    numbers = np.zeros(len(text), dtype=np.int64)
    for start, end, kind in words:
        numbers[start:end] = 2 * SPEECH.index(kind)
        numbers[start] += 1
    return numbers


def ends_closed(word: str) -> bool | None:
    """Whether the last syllable ends in a consonant, on which the particle after it depends; None without Hangul.

    Example: ends_closed("서울") is True, ends_closed("부산시") is False
    """
    return (ord(word[-1]) - 0xAC00) % 28 > 0 if "가" <= word[-1] <= "힣" else None


class Swapper:
    """Puts other names of the same type where names stand, with the same kind of last syllable.

    The names are those of the training sentences and, for persons and places, those that the analyser
    found at least twice in the unmarked texts.
    """

    def __init__(self, marked: list[Marked], words: Iterable[tuple[str, list[tuple[int, int, str]]]]):
        self.names: dict[tuple, list[str]] = defaultdict(list)
        self.dictionary: dict[tuple, list[str]] = defaultdict(list)
        for each in marked:
            for start, end, kind in spans(each.tags):
                name = each.text[start:end]
                self.names[kind, ends_closed(name)].append(name)
        counted = Counter(
            (text[start:end], kind[-2:])
            for text, found in words
            for start, end, kind in found
            if (kind == "NNP-PS" and end - start >= 3) or (kind == "NNP-LC" and end - start >= 2)
        )
        for (name, kind), number in counted.items():
            if number >= 2:
                self.dictionary[kind, ends_closed(name)].append(name)

    def __call__(self, each: Marked, share: float, rng: random.Random) -> tuple[str, np.ndarray, np.ndarray]:
        """A text in which about ``share`` of the names are others, its tags as numbers, and its ``speech``."""
        text, tags, speech, at = [], [], [], 0
        old, old_speech = [TAG[tag] for tag in each.tags], each.speech.tolist()
        for start, end, kind in spans(each.tags):
            name, heard = each.text[start:end], old_speech[start:end]
            if rng.random() < share:
                key = kind, ends_closed(name)
                known = self.dictionary.get(key) if end - start > 1 and rng.random() < 0.5 else None
                name = rng.choice(known or self.names[key])
                heard = [UNKNOWN] * len(name)
            text += [each.text[at:start], name]
            tags += old[at:start] + [TAG[f"B-{kind}"]] + [TAG[f"I-{kind}"]] * (len(name) - 1)
            speech += old_speech[at:start] + heard
            at = end
        text.append(each.text[at:])
        return "".join(text), np.array(tags + old[at:]), np.array(speech + old_speech[at:])
