"""What sentence vectors can answer: how alike texts are, which label fits, which sentences and words matter most.

Vectors are the mean of the last hidden state over the real tokens, L2-normalised, as sentence-transformers makes them
(Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084); the product of two is then their cosine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pipelines import batching
from pipelines.catalog import MINILM
from pipelines.run import Stopwatch

if TYPE_CHECKING:
    import numpy as np

    from pipelines.loading import Loaded

TEMPERATURE = 0.05
LEXRANK_DAMPING = 0.85
MMR_RELEVANCE = 0.7
MOST_CANDIDATES = 200
# all-MiniLM-L6-v2 was trained on at most 128 tokens and its card cuts at 256, though it has 512 positions.
TRAINED_LENGTH = {MINILM: 256}


def embed(loaded: Loaded, texts: list[str], watch: Stopwatch) -> tuple[np.ndarray, bool]:
    """Return the vectors of texts, (len(texts), dimensions) in float32, and whether any text was cut."""
    rows, cut = batching.run(loaded, texts, watch, mean_pool, limit=max_length(loaded))
    import torch

    return torch.stack(rows).numpy(), any(cut)


def max_length(loaded: Loaded) -> int:
    """Return how many tokens of a text go into its vector."""
    return min(TRAINED_LENGTH.get(loaded.id, 100_000), batching.max_length(loaded.pipe))


def mean_pool(output: Any, inputs: Any) -> Any:
    """Return the L2-normalised mean of the last hidden state over the tokens whose attention mask is 1."""
    import torch

    hidden, mask = output[0], inputs["attention_mask"].unsqueeze(-1)
    mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return torch.nn.functional.normalize(mean, dim=-1)


def softmax(values: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return exp(values / temperature) scaled to sum to 1."""
    import numpy as np

    shifted = np.exp((values - values.max()) / temperature)
    return shifted / shifted.sum()


def lexrank(vectors: np.ndarray) -> np.ndarray:
    """Return each sentence's centrality: a random walk over their similarities (Erkan and Radev 2004).

    Args:
        vectors: (sentences, dimensions), L2-normalised.

    Returns:
        (sentences,), non-negative, summing to 1.
    """
    import numpy as np

    count = len(vectors)
    weights = np.clip(vectors @ vectors.T, 0.0, None)
    np.fill_diagonal(weights, 0.0)
    totals = weights.sum(axis=1, keepdims=True)
    walk = np.where(totals > 1e-9, weights / np.maximum(totals, 1e-9), 1.0 / count)
    rank = np.full(count, 1.0 / count)
    for _ in range(50):
        rank = (1 - LEXRANK_DAMPING) / count + LEXRANK_DAMPING * (rank @ walk)
    return rank / rank.sum()


def mmr(relevance: np.ndarray, vectors: np.ndarray, count: int, weight: float = MMR_RELEVANCE) -> list[int]:
    """Return `count` indices, each the best trade of relevance against likeness to those already chosen.

    Maximal marginal relevance, Carbonell and Goldstein 1998.
    """
    import numpy as np

    likeness = vectors @ vectors.T
    chosen: list[int] = []
    while len(chosen) < min(count, len(relevance)):
        repeated = likeness[:, chosen].max(axis=1) if chosen else np.zeros(len(relevance))
        gain = weight * relevance - (1 - weight) * repeated
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
    return chosen


_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|cf|Fig|No|Inc|Ltd|Co|Jr|Sr|approx|[A-Z])\.)$"
)
_END = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s|$))|(?:(?<=[가-힣])[.!?]+(?=[가-힣]))|(?:[。！？]+[」』”]?)|\n+")


def sentences(text: str) -> list[str]:
    """Split a Korean or English text into sentences, stripped, in order.

    A sentence ends with . ! ? or … before white space, with 。！？ anywhere, with a full stop between two Hangul
    syllables ("좋다.그래서"), and at a line break; not after an initial or a common abbreviation.
    """
    found, start = [], 0
    for match in _END.finditer(text):
        piece = text[start : match.end()]
        if match[0].startswith(".") and len(match[0]) == 1 and _ABBREVIATION.search(piece):
            continue
        found.append(piece)
        start = match.end()
    found.append(text[start:])
    # A line of dots or a lone emoji is no sentence to choose.
    return [piece.strip() for piece in found if re.search(r"\w", piece)]


_STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being but by can could did do does doing
    down during each few for from further had has have having he her here hers him his how i if in into is it its just
    me more most my no nor not now of off on once only or other our out over own same she should so some such than that
    the their them then there these they this those through to too under until up us very was we were what when where
    which while who whom why will with within without would you your yours give gives take takes make makes
    그 이 저 것 수 등 및 더 또 또는 그리고 그러나 하지만 그래서 때문에 위해 통해 대한 대해 있는 있다 있습니다
    없다 하는 하다 한다 합니다 했다 했습니다 된다 되는 됩니다 이다 입니다 아니다 매우 아주 너무 정말 모든 어떤
    우리 나는 저는 내가 제가 그는 그녀는 이런 그런 가장 다시 함께
    """.split()
)
_PARTICLES = (
    "으로부터 에게서 에서는 에서도 으로는 으로도 이라는 이라고 에서 에게 한테 까지 부터 처럼 보다 으로 이나 이란 "
    "라는 라고 은 는 이 가 을 를 의 에 와 과 도 로 만 나"
).split()


def candidates(text: str) -> list[str]:
    """Return the words and pairs of neighbouring words of a text that could be its keywords, in order, without repeats.

    Stop words part candidates; a Korean word loses one particle at its end ("학교에서" -> "학교") when at least two
    syllables are left.
    """
    found: dict[str, str] = {}
    for sentence in sentences(text):
        for clause in re.split(r"[,;:()\[\]{}\"“”‘’·/|]|\s[-–—]\s", sentence):
            before = None
            for word in re.findall(r"\w[\w'’-]*", clause):
                stem = _strip_particle(word.strip("'’-_"))
                usable = len(stem) > 1 and not stem.isdigit() and {word.lower(), stem.lower()}.isdisjoint(_STOP_WORDS)
                if usable:
                    found.setdefault(stem.casefold(), stem)
                    if before is not None:
                        found.setdefault(f"{before} {stem}".casefold(), f"{before} {stem}")
                before = stem if usable else None
    return list(found.values())[:MOST_CANDIDATES]


def _strip_particle(word: str) -> str:
    if re.fullmatch(r"[\w'’-]*[가-힣]", word):
        for particle in _PARTICLES:
            stem = word.removesuffix(particle)
            if stem != word and (len(stem) > 1 or re.search(r"[A-Za-z0-9]$", stem)):
                return stem
    return word
