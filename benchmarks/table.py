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


def rows(count: int) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (figure, ours, baseline, ratio, how far scores are off and how many texts were computed in full)."""
    from pipelines import classification
    from pipelines.run import Stopwatch

    asked, spent = texts(count), [0.0, 0.0]
    for name in (*sentence.POCKET, *sentence.TRUE_SIZE):
        loaded = sentence.ready(name)
        with plain_pipeline.beside(loaded.pipe.model, loaded.pipe.tokenizer) as plain:
            classification.sentiment(loaded, asked[:2], Stopwatch())
            plain(asked[:2])
            start = time.perf_counter()
            ours = classification.sentiment(loaded, asked, Stopwatch())
            seconds = time.perf_counter() - start
            answers = plain(asked)
        took = seconds, sum(ms for ms, _ in answers) / 1000
        both = [(answer.result, scores) for answer, (_, scores) in zip(ours, answers, strict=True)]
        if wrong := sum(result["label"] != max(scores, key=scores.get) for result, scores in both):
            raise RuntimeError(f"{name}: {wrong} labels differ")
        off = max(abs(result["scores"][label] - score) for result, scores in both for label, score in scores.items())
        full = sum(not answer.rounded for answer in ours)
        spent = [spent[0] + took[0], spent[1] + took[1]]
        yield f"{name}, s", *_against(*took), f"{off:.3f} {full:5}"
    yield "all four, s", *_against(*spent), ""


def _against(ours: float, loop: float) -> tuple[str, str, str]:
    return f"{ours:.2f}", f"pipeline() in a loop {loop:.2f}", f"{loop / ours:.1f} x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=500)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    measured = list(rows(parser.parse_args().sentences))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"{'figure':30} {'ours':>8} {'baseline':>30} {'faster':>8}  off at most, in full")
    for row in measured:
        print(f"{row[0]:30} {row[1]:>8} {row[2]:>30} {row[3]:>8}  {row[4]}")


if __name__ == "__main__":
    main()
