"""SST-2 as ordinary people write: the treebank's sentences are lower-cased and tokenized with spaces.

Toy example: ``it wo n't bore you , but it 's no "hit`` becomes ``it won't bore you, but it's no "hit``.
"""

import random
import re
from importlib.resources import files
from pathlib import Path

_JOIN_LEFT = re.compile(r"\s+(n't|'(?:s|re|ve|ll|d|m|t)\b|'(?=\s|$)|[,.;:!?%)\]])")
_JOIN_RIGHT = re.compile(r"([(\[$])\s+")


def untokenize(sentence: str) -> str:
    """Joins clitics, punctuation and brackets to the words they belong to."""
    text = sentence.replace(" lrb ", " (").replace(" rrb", ")").replace("``", '"').replace("''", '"')
    text = _JOIN_LEFT.sub(r"\1", text)
    text = _JOIN_RIGHT.sub(r"\1", text)
    text = re.sub(r'"\s*([^"]*?)\s*"', r'"\1"', text)
    return re.sub(r"\s+", " ", text).strip()


def variant(sentence: str, chance: random.Random) -> str:
    """The sentence as the treebank has it, or as people write it, with or without a last mark."""
    if chance.random() < 0.3:
        return sentence
    text = untokenize(sentence)
    return text if text[-1] in ".!?" else text + chance.choice(["", ".", ".", "!"])


def read_sst2(path: Path) -> list[tuple[str, int]]:
    rows = (line.rstrip("\n").rsplit("\t", 1) for line in path.open(encoding="utf-8"))
    return [(sentence, int(label)) for sentence, label in rows]


def read_labelled(path: Path) -> list[tuple[str, int]]:
    """Everyday sentences of this project: ``label<TAB>sentence``; the English ones are 0 or 1."""
    names = {"negative": 0, "positive": 1, "0": 0, "1": 1}
    rows = (line.rstrip("\n").split("\t", 1) for line in path.open(encoding="utf-8") if line.strip())
    return [(sentence, names[label]) for label, sentence in rows]


def read_lexicon() -> list[tuple[str, int]]:
    """Words that people find clearly negative (0) or positive (1), from the lexicon in the package vaderSentiment.

    Ten people rated each from -4 to 4; those with a mean of at least 1 either way are taken. Hutto & Gilbert 2014.
    """
    text = files("vaderSentiment").joinpath("vader_lexicon.txt").read_text("utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return [(row[0], int(float(row[1]) > 0)) for row in rows if row[0].isalpha() and abs(float(row[1])) >= 1]


def in_phrase(word: str, chance: random.Random) -> str:
    """The word, alone or in a few others: fine wherever a noun, a verb or an adjective would do."""
    return chance.choice(["{}", "{}", "{}.", "It's {}", "so {}!", "a {} film", "{}, really", "What {}!"]).format(word)
