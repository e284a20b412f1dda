"""python -m benchmarks.pocket: the size of each pocket model, how long it loads, and how long an answer takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.__main__ import median_ms
from settings import POCKET

ENGLISH = "Tim Cook visited Seoul last week, and the film was lovely."
KOREAN = "이순신 장군은 1545년 서울에서 태어났고 그 영화는 정말 좋았다."


def calls() -> dict[str, Callable[[int], Any]]:
    """Return {pocket model: a call that asks it something new each time}."""
    from pipelines import catalog, text_tasks

    def stories(i: int) -> Any:
        return text_tasks.generate(f"Once upon a time {i}", max_new_tokens=20, model="pocket/stories-en")

    asked: dict[str, Callable[[str, int], Any]] = {
        "sentiment": lambda name, i: text_tasks.sentiment(f"{KOREAN} {i}", name),
        "entities": lambda name, i: text_tasks.entities(f"{ENGLISH if name.endswith('en') else KOREAN} {i}", name),
        "answer": lambda name, i: text_tasks.answer("Who visited Seoul?", f"{ENGLISH} {i}", name),
        "fill_mask": lambda name, i: text_tasks.fill_mask(f"이 영화 정말 [MASK]. {i}", model=name),
        "similarity": lambda name, i: text_tasks.similarity([f"{KOREAN} {i}", f"{ENGLISH} {i}"], name),
        "entail": lambda name, i: text_tasks.entail(KOREAN, f"영화가 좋았다 {i}", name),
        "generate": lambda name, i: stories(i),
    }
    return {
        card.id: lambda i, ask=asked[card.tasks[0]], name=card.id: ask(name, i)
        for card in catalog.MODELS
        if (card.pocket or card.id == catalog.MINILM) and card.tasks[0] in asked
    }


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def main() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from pipelines import catalog, loading

    with loading.use(catalog.MINILM, "similarity"):
        pass  # the first brings torch and transformers along
    print(f"{'model':42} {'MB':>6} {'load, s':>8} {'answer, ms':>11}")
    for name, ask in calls().items():
        start = time.perf_counter()
        with loading.use(name, catalog.card(name).tasks[0]):
            took = time.perf_counter() - start
        size = f"{megabytes(POCKET / name.removeprefix('pocket/')):.1f}" if name.startswith("pocket/") else ""
        print(f"{name:42} {size:>6} {took:8.2f} {median_ms(ask, 9):11.1f}", flush=True)
    print(f"\nall of assets/pocket: {megabytes(POCKET):.1f} MB")


if __name__ == "__main__":
    main()
