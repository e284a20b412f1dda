"""New texts for the teacher to judge, made of those that are there: parts, swapped words, strangers joined.

Toy example: "a dull film , but it looks wonderful" gives "a dull film", "but it looks wonderful", "it looks dreadful",
"a dull film, and the actors are awful".
"""

import random
import re
from pathlib import Path

from recipes._english_text import untokenize

_CONJUNCTIONS = ("and", "but", "or", "yet", "which", "who", "that", "because", "although", "though", "while", "if")
_CUT = re.compile(rf"\s*(?:[,;:.!?]|--|\.\.\.)\s+|\s+(?=(?:{'|'.join(_CONJUNCTIONS)})\s)")
_ENDINGS = (
    "ingly",
    "less",
    "able",
    "ible",
    "fully",
    "ing",
    "ous",
    "ful",
    "ive",
    "ish",
    "ant",
    "ent",
    "est",
    "ly",
    "ed",
    "ic",
)
_JOINTS = (", but ", ", and ", ". ", "; ", ", yet ", " because ", " although ", ", ")


def clauses(sentence: str) -> list[str]:
    """Parts of at least two words, cut at punctuation and conjunctions."""
    parts = (part.strip(" `'\"") for part in _CUT.split(sentence))
    return [part for part in parts if part and 2 <= len(part.split()) <= 16]


def bare(part: str) -> str:
    """Without the conjunction at its start."""
    first, _, rest = part.partition(" ")
    return rest if first in _CONJUNCTIONS and rest else part


def ending(word: str) -> str:
    return next((e for e in _ENDINGS if word.endswith(e) and len(word) > len(e) + 2), "")


class Swap:
    """Puts other words with the same ending in the place of opinion words: "a charming mess", "a cloying mess"."""

    def __init__(self, words: list[str], known: list[str]):
        self.opinions = set(words)
        self.by_ending: dict[str, list[str]] = {}
        for word in sorted(self.opinions | {w for w in known if ending(w)}):
            self.by_ending.setdefault(ending(word), []).append(word)

    def __call__(self, text: str, chance: random.Random) -> str:
        words = text.split()
        places = [i for i, w in enumerate(words) if w in self.opinions or (ending(w) and ending(w) in self.by_ending)]
        for place in chance.sample(places, min(len(places), chance.choice((1, 1, 2)))):
            words[place] = chance.choice(self.by_ending[ending(words[place])])
        return " ".join(words)


def invented(sentences: list[str], everyday: list[str], swap: Swap, sizes: tuple[int, int, int, int]) -> list[str]:
    """New texts, none twice: parts of sentences, whole sentences with swapped words, strangers joined, everyday ones.

    Args:
        sizes: how many of each kind.
    """
    chance, made = random.Random(0), []
    parts = {sentence: clauses(sentence) for sentence in sentences}
    every = sorted({part for some in parts.values() for part in some})
    wanted, seen = sizes, set(sentences) | set(everyday)

    def part() -> str:
        text = chance.choice(every)
        words = text.split()
        if len(words) > 4 and chance.random() < 0.3:
            start = chance.randrange(len(words) - 2)
            text = " ".join(words[start : start + chance.randint(2, 8)])
        return swap(text, chance) if chance.random() < 0.5 else text

    def whole() -> str:
        return swap(chance.choice(sentences), chance)

    def joined() -> str:
        return bare(part()) + chance.choice(_JOINTS) + bare(part())

    def common() -> str:
        text, other = chance.sample(everyday, 2)
        kind = chance.random()
        if kind < 0.4:
            return swap(text[:-1], chance) + text[-1]
        if kind < 0.7:
            return text.rstrip(".!") + chance.choice(_JOINTS) + other[:1].lower() + other[1:]
        return chance.choice(clauses(text) or [text])

    for make, count in zip((part, whole, joined, common), wanted, strict=True):
        target = len(made) + count
        while len(made) < target:
            text = untokenize(make())
            if text not in seen:
                seen.add(text)
                made.append(text)
    return made


def tweets(path: Path, opinions: set[str], count: int) -> list[str]:
    """Tweets of WNUT-17's training part with at least one opinion word, without addresses."""
    blocks = (block.splitlines() for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")))
    texts = (" ".join(line.split("\t")[0] for line in block if "\t" in line) for block in blocks)
    fit = sorted({untokenize(t) for t in texts if opinions & set(t.lower().split()) and "http" not in t})
    return random.Random(0).sample([t for t in fit if len(t.split()) <= 18], count)


def told(stories: str, opinions: set[str], count: int) -> list[str]:
    """Short sentences of children's classics with at least one opinion word."""
    found = re.findall(r"(?<=[.!?] )[A-Z][^.!?\n\"“”]{12,80}[.!?]", " ".join(stories.split()))
    fit = sorted({t for t in found if opinions & set(re.findall(r"[a-z]+", t.lower()))})
    return random.Random(0).sample(fit, count)
