"""python -m benchmarks [--quick]: one table, each figure beside its baseline from the same run."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

from benchmarks import page, sentence, visitors
from benchmarks.serving import BARE, OURS, PLAIN, peak_mb, serve

SENTENCE = "What a lovely film, I want to see it again."


def median_ms(call: Callable[[int], object], times: int) -> float:
    """Median milliseconds of call(i), after one warm call."""
    call(-1)
    measured = []
    for i in range(times):
        start = time.perf_counter()
        call(i)
        measured.append((time.perf_counter() - start) * 1000)
    return statistics.median(measured)


def bare_model_ms(times: int) -> float:
    """Median milliseconds of tokenizer + torch model alone, here, for the sentence /sentiment is asked about."""
    import torch

    from pipelines import loading

    with loading.use("pocket/sentiment-en", "sentiment") as loaded, torch.inference_mode():
        model, tokenizer = loaded.pipe.model, loaded.pipe.tokenizer
        alone = type(model).forward  # whatever else may run it by now (pipelines/backends.py)
        return median_ms(lambda i: alone(model, **tokenizer(f"{SENTENCE} {i}", return_tensors="pt")), times)


def picture_s(times: int) -> tuple[float, float]:
    """Median seconds of a picture by the pocket FLUX: with previews as the page paints it, and by diffusers alone."""
    import torch
    from diffusers import FluxPipeline

    from pipelines import image_generation, painters
    from settings import POCKET

    asked = image_generation.wish("red apple", painters.POCKET, seed=1)
    plain = FluxPipeline.from_pretrained(POCKET / "flux-emoji", torch_dtype=torch.float32)
    plain.set_progress_bar_config(disable=True)
    given = image_generation.arguments(asked, painters.habits(asked.model))
    ours = median_ms(lambda _: list(image_generation.paint(asked)), times)
    return ours / 1000, median_ms(lambda _: plain(**given, generator=torch.Generator().manual_seed(1)), times) / 1000


def thirty_visitors(ours: str, plain: str, turns: int) -> list[tuple[str, str, str, str]]:
    """Rows for thirty visitors who send distinct sentences at once, six of them each, as often as there are turns."""
    for url in (ours, plain):
        visitors.visit(url, 30, 1, first=1000)
    us, them = [], []
    for turn in range(turns):
        us.append(visitors.visit(ours, 30, 6, first=turn * 6))
        them.append(visitors.visit(plain, 30, 6, first=turn * 6))
    if wrong := sum(each.wrong for each in (*us, *them)):
        raise RuntimeError(f"{wrong} answers were wrong")
    slow, slower = (statistics.median(each.p95_ms for each in loads) for loads in (us, them))
    many, fewer = (statistics.median(each.per_s for each in loads) for loads in (us, them))
    return [
        ("30 visitors at once, p95, ms", f"{slow:.0f}", f"gr.Interface {slower:.0f}", f"{slow / slower:.2f}"),
        ("30 visitors, answers a second", f"{many:.1f}", f"gr.Interface {fewer:.1f}", f"{many / fewer:.2f}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, under two minutes")
    parser.add_argument("--full", action="store_true", help="also models of the course's true sizes, random weights")
    few, full = vars(parser.parse_args()).values()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    rows: list[tuple[str, str, str, str]] = []

    starts = {OURS: [], BARE: []}
    for _ in range(2 if few else 5):
        for which in (BARE, OURS):
            with serve(which, CLASSROOM_PRELOAD="0") as served:
                starts[which].append(served.start_s)
    ours, bare = statistics.median(starts[OURS]), statistics.median(starts[BARE])
    rows.append(("start to first page, s", f"{ours:.2f}", f"bare Blocks app {bare:.2f}", f"{ours / bare:.2f}"))

    from gradio_client import Client
    from playwright.sync_api import sync_playwright

    with serve(BARE) as empty, serve(OURS) as app:
        client = Client(app.url, verbose=False)
        client.predict("정말 좋아요", api_name="/sentiment")
        first = time.perf_counter() - app.started
        rows.append(("start to first pocket answer, s", f"{first:.2f}", "limit 10", f"{first / 10:.2f}"))
        _load_all(client)
        n = 10 if few else 40
        answer = statistics.median(visitors.alone(app.url, "sentiment", [f"{SENTENCE} {i}" for i in range(-1, n)])[1:])
        again = statistics.median(visitors.alone(app.url, "sentiment", [SENTENCE] * (n + 1))[1:])
        event = statistics.median(visitors.alone(empty.url, "empty_event", [SENTENCE] * (n + 1))[1:])
        model = bare_model_ms(n)
        over = answer - model - event
        base = f"model {model:.1f} + empty event {event:.1f}"
        rows.append(("/sentiment, warm, ms", f"{answer:.1f} ({over:+.1f})", base, f"{answer / (model + event):.2f}"))
        base = f"computed {answer:.1f} · empty event {event:.1f}"
        rows.append(("same sentence again, ms", f"{again:.1f}", base, f"{again / answer:.2f}"))
        rows.append(sentence.remembered(few))
        with sync_playwright() as playwright:
            browser = page.chromium(playwright)
            visits = 3 if few else 9
            page.usable_ms(browser, app.url, 1), page.usable_ms(browser, empty.url, 1)
            ours, bare = page.usable_ms(browser, app.url, visits), page.usable_ms(browser, empty.url, visits)
            base = f"bare Blocks app {bare:.0f}"
            rows.append(("page usable in Chromium, ms", f"{ours:.0f}", base, f"{ours / bare:.2f}"))
            typed = statistics.median(page.typing_ms(browser, app.url, 15 if few else 40))
            rows.append(("keystroke to recoloured tokens, ms", f"{typed:.1f}", "limit 50", f"{typed / 50:.2f}"))
            browser.close()
        with serve(PLAIN) as plain:
            rows += thirty_visitors(app.url, plain.url, 2 if few else 5)
        peak = peak_mb(app.pid)
        ours, bare = picture_s(3 if few else 9)
        base = f"eager FluxPipeline {bare:.2f}"
        rows.append(("a picture of 20 steps, previewed, s", f"{ours:.2f}", base, f"{ours / bare:.2f}"))
        rows.append(("peak memory, all loaded, MB", f"{peak:.0f}", "limit 2500", f"{peak / 2500:.2f}"))
    rows += sentence.rows(few, full)

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"{'figure':38} {'ours':>16} {'baseline':>36} {'ratio':>6}")
    for row in rows:
        print(f"{row[0]:38} {row[1]:>16} {row[2]:>36} {row[3]:>6}")


def _load_all(client: object) -> None:
    """Ask each default model once: what has answered is loaded."""
    client.predict("좋아요", api_name="/sentiment")
    client.predict(["a", "b"], api_name="/similarity")
    client.predict("이 영화 정말 [MASK].", api_name="/fill_mask")
    client.predict("빨간 사과", api_name="/generate_image")


if __name__ == "__main__":
    main()
