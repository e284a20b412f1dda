"""Questions that have lost their answer: one thing is changed in a question that a text answers.

SQuAD 2.0's own questions without an answer were written so (Rajpurkar et al. 2018, https://arxiv.org/abs/1806.03822,
has a table of the kinds): another name, another number, an opposite, a negation. Opposites come from WordNet
(Princeton; Debian's package wordnet-base).
"""

import random
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

_NAME = re.compile(r"(?<![.?!] )(?<!^)\b[A-Z][\w'-]*(?: (?:of |the |de )?[A-Z][\w'-]*)*")
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_WORD = re.compile(r"\b[a-z]{4,}\b")
_NEGATED = {"is": "isn't", "are": "aren't", "was": "wasn't", "were": "weren't", "did": "didn't", "does": "doesn't"}
_NEGATED |= {"do": "don't", "has": "hasn't", "have": "haven't", "can": "can't", "could": "couldn't", "will": "won't"}
_ASKING = set("what which when where whom whose many much long often name type kind year term called used made".split())
_ENDINGS = ("tion", "ing", "ed", "ly", "ist", "s", "")


def opposites(folder: Path) -> dict[str, list[str]]:
    """Word -> its opposites, of WordNet's four files, in one direction and the other."""
    words, pairs = {}, []
    for kind in ("adj", "adv", "verb", "noun"):
        for line in (folder / f"data.{kind}").read_text(encoding="utf-8").splitlines():
            if line.startswith(" "):
                continue
            fields = line.split(" | ")[0].split()
            here, count = (fields[2].replace("s", "a"), fields[0]), int(fields[3], 16)
            words[here] = [re.sub(r"\(.*", "", word).lower() for word in fields[4 : 4 + 2 * count : 2]]
            pointers = fields[5 + 2 * count :]
            for i in range(0, 4 * int(fields[4 + 2 * count]), 4):
                sign, there, part, places = pointers[i : i + 4]
                if sign == "!":
                    pairs.append((here, int(places[:2], 16), (part.replace("s", "a"), there), int(places[2:], 16)))
    found = defaultdict(list)
    for here, i, there, j in pairs:
        if i and j and there in words:
            found[words[here][i - 1]].append(words[there][j - 1])
    return {word: each for word, each in found.items() if "_" not in word}


class Twists:
    """Makes questions without an answer of questions with one.

    Args:
        questions: All that may be learned from; names, numbers and words are taken from their articles' texts.
        antonyms: As `opposites` returns them.
    """

    def __init__(self, questions: list[Any], antonyms: dict[str, list[str]]):
        self.antonyms, self.texts = antonyms, defaultdict(dict)
        for each in questions:
            self.texts[each.title][each.context] = None
        self.found = {}
        for title, contexts in self.texts.items():
            text = " ".join(contexts)
            words = defaultdict(list)
            for word in sorted(set(_WORD.findall(text))):
                words[self._ending(word)].append(word)
            names = sorted({name for name in _NAME.findall(text) if len(name) > 3})
            self.found[title] = names, sorted(set(_NUMBER.findall(text))), words

    def twisted(self, question: Any, chance: random.Random) -> Any | None:
        """The question with one thing changed, or None when nothing can be; its answer now only seems to be one."""
        ways = [self._name, self._name, self._number, self._opposite, self._opposite, self._word, self._word, self._not]
        chance.shuffle(ways)
        for way in ways:
            text = way(question, chance)
            if text and text != question.text:
                return replace(question, text=text, answerable=False)
        return None

    @staticmethod
    def _ending(word: str) -> str:
        return next(each for each in _ENDINGS if word.endswith(each))

    def _name(self, question: Any, chance: random.Random) -> str | None:
        inside = [each for each in _NAME.finditer(question.text) if each[0] in question.context]
        if not inside:
            return None
        old = chance.choice(inside)
        answers = [question.context[a:b] for a, b in question.answers]
        others = [n for n in self.found[question.title][0] if n not in old[0] and old[0] not in n]
        # The hardest stand in the same text.
        near = [name for name in others if name in question.context and not any(name in each for each in answers)]
        others = near if near and chance.random() < 0.6 else others
        return self._put(question.text, old, chance.choice(others)) if others else None

    def _number(self, question: Any, chance: random.Random) -> str | None:
        inside = list(_NUMBER.finditer(question.text))
        if not inside:
            return None
        old = chance.choice(inside)
        others = [each for each in self.found[question.title][1] if len(each) == len(old[0]) and each != old[0]]
        return self._put(question.text, old, chance.choice(others)) if others else None

    def _opposite(self, question: Any, chance: random.Random) -> str | None:
        inside = [e for e in _WORD.finditer(question.text) if e[0] not in _ASKING and self._opposites(e[0])]
        if not inside:
            return None
        old = chance.choice(inside)
        return self._put(question.text, old, chance.choice(self._opposites(old[0])))

    def _opposites(self, word: str) -> list[str]:
        found = list(self.antonyms.get(word, ()))
        for ending in ("ed", "s", "d"):
            if word.endswith(ending):
                found += [each + ending for each in self.antonyms.get(word.removesuffix(ending), ())]
        return [each.replace("_", " ") for each in found]

    def _word(self, question: Any, chance: random.Random) -> str | None:
        inside = [e for e in _WORD.finditer(question.text) if e[0] in question.context and e[0] not in _ASKING]
        if not inside:
            return None
        old = chance.choice(inside)
        others = self.found[question.title][2][self._ending(old[0])]
        new = chance.choice(others)
        return None if new[:5] == old[0][:5] else self._put(question.text, old, new)

    def _not(self, question: Any, chance: random.Random) -> str | None:
        inside = [each for each in re.finditer(r"\b[a-z]+\b", question.text) if each[0] in _NEGATED]
        return self._put(question.text, inside[0], _NEGATED[inside[0][0]]) if inside else None

    @staticmethod
    def _put(text: str, old: re.Match, new: str) -> str:
        return text[: old.start()] + new + text[old.end() :]
