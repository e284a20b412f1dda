"""What the Korean entailment model reads: premises with their hypotheses, and pairs that nobody has labelled.

Sources: XNLI-ko's development part and KorSTS (https://github.com/kakaobrain/KorNLUDatasets), KLUE-NLI and KLUE-NER
(https://github.com/KLUE-benchmark/KLUE), all CC BY-SA 4.0; film reviews (https://github.com/e9t/nsmc, CC0 1.0).
"""

import csv
import json
import random
import zlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from recipes._entity_text import read_klue
from recipes._korean_corpus import read_reviews
from recipes._korean_sentences import ABOUT, read_sts

LABELS = ("entailment", "neutral", "contradiction")
TOPICS = (
    "스포츠 축구 음식 요리 여행 정치 선거 외교 경제 주식 부동산 과학 우주 건강 병원 운동 "
    "영화 드라마 배우 음악 공연 미술 날씨 교육 학교 기술 컴퓨터 휴대전화 가족 육아 결혼 역사 "
    "전쟁 군대 자동차 교통 게임 사랑 우정 범죄 재판 법 종교 환경 동물 식물 책 글쓰기 "
    "쇼핑 옷 일 회사 취업 돈 집 청소 잠 꿈 죽음 사고 재난 농사 바다 산 "
    "도시 시골 축제 명절 나이 언어 방송 광고 사진 그림 춤 아이 노인 숙소 식당 감정"
).split()
EVERYDAY = Path(__file__).parent / "everyday_ko_train.tsv"
REVIEWS = 2_000
Pair = tuple[str, str]


@dataclass(frozen=True)
class Group:
    """A premise, and its hypotheses with the numbers of their labels."""

    premise: str
    hypotheses: tuple[tuple[str, int], ...]

    @property
    def rows(self) -> list[tuple[str, str, int]]:
        return [(self.premise, hypothesis, label) for hypothesis, label in self.hypotheses]


def grouped(rows: list[tuple[str, str, str]]) -> list[Group]:
    """Groups of (premise, hypothesis, label) by their premise, in the order of their first."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for premise, hypothesis, label in rows:
        found[premise].append((hypothesis, LABELS.index(label)))
    return [Group(premise, tuple(pairs)) for premise, pairs in found.items()]


def held_out(premise: str) -> bool:
    """Whether a premise of XNLI-ko is in the test: one in five, by a checksum."""
    return zlib.crc32(f"f{premise}".encode()) % 5 == 0


def read_groups(data: Path) -> tuple[list[Group], list[Group]]:
    """What is trained on, and the held-out premises of XNLI-ko."""
    with (data / "xnli_ko_dev.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    xnli = grouped([(first, second, label) for first, second, label in rows])
    klue = json.loads((data / "klue_nli.json").read_text(encoding="utf-8"))
    more = grouped([(row["premise"], row["hypothesis"], row["gold_label"]) for row in klue])
    return [group for group in xnli if not held_out(group.premise)] + more, [g for g in xnli if held_out(g.premise)]


def other_texts(data: Path) -> dict[str, list[str]]:
    """Sentences without a label, by where they come from."""
    reviews = read_reviews(data / "nsmc_reviews.tsv.gz")["train"].texts
    reviews = [text for text in reviews if 10 < len(text) < 100]
    everyday = [line.rstrip("\n").split("\t", 1)[1] for line in EVERYDAY.open(encoding="utf-8") if "\t" in line]
    names = [text for _, text, _ in read_klue(data / "klue_ner.tsv") if len(text) < 120]
    return {"names": names, "everyday": everyday, "reviews": random.Random(0).sample(reviews, REVIEWS)}


def unlabelled(groups: list[Group], others: dict[str, list[str]], data: Path) -> list[Pair]:
    """Pairs to ask a teacher about: turned round, exchanged, with a word of another, with a part of the premise."""
    chance, found = random.Random(0), []

    def any_of(group: Group) -> str:
        return chance.choice(group.hypotheses)[0]

    for group in groups:
        premise, hypotheses = group.premise, [text for text, _ in group.hypotheses]
        found += [(hypothesis, premise) for hypothesis in hypotheses]
        found += [(a, b) for a in hypotheses for b in hypotheses if a is not b]
        stranger = chance.choice(groups)
        found.append((premise, any_of(stranger)))
        found.append((premise, part(premise, chance.uniform(0.3, 0.7), chance)))
        found.append((premise, with_a_word_of(any_of(group), any_of(stranger), chance)))
        found.append((premise, with_a_word_of(any_of(group), premise, chance)))
    for name in ("korsts_train.tsv", "korsts_dev.tsv"):
        rated = read_sts(data / name)
        found += [pair[:: chance.choice((1, -1))] for pair in zip(rated.first, rated.second, strict=True)]
    found += [(text, part(text, 0.5, chance)) for texts in others.values() for text in texts[1::4]]
    return [pair for pair in found if all(pair)]


def about(texts: list[str], near: list[list[str]]) -> list[Pair]:
    """Each text with "this text is about ..." for the topics near it and as many others."""
    chance, found = random.Random(0), []
    for text, topics in zip(texts, near, strict=True):
        asked = topics + [topic for topic in chance.sample(TOPICS, 2 * len(topics)) if topic not in topics]
        found += [(text, ABOUT.format(topic)) for topic in asked[: 2 * len(topics)]]
    return found


def part(text: str, share: float, chance: random.Random) -> str:
    """A stretch of a text's words."""
    words = text.split()
    count = max(1, round(len(words) * share))
    start = chance.randrange(len(words) - count + 1)
    return " ".join(words[start : start + count])


def with_a_word_of(text: str, other: str, chance: random.Random) -> str:
    """A text with one of its words replaced by one of another text."""
    words = text.split()
    words[chance.randrange(len(words))] = chance.choice(other.split())
    return " ".join(words)
