"""What the Korean sentence embedder reads: rated pairs, pairs that follow or contradict, and words.

Sources: KorSTS (https://github.com/kakaobrain/KorNLUDatasets) and KLUE-NLI (https://github.com/KLUE-benchmark/KLUE),
both CC BY-SA 4.0.
"""

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RELATIONS = {"contradiction": 0, "neutral": 1, "entailment": 2}
ABOUT = "이 글은 {}에 관한 것이다."
TOPICS = Path(__file__).parent.parent / "tests" / "models" / "topics_ko.tsv"


@dataclass(frozen=True)
class Pairs:
    """``first[i]`` and ``second[i]`` are this alike: 0 to 5 (KorSTS), or a number of ``RELATIONS`` (inference)."""

    first: list[str]
    second: list[str]
    alike: np.ndarray

    def some(self, chosen: np.ndarray) -> "Pairs":
        places = np.flatnonzero(chosen)
        return Pairs([self.first[i] for i in places], [self.second[i] for i in places], self.alike[places])

    @property
    def texts(self) -> list[str]:
        return list(dict.fromkeys(text for pair in zip(self.first, self.second, strict=True) for text in pair))


def read_sts(path: Path) -> Pairs:
    rows = [line.rstrip("\n").split("\t") for line in path.read_text(encoding="utf-8").split("\n")[1:] if line]
    return Pairs([row[5] for row in rows], [row[6] for row in rows], np.array([float(row[4]) for row in rows]))


def without(pairs: Pairs, others: Pairs) -> Pairs:
    """The pairs of which no sentence occurs among ``others``."""
    known = set(others.texts)
    return pairs.some(
        np.array([not known & {a, b} for a, b in zip(pairs.first, pairs.second, strict=True)], dtype=bool)
    )


def hold_out(pairs: Pairs, one_in: int) -> tuple[Pairs, Pairs]:
    """The rest, and one pair in so many; no sentence stands on both sides."""
    held = pairs.some(np.array([zlib.crc32(text.encode()) % one_in == 0 for text in pairs.first]))
    return without(pairs, held), held


def read_inference(path: Path) -> Pairs:
    """KLUE-NLI: premise, hypothesis, relation."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    relations = np.array([RELATIONS[row["gold_label"]] for row in rows])
    return Pairs([row["premise"] for row in rows], [row["hypothesis"] for row in rows], relations)


def topics_to_find() -> tuple[list[str], list[str], np.ndarray]:
    """Sentences written for this project, the names of their topics, and which of these is each sentence's."""
    lines = [line.rstrip("\n").split("\t", 1) for line in TOPICS.open(encoding="utf-8") if line.strip()]
    topics = sorted({topic for topic, _ in lines})
    return [text for _, text in lines], topics, np.array([topics.index(topic) for topic, _ in lines])


def whole_words(pieces: list[str]) -> list[str]:
    """Pieces of the vocabulary that are words of two syllables and more.

    Example: ["영화", "##는", "이", "ㅋㅋ", "배우"] gives ["영화", "배우"]
    """
    return [piece for piece in pieces if re.fullmatch("[가-힣]{2,}", piece)]
