"""What the encoder learns from: rows of pieces with their answers, mixed and masked anew in every pass."""

from dataclasses import dataclass

import numpy as np
import torch

from recipes._korean_corpus import CLS, CONTINUES, MASK, PAD, SEP, SPECIAL_TOKENS, WORD

MAX_LENGTH = 128
NO_RATING = -100


@dataclass(frozen=True)
class Examples:
    """Token rows with ratings 1-10 (``NO_RATING`` where there is none), classes 0-2, and the teacher's log-odds.

    ``teacher`` is NaN where the teacher has not spoken.
    """

    rows: list[np.ndarray]
    ratings: np.ndarray
    labels: np.ndarray
    teacher: np.ndarray

    def pad(self, indices: np.ndarray) -> torch.Tensor:
        longest = max(len(self.rows[i]) for i in indices) + 2
        ids = np.full((len(indices), longest), PAD, dtype=np.int64)
        for line, i in zip(ids, indices, strict=True):
            row = self.rows[i]
            line[0], line[1 : len(row) + 1], line[len(row) + 1] = CLS, row, SEP
        return torch.from_numpy(ids)


def fewer_positive(examples: Examples, rng: np.random.Generator) -> Examples:
    """All negative reviews, and other neutral and positive ones in each pass: rare classes teach more per minute."""
    share = np.array([1.0, 0.4, 0.57])[examples.labels]
    kept = np.flatnonzero(rng.random(len(share)) < share)
    rows = [examples.rows[i] for i in kept]
    return Examples(rows, examples.ratings[kept], examples.labels[kept], examples.teacher[kept])


def together(some: Examples, others: Examples) -> Examples:
    return Examples(
        some.rows + others.rows,
        np.append(some.ratings, others.ratings),
        np.append(some.labels, others.labels),
        np.append(some.teacher, others.teacher),
    )


def without_stars(rows: list[np.ndarray], labels: np.ndarray) -> Examples:
    """Texts that have a class and nothing else."""
    return Examples(rows, np.full(len(rows), NO_RATING), labels, np.full(len(rows), np.nan, dtype=np.float32))


def join_some(examples: Examples, rng: np.random.Generator, share: float = 0.04) -> Examples:
    """Adds texts of several sentences: reviews of one class, two to four in a row (reviews alone are short)."""
    joined, labels = [], []
    for label in range(3):
        pool = np.flatnonzero(examples.labels == label)
        for _ in range(int(len(pool) * share)):
            chosen = rng.choice(pool, size=rng.integers(2, 5))
            joined.append(np.concatenate([examples.rows[i] for i in chosen])[: MAX_LENGTH - 2])
            labels.append(label)
    return together(examples, without_stars(joined, np.array(labels)))


def mask_words(ids: torch.Tensor, kinds: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """BERT's masking, of words that are one piece: people leave out words, not halves of words.

    Of the chosen places 80 % become [MASK], 10 % some other piece, 10 % stay.

    Args:
        ids: pieces, (rows, length).
        kinds: of every piece of the vocabulary, see ``piece_kinds``.
        share: of the words that can be chosen.

    Returns:
        The ids that the model sees, and the chosen places, both (rows, length).
    """
    kind = kinds[ids]
    followed = torch.nn.functional.pad(kind[:, 1:] == CONTINUES, (0, 1))
    chosen = (torch.rand(ids.shape) < share) & (kind == WORD) & ~followed
    dice = torch.rand(ids.shape)
    masked = ids.masked_fill(chosen & (dice < 0.8), MASK)
    other = torch.randint(len(SPECIAL_TOKENS), len(kinds), ids.shape)
    return torch.where(chosen & (dice >= 0.9), other, masked), chosen
