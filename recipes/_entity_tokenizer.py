"""A vocabulary in which no piece joins a name and its particle: characters, and stems that begin words.

Toy example: "서울에서" becomes "서울", "##에", "##서", and a name that is no stem "김", "##경", "##도". Every digit is
the same piece, so that 1545 and 1987 look alike. Offsets point into the text as it was given.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from recipes._korean_corpus import CLS, SEP, SPECIAL_TOKENS

Words = list[tuple[int, int, str]]


def tokenizer_of(pieces: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(
        models.WordPiece(vocab=pieces, unk_token="[UNK]", max_input_chars_per_word=200, continuing_subword_prefix="##")
    )
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.BertNormalizer(strip_accents=False, lowercase=True),
            normalizers.Replace(Regex("[0-9]"), "0"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return tokenizer


def vocabulary(texts: Iterable[tuple[str, Words, int]], stems: int, rarest: int = 8) -> list[str]:
    """Special tokens, every character seen ``rarest`` times (at the start and inside of words apart), and stems.

    A stem is a Hangul morpheme of two syllables or more that begins a word, one of the ``stems`` most frequent.

    Args:
        texts: text, its morphemes, and how often it counts.
    """
    plain = tokenizer_of({"[UNK]": 0})
    first, inside, beginning = Counter(), Counter(), Counter()
    for text, words, weight in texts:
        for word, _ in plain.pre_tokenizer.pre_tokenize_str(plain.normalizer.normalize_str(text)):
            first[word[0]] += weight
            for char in word[1:]:
                inside[char] += weight
        for start, end, _ in words:
            stem = text[start:end]
            begins = start == 0 or not text[start - 1].isalnum()
            if begins and len(stem) > 1 and all("가" <= char <= "힣" for char in stem):
                beginning[stem] += weight
    characters = [char for char, n in first.most_common() if n >= rarest]
    characters += [f"##{char}" for char, n in inside.most_common() if n >= rarest]
    return list(dict.fromkeys([*SPECIAL_TOKENS, *characters, *(stem for stem, _ in beginning.most_common(stems))]))


class Pieces:
    """The tokenizer, and its twin that knows no stems: some words are read in characters to learn rare names."""

    def __init__(self, vocabulary: list[str]):
        numbers = {piece: number for number, piece in enumerate(vocabulary)}
        single = {p: n for p, n in numbers.items() if p in SPECIAL_TOKENS or len(p.removeprefix("##")) == 1}
        self.vocabulary, self.whole = vocabulary, tokenizer_of(numbers)
        self.spelt = tokenizer_of(numbers)
        self.spelt.model = models.WordPiece(
            vocab=single, unk_token="[UNK]", max_input_chars_per_word=200, continuing_subword_prefix="##"
        )

    def encode(self, texts: list[str], share: float, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        """(ids, the character where each piece starts) of every text; about ``share`` of the words are spelt."""
        result = []
        for whole, spelt in zip(
            self.whole.encode_batch(texts, add_special_tokens=False),
            self.spelt.encode_batch(texts, add_special_tokens=False),
            strict=True,
        ):
            chosen = rng.random(1 + max(whole.word_ids, default=-1)) < share
            pieces = [
                (*offsets, number)
                for encoding, wanted in ((whole, False), (spelt, True))
                for offsets, number, word in zip(encoding.offsets, encoding.ids, encoding.word_ids, strict=True)
                if chosen[word] == wanted
            ]
            pieces.sort(key=lambda piece: piece[:2])
            result.append((np.array([p[2] for p in pieces], np.int64), np.array([p[0] for p in pieces], np.int64)))
        return result
