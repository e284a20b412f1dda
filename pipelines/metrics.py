"""Accuracy, macro-F1 and the confusion matrix of negative/neutral/positive predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

POLARITIES = ("negative", "neutral", "positive")


def measure(gold: Sequence[str | None], predicted: Sequence[str | None]) -> dict[str, Any]:
    """Compare predictions with gold labels; items without a gold label do not count.

    A prediction of None (a raw label outside the model's label map) is wrong, and counted in `unmapped`. Nothing is
    forgiven: a model that has no neutral is wrong on every neutral item.

    Returns:
        labelled: Items with a gold label.
        accuracy: Correct / labelled.
        macro_f1: Unweighted mean of the F1 of the classes *present in gold*. A class that gold lacks has no recall,
            so it is left out; wrongly predicting it still lowers the recall of the class it was taken for.
        confusion: 3 x 3 counts; row = gold, column = predicted, both in the order of POLARITIES.
        unmapped: Labelled items for which the model gave no polarity.

    Example:
        >>> measure(["positive", "neutral"], ["positive", "positive"])["confusion"]
        [[0, 0, 0], [0, 0, 1], [0, 0, 1]]
    """
    pairs = [(answer, guess) for answer, guess in zip(gold, predicted, strict=True) if answer is not None]
    confusion = [[pairs.count((answer, guess)) for guess in POLARITIES] for answer in POLARITIES]
    correct = sum(confusion[i][i] for i in range(3))
    present = [i for i, answer in enumerate(POLARITIES) if any(pair[0] == answer for pair in pairs)]
    return {
        "labelled": len(pairs),
        "accuracy": correct / len(pairs) if pairs else None,
        "macro_f1": sum(_f1(confusion, i, pairs) for i in present) / len(present) if present else None,
        "confusion": confusion,
        "unmapped": sum(guess is None for _, guess in pairs),
    }


def _f1(confusion: list[list[int]], i: int, pairs: list[tuple[str, str | None]]) -> float:
    in_gold = sum(answer == POLARITIES[i] for answer, _ in pairs)
    said = sum(row[i] for row in confusion)
    return 2 * confusion[i][i] / (in_gold + said)
