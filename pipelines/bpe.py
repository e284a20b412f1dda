"""Byte-pair encoding learned from the visitor's own text, one merge at a time.

It starts from characters (Sennrich et al., 2016, https://arxiv.org/abs/1508.07909) and keeps every step, so that the
page can replay them. White space cuts the text into words first; ``▁`` marks where a word begins, and no merge
crosses it. Karpathy's minbpe explains the same loop on bytes.

    >>> learn_bpe("low lower lowest", 3)["merges"]
    [['l', 'o', 3], ['lo', 'w', 3], ['▁', 'low', 3]]
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict

from pipelines import inputs
from settings import SETTINGS

MARK = "▁"
MOST_MERGES = 1_000
SHOWN_CHARS = 400
END = -1


def learn_bpe(text: object, merges: object = 50) -> dict[str, list]:
    """Learn up to `merges` merges; it ends early when no pair of neighbours occurs twice.

    Args:
        text: What to learn from, up to SETTINGS.max_chars characters.
        merges: How many merges, 1 to 1,000.

    Returns:
        ``merges``: [left, right, count] in the order learned; count is how often the pair stood in the text just
        before it was merged. ``steps``: one more entry than merges, from single characters on, each with ``tokens``
        (the first 400 characters of the text, as tokens), ``n_tokens`` (in the whole text) and ``vocabulary``
        (entries so far). Equal counts are settled by the pair that sorts first.

    Raises:
        VisitorError: empty_text, text_too_long, bad_number.
    """
    clean = inputs.text(text, limit=SETTINGS.max_chars)
    most = int(inputs.number(merges, "merges", 1, MOST_MERGES, whole=True))
    corpus = _Corpus(Counter(MARK + word for word in clean.split()))
    shown = [list(MARK + word) for word in _beginning(clean)]
    steps = [_step(shown, corpus)]
    learned: list[list] = []
    while len(learned) < most and (best := corpus.best()) is not None:
        left, right, count = best
        corpus.merge(left, right)
        shown = [_merged(word, left, right) for word in shown]
        learned.append([left, right, count])
        steps.append(_step(shown, corpus))
    return {"merges": learned, "steps": steps}


class _Corpus:
    """The distinct words as linked lists of symbols, with how often each pair of neighbours occurs and where.

    A merge then costs what the pair's own occurrences cost, not another pass over the text.
    """

    def __init__(self, words: Counter[str]) -> None:
        self.symbols: list[str] = []
        self.before: list[int] = []
        self.after: list[int] = []
        self.weight: list[int] = []
        self.counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.places: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for word, count in words.items():
            start, end = len(self.symbols), len(self.symbols) + len(word)
            self.symbols += word
            self.weight += [count] * len(word)
            self.before += [END, *range(start, end - 1)]
            self.after += [*range(start + 1, end), END]
            for place in range(start, end - 1):
                pair = (self.symbols[place], self.symbols[place + 1])
                self.counts[pair] += count
                self.places[pair].append(place)
        self.n_tokens = sum(self.weight)
        self.vocabulary = set(self.symbols)
        self.heap = [(-count, *pair) for pair, count in self.counts.items()]
        heapq.heapify(self.heap)

    def best(self) -> tuple[str, str, int] | None:
        """Return the pair that occurs most, and how often; None when nothing occurs twice."""
        while self.heap:
            negative, left, right = self.heap[0]
            count = self.counts.get((left, right), 0)
            if count == -negative:
                return (left, right, count) if count > 1 else None
            # The count fell since this entry was pushed; its true place is further down.
            heapq.heappop(self.heap)
            if count:
                heapq.heappush(self.heap, (-count, left, right))
        return None

    def merge(self, left: str, right: str) -> None:
        """Replace every occurrence of the pair, from left to right, by one symbol."""
        new = left + right
        grown: set[tuple[str, str]] = set()
        # A place may be listed twice, or out of order after earlier merges; in "aaa" only the first pair is merged.
        for place in sorted(set(self.places.pop((left, right)))):
            other = self.after[place]
            if self.symbols[place] != left or other == END or self.symbols[other] != right:
                continue
            weight, previous, following = self.weight[place], self.before[place], self.after[other]
            self.symbols[place], self.symbols[other] = new, ""
            self.after[place] = following
            self.counts[left, right] -= weight
            self.n_tokens -= weight
            if previous != END:
                self.counts[self.symbols[previous], left] -= weight
                grown.add(self._found(self.symbols[previous], new, previous, weight))
            if following != END:
                self.before[following] = place
                self.counts[right, self.symbols[following]] -= weight
                grown.add(self._found(new, self.symbols[following], place, weight))
        del self.counts[left, right]
        self.vocabulary.add(new)
        for pair in grown:
            if self.counts[pair] > 0:
                heapq.heappush(self.heap, (-self.counts[pair], *pair))

    def _found(self, left: str, right: str, place: int, weight: int) -> tuple[str, str]:
        self.counts[left, right] += weight
        self.places[left, right].append(place)
        return left, right


def _step(shown: list[list[str]], corpus: _Corpus) -> dict[str, object]:
    return {
        "tokens": [symbol for word in shown for symbol in word],
        "n_tokens": corpus.n_tokens,
        "vocabulary": len(corpus.vocabulary),
    }


def _beginning(text: str) -> list[str]:
    """The words of the first 400 characters; the last is left out when the cut goes through it."""
    words = text[:SHOWN_CHARS].split() or text.split()[0][:SHOWN_CHARS].split()
    cut = len(text) > SHOWN_CHARS and not text[SHOWN_CHARS].isspace() and not text[SHOWN_CHARS - 1].isspace()
    return words[:-1] if cut and len(words) > 1 else words


def _merged(word: list[str], left: str, right: str) -> list[str]:
    out: list[str] = []
    place = 0
    while place < len(word):
        pair = word[place] == left and place + 1 < len(word) and word[place + 1] == right
        out.append(left + right if pair else word[place])
        place += 1 + pair
    return out
