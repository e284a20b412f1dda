"""Naver movie reviews: read, de-duplicated, split by film, and turned into tokens.

Toy example: the row ``10001<TAB>10<TAB>정말 좋다`` becomes ``Review("정말 좋다", rating=10)`` in one of three parts.
A film stands in one part only, and no text of the development or test part occurs in the training part.

Source of the data: https://github.com/e9t/nsmc (raw reviews, CC0 1.0).
"""

import gzip
import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

import numpy as np

NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2
TEST_PERCENT, DEV_PERCENT = 4, 2
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, MASK = range(5)
OTHER, WORD, CONTINUES = range(3)


@dataclass(frozen=True)
class Part:
    """One part of the corpus: ``texts[i]`` was rated ``ratings[i]`` (1-10)."""

    texts: list[str]
    ratings: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """0 negative (1-4), 1 neutral (5-8), 2 positive (9-10): the corpus's own convention."""
        return classes(self.ratings)


def classes(ratings: np.ndarray) -> np.ndarray:
    return np.where(ratings <= 4, NEGATIVE, np.where(ratings >= 9, POSITIVE, NEUTRAL))


def clean(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def part_of_film(movie_id: str) -> str:
    """The film's part, from a checksum of its id: the same on every machine, whatever the order of the rows."""
    bucket = zlib.crc32(movie_id.encode()) % 100
    if bucket < TEST_PERCENT:
        return "test"
    return "dev" if bucket < TEST_PERCENT + DEV_PERCENT else "train"


def read_reviews(path: Path) -> dict[str, Part]:
    """The three parts of ``nsmc_reviews.tsv.gz``, one row for each different text, with its median rating."""
    ratings: dict[str, dict[str, list[int]]] = {
        "train": defaultdict(list),
        "dev": defaultdict(list),
        "test": defaultdict(list),
    }
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as rows:
        next(rows)
        for row in rows:
            movie_id, rating, review = row.rstrip("\r\n").split("\t", 2)
            text = clean(review)
            if text:
                ratings[part_of_film(movie_id)][text].append(int(rating))
    for text in ratings["test"]:
        ratings["dev"].pop(text, None)
    for text in [*ratings["test"], *ratings["dev"]]:
        ratings["train"].pop(text, None)
    return {
        name: Part(list(rows), np.array([median_low(r) for r in rows.values()], dtype=np.int64))
        for name, rows in ratings.items()
    }


def train_vocabulary(texts: Iterable[str], size: int):
    """A WordPiece tokenizer for NFC Hangul whose offsets point into the text as it was given.

    The syllables that begin and continue words take about 4,000 entries; the rest are longer pieces.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.BertNormalizer(strip_accents=False, lowercase=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=20,
        limit_alphabet=2100,
        special_tokens=SPECIAL_TOKENS,
        continuing_subword_prefix="##",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return tokenizer


def piece_kinds(pieces: list[str]) -> np.ndarray:
    """``WORD`` for a piece that begins a word, ``CONTINUES`` for one with ##, else ``OTHER``: marks, ㅋㅋ, [MASK].

    Example: ["[MASK]", "영화", "##다", "ㅋㅋ", "!"] gives [OTHER, WORD, CONTINUES, OTHER, OTHER]
    """

    def kind(piece: str) -> int:
        if piece.startswith("##"):
            return CONTINUES
        return WORD if piece not in SPECIAL_TOKENS and re.search("[가-힣a-z0-9]", piece) else OTHER

    return np.array([kind(piece) for piece in pieces])


def encode(tokenizer, texts: list[str], max_length: int) -> list[np.ndarray]:
    """Token ids of every text, without [CLS] and [SEP], cut so that both still fit."""
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [np.array(e.ids[: max_length - 2], dtype=np.int32) for e in encodings]
