"""Many visitors at once: each a client of its own, who asks for one answer after the other and waits for each.

python -m benchmarks.visitors URL --visitors 30 --rounds 5    of a server that runs already
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.wire import Wire

WORDS = "영화 음악 배우 장면 이야기 결말 연기 대사 주인공 화면 감독 시작 마지막 친구 가족 주말".split()
REFUSALS = (429, 503)
FEELINGS = (
    *("정말 좋았어요", "너무 지루했어요", "그럭저럭 볼 만했어요"),
    *("다시는 보고 싶지 않아요", "눈물이 났어요", "시간이 아까웠어요"),
)


@dataclass(frozen=True)
class Load:
    """What the visitors met.

    Attributes:
        seconds: Of each answer, from the click to its arrival.
        wall_s: From the first click to the last answer.
        wrong: Answers that were an error, or that were about another visitor's text.
    """

    seconds: list[float]
    wall_s: float
    wrong: int

    @property
    def p95_ms(self) -> float:
        return statistics.quantiles(self.seconds, n=20)[-1] * 1000

    @property
    def per_s(self) -> float:
        return len(self.seconds) / self.wall_s


def sentence(visitor: int, number: int) -> str:
    """A sentence that nobody else sends."""
    place = visitor * 131 + number * 17
    return f"{WORDS[place % 16]}도 {WORDS[place // 16 % 16]}도 {FEELINGS[place % 6]} {visitor}-{number}"


def visit(url: str, visitors: int, rounds: int, endpoint: str = "sentiment", first: int = 0) -> Load:
    """Send distinct sentences from all visitors at once, `rounds` times each.

    Args:
        first: Number of the first round; a server that is asked again must not know the sentences already.
    """
    return asyncio.run(_visit(url, visitors, rounds, endpoint, first))


async def _visit(url: str, visitors: int, rounds: int, endpoint: str, first: int) -> Load:
    seconds: list[float] = []
    wrong = 0
    gate = asyncio.Event()

    async def one(visitor: int) -> None:
        nonlocal wrong
        async with Wire(url) as client:
            await gate.wait()
            for number in range(first, first + rounds):
                text = sentence(visitor, number)
                start = time.perf_counter()
                answer = await ask(client, endpoint, text)
                seconds.append(time.perf_counter() - start)
                echoed = isinstance(answer, list) and isinstance(answer[0], list)  # ours says which text it answers
                wrong += answer is None or (echoed and answer[0][0]["text"] != text)

    tasks = [asyncio.create_task(one(visitor)) for visitor in range(visitors)]
    await asyncio.sleep(0.5)
    start = time.perf_counter()
    gate.set()
    await asyncio.gather(*tasks)
    return Load(seconds, time.perf_counter() - start, wrong)


def alone(url: str, endpoint: str, texts: list[str]) -> list[float]:
    """Return the milliseconds of each answer when one visitor asks one text after the other, over plain HTTP.

    gradio_client looks for its answer every 50 ms, which would drown what is measured.
    """

    async def all_of_them() -> list[float]:
        took = []
        async with Wire(url) as client:
            for text in texts:
                start = time.perf_counter()
                if await ask(client, endpoint, text) is None:
                    raise RuntimeError(f"/{endpoint} did not answer")
                took.append((time.perf_counter() - start) * 1000)
        return took

    return asyncio.run(all_of_them())


async def call(wire: Wire, endpoint: str, arguments: list[Any]) -> tuple[str, str]:
    """Return ("complete" or "error" or "refused", what came with it) of one event."""
    begun = await wire.post(f"/gradio_api/call/{endpoint}", {"data": arguments})
    if begun.status != 200:
        return ("refused" if begun.status in REFUSALS else "wrong"), begun.body.decode()
    stream = await wire.get(f"/gradio_api/call/{endpoint}/{json.loads(begun.body)['event_id']}")
    if stream.status != 200:
        return ("refused" if stream.status in REFUSALS else "wrong"), stream.body.decode()
    kind = ""
    for line in stream.body.decode().splitlines():
        if line.startswith("event:"):
            kind = line.removeprefix("event:").strip()
        elif line.startswith("data:") and kind in ("complete", "error"):
            return kind, line.removeprefix("data:").strip()
    return "wrong", stream.body.decode()[-200:]


async def ask(client: Wire, endpoint: str, text: str) -> list | None:
    """Return the outputs of an endpoint for one text, None when it answered with an error or a refusal."""
    kind, told = await call(client, endpoint, [text])
    return json.loads(told) if kind == "complete" else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    load = visit(options.url, options.visitors, options.rounds)
    print(f"p95 {load.p95_ms:.0f} ms, {load.per_s:.1f} answers a second, {load.wrong} wrong of {len(load.seconds)}")


if __name__ == "__main__":
    main()
