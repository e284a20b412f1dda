"""A lesson: thirty visitors over all tabs for twenty minutes, and what it does to the server.

python -m benchmarks.lesson                                  of an app that it starts itself
python -m benchmarks.lesson --minutes 2 --visitors 30        a short one

Every visitor asks one thing after the other, with a moment between, each text their own. An answer about another's
text, or one that is neither a result nor a sentence, is wrong. The server's memory, threads and open files are looked
at the whole time. Beside the class, one visitor's tokenizer events take turns with events that do nothing, and a
picture is always being made.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.crowd import HEADERS, warm
from benchmarks.serving import ROOT, WITH_EMPTY, Served, serve
from benchmarks.visitors import call, sentence
from benchmarks.wire import Wire

WARM_UP = 0.2  # of the time: what is loaded and learned at the start is no growth
LOOK_S, PROBE_S = 5.0, 0.5
PATIENCE_S = 90.0
GROWTH, TIMES = 1.05, 2.0


def own(text: str, told: str) -> bool:
    """Tell whether an answer holds the text that was asked about."""
    return text in told or json.dumps(text)[1:-1] in told


def tokenized(text: str, told: str) -> bool:
    """Tell whether an answer has the ids of exactly this text."""
    return f'"ids": {_words().encode(text).ids}' in told


def some(_: str, told: str) -> bool:
    """Of an answer that does not repeat the text: whether there is one."""
    return len(told) > 4


@lru_cache(maxsize=1)
def _words() -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(ROOT / "assets/pocket/tokenizer-bpe/tokenizer.json"))


# (share, endpoint, arguments of a text, how to know that the answer is its own); every text is a visitor's own.
ASKED: tuple[tuple[float, str, Callable[[str, str], list[Any]], Callable[[str, str], bool]], ...] = (
    (30, "tokenize", lambda text, _: [text, "pocket/tokenizer-bpe"], tokenized),
    (25, "sentiment", lambda text, _: [text], own),
    (8, "compare_sentiment", lambda text, _: [text, ["pocket/sentiment-ko", "pocket/sentiment-en"]], own),
    (6, "fill_mask", lambda text, _: [f"{text} [MASK]", 5, "pocket/fill-mask-ko"], own),
    (6, "entities", lambda text, _: [f"{text} 김철수는 서울에 산다."], some),
    (5, "similarity", lambda text, _: [f"{text}\n오늘 날씨가 좋다."], some),
    (4, "keywords", lambda text, _: [f"The tall {text} tells of friends, family and music."], some),
    (4, "zero_shot", lambda text, _: [f"A film: {text}", "music, sport, school"], some),
    (4, "answer", lambda text, _: ["Who lives in Berlin?", f"{text}. Anna lives in Berlin."], some),
    (4, "generate", lambda text, _: [f"Once upon a time, {text}", 16], own),
    (3, "match_image", lambda text, picture: [{"path": picture}, f"{text}, a dog, a house"], own),
    (1, "generate_image", lambda text, _: [f"red apple {text}", None, 4], some),
)


@dataclass
class Met:
    """What the class met.

    Attributes:
        seconds: Of each answer, by endpoint.
        refused: How often each sentence was said instead of an answer.
        wrong: What was neither, or another visitor's.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: {each[1]: [] for each in ASKED})
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def answers(self) -> int:
        return sum(map(len, self.seconds.values()))


@dataclass(frozen=True)
class Look:
    """The server at one moment: seconds since the start, memory of its own in MB of 10^6, threads, open files."""

    at: float
    mb: float
    threads: int
    files: int


def look(pid: int, began: float) -> Look:
    """Look at a process (Linux): RssAnon, without files that are only mapped."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Look(time.monotonic() - began, int(told["RssAnon"].split()[0]) * 1024 / 1e6, int(told["Threads"]), files)


async def pupil(url: str, number: int, end: float, pause_s: float, picture: str, met: Met) -> None:
    """One visitor, until the lesson ends."""
    dice, shares = random.Random(number), [each[0] for each in ASKED]
    await asyncio.sleep(dice.uniform(0, 5))
    turn = 0
    while time.monotonic() < end:
        _, endpoint, arguments, is_own = dice.choices(ASKED, shares)[0]
        text, start, turn = sentence(number, turn), time.monotonic(), turn + 1
        try:
            async with asyncio.timeout(PATIENCE_S), Wire(url, HEADERS) as wire:
                kind, told = await call(wire, endpoint, arguments(text, picture))
        except (OSError, EOFError, ValueError, KeyError, TimeoutError) as error:
            kind, told = "wrong", repr(error)[:200]
        if kind == "complete" and is_own(text, told):
            met.seconds[endpoint].append(time.monotonic() - start)
        elif kind in ("refused", "error") and told not in ("", "null"):
            met.refused[f"{endpoint}: {told[:120]}"] += 1
        else:
            met.wrong.append(f"{endpoint}, {text}: {kind} {told[:200]}")
        await asyncio.sleep(dice.uniform(0.2, 2 * pause_s))


async def paint(url: str, end: float) -> None:
    """One picture after the other, for somebody who wants nothing else."""
    number = 0
    async with Wire(url, HEADERS) as wire:
        while time.monotonic() < end:
            number += 1
            await call(wire, "generate_image", [f"blue house {number}", None, 8])


async def probe(url: str, end: float) -> tuple[list[float], list[float]]:
    """A tokenizer event and one that does nothing, in turns: seconds of each."""
    took: tuple[list[float], list[float]] = ([], [])
    number = 0
    async with Wire(url, HEADERS) as wire:
        while time.monotonic() < end:
            number += 1
            text = sentence(10**6, number)
            for endpoint, values, kept in (
                ("tokenize", [text, "pocket/tokenizer-bpe"], took[0]),
                ("empty_event", [text], took[1]),
            ):
                start = time.monotonic()
                kind, _ = await call(wire, endpoint, values)
                if kind == "complete":
                    kept.append(time.monotonic() - start)
            await asyncio.sleep(PROBE_S)
    return took


async def watch(pid: int, began: float, end: float) -> list[Look]:
    """Look at the server until the lesson ends."""
    seen = []
    while time.monotonic() < end:
        seen.append(look(pid, began))
        await asyncio.sleep(LOOK_S)
    return seen


async def upload(url: str) -> str:
    """Return the server's path of an uploaded picture."""
    path = min((ROOT / "assets/examples/images").glob("*.png"))
    body = b"--cut\r\nContent-Disposition: form-data; name=files; filename=a.png\r\nContent-Type: image/png\r\n\r\n"
    body += path.read_bytes() + b"\r\n--cut--\r\n"
    async with Wire(url, HEADERS) as wire:
        answer = await wire.post_bytes("/gradio_api/upload", body, "multipart/form-data; boundary=cut")
    return json.loads(answer.body)[0]


async def lesson(app: Served, visitors: int, minutes: float, pause_s: float) -> bool:
    """Hold the lesson, print what was met; return whether all promises were kept."""
    await warm(app.url)
    met, began, picture = Met(), time.monotonic(), await upload(app.url)
    end = began + minutes * 60
    pupils = [pupil(app.url, number, end, pause_s, picture, met) for number in range(visitors)]
    beside = watch(app.pid, began, end), probe(app.url, end), paint(app.url, end)
    seen, (tokenizer, empty), *_ = await asyncio.gather(*beside, *pupils)
    for endpoint, seconds in met.seconds.items():
        if len(seconds) > 1:
            p95 = statistics.quantiles(seconds, n=20)[-1]
            print(f"{len(seconds):6} {endpoint:18} median {statistics.median(seconds):.2f} s, p95 {p95:.2f} s")
    print(*(f"{count:6} × {told}" for told, count in met.refused.most_common(10)), sep="\n")
    print(f"{met.answers} answers, {met.refused.total()} sentences instead, {len(met.wrong)} wrong", *met.wrong[:10])
    print("MB, minute by minute:", *(f"{seen[i].mb:.0f}" for i in range(0, len(seen), round(60 / LOOK_S))))
    flat = True
    settled = [each for each in seen if each.at > WARM_UP * minutes * 60]
    quarter = max(1, len(settled) // 4)
    for name in ("mb", "threads", "files"):
        first, last = (
            statistics.median(getattr(e, name) for e in part) for part in (settled[:quarter], settled[-quarter:])
        )
        print(f"{name:8} {first:.0f} after the warm-up, {last:.0f} at the end: x {last / first:.3f}")
        flat &= last <= GROWTH * first
    ours, theirs = (1000 * statistics.quantiles(each, n=20)[-1] for each in (tokenizer, empty))
    print(f"tokenizer event p95 {ours:.0f} ms, one that does nothing {theirs:.0f} ms: x {ours / theirs:.2f}")
    return flat and not met.wrong and ours <= TIMES * theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--pause", type=float, default=1.2, help="seconds between a visitor's questions, on average")
    options = parser.parse_args()
    with serve(WITH_EMPTY) as app:
        kept = asyncio.run(lesson(app, options.visitors, options.minutes, options.pause))
    sys.exit(not kept)


if __name__ == "__main__":
    main()
