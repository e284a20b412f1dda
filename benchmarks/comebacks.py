"""Visitors whose connections break or who reload the page while a run is under way: is it found, and run once?

python -m benchmarks.comebacks --visitors 200    serves the app with comparisons that take 20-60 s, and visits it
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving import serve

MODELS = ["pocket/sentiment-ko", "pocket/sentiment-en"]
AWAY_S, SILENT_S = (1, 30), 45
PATIENCE_S = 300


class Visitor:
    """One page, which watches the run of one text until it is over.

    Attributes:
        told: What happened: breaks, reloads, and whether the run was found in the end; `stuck` after PATIENCE_S.
    """

    def __init__(self, client: httpx.AsyncClient, target: dict[str, Any], number: int) -> None:
        self.client, self.target, self.text = client, target, f"text {number}"
        self.dice, self.told = random.Random(number), Counter()
        self.key, self.session, self.begun = secrets.token_hex(20), secrets.token_hex(6), False

    async def stay(self) -> Counter[str]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._stay()
        except TimeoutError:
            self.told["stuck"] += 1
        return self.told

    async def _stay(self) -> None:
        call, breaks = "run", self.dice.randint(1, 3)
        while not (self.told["found"] or self.told["lost"]):
            leaves = time.monotonic() + (self.dice.uniform(0.2, 15) if breaks else 1_000)
            breaks -= 1
            try:
                if await self._watch(call, leaves):
                    continue
            except httpx.HTTPError as error:
                self.told[type(error).__name__] += 1
            await asyncio.sleep(self.dice.uniform(*AWAY_S))
            # As assets/jobs.js does: a page that was loaded anew before it heard of the run may begin it.
            call = self.dice.choice(("run", "load" if self.begun else "again"))
            if call != "run":
                self.session = secrets.token_hex(6)
            else:
                await self.client.post(f"/gradio_api/queue/hang_up?session_hash={self.session}")
            self.told["breaks" if call == "run" else "reloads"] += 1

    async def _watch(self, call: str, leaves: float) -> bool:
        """Return whether the end came before the connection went."""
        body = {**self.target, "session_hash": self.session, "data": [f"{call} {self.key}", self.text, MODELS, ""]}
        (await self.client.post("/gradio_api/queue/join", json=body)).raise_for_status()
        answered, silent = False, time.monotonic() + SILENT_S
        async with aclosing(self._messages()) as messages:
            try:
                while True:
                    message = await asyncio.wait_for(anext(messages), min(leaves, silent) - time.monotonic())
                    if '"msg":"heartbeat"' not in message:
                        silent = time.monotonic() + SILENT_S
                    answered |= f"{self.text}<" in message and "mc-sc-waiting" not in message
                    self.begun |= f'data-job=\\"{self.key}' in message
                    if f'data-job=\\"{self.key}\\" data-is=\\"over' in message:
                        self.told["found" if answered else "lost"] += 1
                        return True
            except (TimeoutError, StopAsyncIteration):
                self.told["silences"] += time.monotonic() < leaves
                return False

    async def _messages(self) -> AsyncIterator[str]:
        async with self.client.stream("GET", f"/gradio_api/queue/data?session_hash={self.session}") as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    yield line


async def visit(url: str, visitors: int) -> Counter[str]:
    """Send the visitors, and return what happened to all of them together."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        config = (await client.get("/config")).json()
        pressed = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "mc-job-sentiment")
        event = next(d["id"] for d in config["dependencies"] if [pressed, "click"] in d["targets"])
        target = {"fn_index": event, "trigger_id": pressed}
        told = await asyncio.gather(*(Visitor(client, target, number).stay() for number in range(visitors)))
    return sum(told, Counter())


def slow_app(folder: Path) -> None:
    """Serve the app; a comparison takes its time, and every one that begins is a line of the file "begun"."""
    import app
    from pipelines import loading, sentiment
    from pipelines.run import Run
    from tabs import sentiment as tab

    def classify(texts: list[str], model: str) -> Run:
        time.sleep(random.uniform(10, 30))
        answer = {"label": "POS", "polarity": "positive", "score": 0.9, "scores": {"POS": 0.9, "NEG": 0.1}}
        return Run([answer] * len(texts), model, timing={"model": 4.0})

    def compare(texts: list[str], models: list[str], gold: Any) -> Any:
        with (folder / "begun").open("a", encoding="utf-8") as lines:
            print(texts[0], file=lines)
        yield from sentiment.compare_each(texts, models, gold, classify=classify)
        with (folder / "ended").open("a", encoding="utf-8") as lines:
            print(texts[0], file=lines)

    loading.start_warm_up = lambda: None
    build = tab.build
    tab.build = lambda: build(compare=compare)
    page = app.build()
    app.launch(page)
    page.block_thread()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return slow_app(given.serve)
    with tempfile.TemporaryDirectory() as folder:
        with serve(("-m", "benchmarks.comebacks", "--serve", folder)) as app:
            start = time.monotonic()
            told = asyncio.run(visit(app.url, given.visitors))
            took = time.monotonic() - start
        begun, ended = (Counter((Path(folder) / name).read_text().split("\n")[:-1]) for name in ("begun", "ended"))
    runs = {"runs": sum(begun.values()), "twice": sum(begun.values()) - len(begun), "to the end": sum(ended.values())}
    print(json.dumps({"visitors": given.visitors, **told, **runs, "seconds": round(took, 1)}))


if __name__ == "__main__":
    main()
