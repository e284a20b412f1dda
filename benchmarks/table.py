"""python -m benchmarks.table [--sentences 500]: four sentiment models on a table, against looping plain pipelines.

Two pocket models, and two of the course's true sizes with random weights: what a product of matrices costs does not
depend on them.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator

from benchmarks import plain_pipeline, sentence

OPENINGS = ("", "Honestly, ", "After two hours in the rain I can only say that ", "친구들과 같이 봤는데 ")


def texts(count: int) -> list[str]:
    """Return so many distinct sentences in English and Korean, of a few words to some forty."""
    from pipelines import backends

    plain = backends.sentences()
    made = [
        f"{opening}{plain[(i * 7) % len(plain)]} {' '.join(plain[i + j] for j in range(i % 4))} {i}".strip()
        for i, opening in zip(range(len(plain) - 4), OPENINGS * len(plain), strict=False)
    ]
    made += [f"{text} {number}" for number, text in enumerate(plain)]
    return made[:count]


def rows(count: int) -> Iterator[tuple[str, str, str, str]]:
    """Yield (figure, ours, baseline, ratio) for each model, and for all four."""
    from pipelines import classification
    from pipelines.run import Stopwatch

    asked, spent = texts(count), [0.0, 0.0]
    for name in (*sentence.POCKET, *sentence.TRUE_SIZE):
        loaded = sentence.ready(name)
        with plain_pipeline.beside(loaded.pipe.model, loaded.pipe.tokenizer) as plain:
            classification.sentiment(loaded, asked[:2], Stopwatch())
            plain(asked[:2])
            start = time.perf_counter()
            ours = [answer.result["label"] for answer in classification.sentiment(loaded, asked, Stopwatch())]
            seconds = time.perf_counter() - start
            answers = plain(asked)
        theirs = [max(scores, key=scores.get) for _, scores in answers]
        took = seconds, sum(ms for ms, _ in answers) / 1000
        if ours != theirs:
            raise RuntimeError(f"{name}: {sum(a != b for a, b in zip(ours, theirs, strict=True))} labels differ")
        spent = [spent[0] + took[0], spent[1] + took[1]]
        yield f"{name}, s", f"{took[0]:.2f}", f"pipeline() in a loop {took[1]:.2f}", f"{took[1] / took[0]:.1f} x"
    yield "all four, s", f"{spent[0]:.2f}", f"pipeline() in a loop {spent[1]:.2f}", f"{spent[1] / spent[0]:.1f} x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=500)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    measured = list(rows(parser.parse_args().sentences))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"{'figure':30} {'ours':>8} {'baseline':>30} {'faster':>8}")
    for row in measured:
        print(f"{row[0]:30} {row[1]:>8} {row[2]:>30} {row[3]:>8}")


if __name__ == "__main__":
    main()
