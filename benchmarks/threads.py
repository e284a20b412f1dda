"""Mixed tokenizer calls from many threads at once: is each equal to the same call made alone?

python -m benchmarks.threads --threads 16 --calls 10000
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from pipelines import tokenizer, vocabulary

TEXTS = (
    "이 영화 정말 재미있었어요. 배우들의 연기가 훌륭하고 음악도 좋았습니다.",
    "Tokenizers are not thread-safe: truncation and padding are state.",
    "a",
    "안녕 world 👩‍👩‍👧 ﷽ 1,234.5",
    "The quick brown fox jumps over the lazy dog.",
)
HOW: tuple[dict[str, Any], ...] = (
    {},
    {"add_special_tokens": False},
    {"truncation": True, "max_length": 3},
    {"truncation": True, "max_length": 9},
    {"padding": True},
    {"padding": "max_length", "max_length": 40, "truncation": True},
    {"padding": "max_length", "max_length": 17, "truncation": True, "add_special_tokens": False},
)


def calls() -> list[Callable[[], Any]]:
    """Return calls of every kind: each tokenizer here alone and two together, each option, and the closer looks."""
    names = tokenizer.defaults()
    made: list[Callable[[], Any]] = []
    for chosen in (*[[name] for name in names], names[:2]):
        for how in HOW:
            for texts in (*TEXTS, list(TEXTS[:3])):
                made.append(lambda c=chosen, h=how, t=texts: tokenizer.tokenize(t, c, **h).result)
    for name in names:
        for text in TEXTS:
            made.append(lambda n=name, t=text: vocabulary.round_trip(n, t))
            made.append(lambda n=name, t=text: vocabulary.byte_view(n, t[:40]))
    return made


def differing(threads: int, each: int) -> tuple[int, int]:
    """Return how many of threads x each calls at once differ from the same call alone, and how many kinds there are."""
    kinds = calls()
    alone = [call() for call in kinds]
    wrong = [0] * threads

    def ask(number: int) -> None:
        dice = random.Random(number)
        for _ in range(each):
            which = dice.randrange(len(kinds))
            try:
                wrong[number] += kinds[which]() != alone[which]
            except Exception:
                wrong[number] += 1

    running = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(wrong), len(kinds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--calls", type=int, default=10_000, help="of each thread")
    options = parser.parse_args()
    start = time.perf_counter()
    wrong, kinds = differing(options.threads, options.calls)
    took = time.perf_counter() - start
    print(f"{wrong} of {options.threads * options.calls} calls of {kinds} kinds differ ({took:.0f} s)")
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
