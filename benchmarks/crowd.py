"""Two hundred visitors within ten seconds: does it stand, does it say no at once and why, and is it itself again soon?

python -m benchmarks.crowd                       of an app that it starts itself
python -m benchmarks.crowd --calls 40            each asks so much at once that many must be refused
python -m benchmarks.crowd --url URL             of a server that runs already

A visitor opens the page, keeps its session open, and asks for the feeling of distinct sentences and for their tokens.
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
from contextlib import suppress
from dataclasses import dataclass, field

import brotli

from benchmarks.serving import OURS, serve
from benchmarks.visitors import REFUSALS, ask, sentence
from benchmarks.wire import Answer, Wire

PATIENCE_S = 60.0
REFUSED_WITHIN_S, NORMAL_WITHIN_S = 1.0, 30.0
HEADERS = {"Accept-Language": "ko"}


@dataclass
class Met:
    """What the visitors met.

    Attributes:
        pages: Seconds until the page was there.
        answers: Seconds until each answer.
        refusals: Seconds until each refusal.
        said: How often each reason was given.
        wrong: What was neither an answer nor a refusal with its reason.
    """

    pages: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def refused(self, seconds: float, answer: Answer) -> None:
        """Note a refusal; one without a sentence is wrong."""
        self.refusals.append(seconds)
        text = answer.body.decode()
        is_page = "html" in answer.headers.get("content-type", "")
        told = text.partition("<title>")[2].partition("<")[0] if is_page else json.loads(text)["error"]
        self.said["".join("9" if c.isdigit() else c for c in told)] += 1
        if not told or "retry-after" not in answer.headers:
            self.wrong.append(f"a refusal that says nothing: {text[:100]}")


async def visitor(url: str, number: int, arrives_s: float, calls: int, met: Met) -> None:
    """One visitor, from the page to the last answer."""
    await asyncio.sleep(arrives_s)
    try:
        async with asyncio.timeout(PATIENCE_S), Wire(url, HEADERS | {"Accept-Encoding": "br"}) as wire:
            start = time.perf_counter()
            page = await wire.get("/")
            taken = time.perf_counter() - start
            if page.status in REFUSALS:
                return met.refused(taken, page)
            if b"<gradio-app" not in brotli.decompress(page.body):
                met.wrong.append(f"not the page: {page.status}")
            met.pages.append(taken)
            session = asyncio.create_task(_heartbeat(url, number))
            await asyncio.gather(*[_call(url, number, each, met) for each in range(calls)])
            session.cancel()
    except (OSError, EOFError, ValueError, KeyError, TimeoutError) as error:
        met.wrong.append(repr(error)[:200])


async def _heartbeat(url: str, number: int) -> None:
    async with Wire(url) as wire:
        with suppress(EOFError, OSError):
            async for _ in wire.parts(f"/gradio_api/heartbeat/crowd-{number}"):
                pass


async def _call(url: str, number: int, each: int, met: Met) -> None:
    text, start = sentence(number, each), time.perf_counter()
    async with Wire(url, HEADERS) as wire:
        endpoint = "run/tokenize" if each % 2 else "call/sentiment"
        answer = await wire.post(f"/gradio_api/{endpoint}", {"data": [text]})
        if answer.status in REFUSALS:
            return met.refused(time.perf_counter() - start, answer)
        if answer.status != 200:
            met.wrong.append(f"status {answer.status}: {answer.body[:200]!r}")
            return
        if not each % 2:
            stream = await wire.get(f"/gradio_api/call/sentiment/{json.loads(answer.body)['event_id']}")
            if stream.status in REFUSALS:
                return met.refused(time.perf_counter() - start, stream)
            told = stream.body.decode()
            if "event: complete" not in told or json.dumps(text)[1:-1] not in told:
                met.wrong.append(f"not the answer to {text}: {told[-200:]}")
        met.answers.append(time.perf_counter() - start)


async def usual_s(url: str, times: int = 7) -> float:
    """Median seconds of an answer to a single visitor; endless where one is refused."""
    taken = []
    async with Wire(url) as client:
        for number in range(times):
            start = time.perf_counter()
            answered = await ask(client, "sentiment", sentence(random.randrange(10**6), number))
            taken.append(time.perf_counter() - start if answered else float("inf"))
    return statistics.median(taken)


async def crowd(url: str, visitors: int, seconds: float, calls: int) -> bool:
    """Send the crowd, print what it met; return whether all promises were kept."""
    before, met, dice = await usual_s(url), Met(), random.Random(1)
    start = time.perf_counter()
    arrivals = [dice.uniform(0, seconds) for _ in range(visitors)]
    tasks = [asyncio.create_task(visitor(url, n, at, calls, met)) for n, at in enumerate(arrivals)]
    await asyncio.sleep(seconds)
    await asyncio.gather(*tasks)
    gone, after = time.perf_counter() - start, await usual_s(url)
    while after > max(3 * before, 0.5) and time.perf_counter() - start < gone + NORMAL_WITHIN_S:
        await asyncio.sleep(1)
        after = await usual_s(url)
    normal_s = time.perf_counter() - start - gone
    for name in ("pages", "answers", "refusals"):
        taken = sorted(getattr(met, name)) or [0.0]
        print(f"{len(getattr(met, name)):6} {name:9} median {taken[len(taken) // 2]:.2f} s, slowest {taken[-1]:.2f} s")
    print(*(f"{count:6} × {told}" for told, count in met.said.items()), sep="\n")
    print(
        f"answered or refused {gone:.1f} s after the first came; an answer takes {before:.2f} s before, {after:.2f} s"
    )
    print(f"after, reached {normal_s:.1f} s later; {len(met.wrong)} wrong", *met.wrong[:10], sep="\n")
    in_time = not met.refusals or max(met.refusals) <= REFUSED_WITHIN_S
    return in_time and not met.wrong and after <= max(3 * before, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--calls", type=int, default=4, help="of each visitor, all at once")
    options = parser.parse_args()
    wanted = (options.visitors, options.seconds, options.calls)
    if options.url:
        kept = asyncio.run(crowd(options.url, *wanted))
    else:
        with serve(OURS) as app:
            asyncio.run(warm(app.url))
            kept = asyncio.run(crowd(app.url, *wanted))
    sys.exit(not kept)


async def warm(url: str) -> None:
    """Wait until the models are loaded: two quick answers in a row."""
    for _ in range(60):
        if await usual_s(url, 3) < 1:
            break
        await asyncio.sleep(1)


if __name__ == "__main__":
    main()
