"""python -m benchmarks.pictures [--tiny]: FLUX.1-schnell, 1024 x 1024, 4 steps, as the page paints it, on a GPU.

Against diffusers' own pipeline in bfloat16, not compiled, on the same weights in the same run. The weights are random
(see random_flux.py); the page's path includes a preview after every step. --tiny runs the same code on a tiny model,
on whatever is there, and says nothing about speed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import random_flux

MODEL, PROMPT = "black-forest-labs/FLUX.1-schnell", "a red apple on a wooden table"
NEEDS_GB = 40


@contextmanager
def painter(pipe: Any, device: str) -> Iterator[Any]:
    """Let the page's code take a pipeline for FLUX.1-schnell."""
    from pipelines import loading, painters

    made = painters.Painter(MODEL, pipe, painters.habits(MODEL), device, "cache", 0.0)
    with loading.CACHE.use((MODEL, painters.TASK), lambda: (made, painters._size(pipe))):
        yield made


def compare(pipe: Any, device: str, side: int, times: int, speed: str) -> dict[str, Any]:
    """Measure a pipeline as diffusers has it, then as the page uses it.

    Args:
        device: "cuda:0" tunes it; on "cpu" both are the same.
        side: Pixels of the square picture.
        speed: As CLASSROOM_PAINTER_SPEED.

    Returns:
        {eager_s, ours_s: medians; first_s: the first picture, with what is compiled; ratio; apart: largest difference
        of a pixel; tuned}.
    """
    import numpy as np

    from pipelines import image_generation, painter_speed, painters

    asked = image_generation.wish(PROMPT, MODEL, seed=1, width=side, height=side)
    given = image_generation.arguments(asked, painters.habits(MODEL))
    eager, plain = _median(lambda: _picture(pipe, given, asked.seed), times)
    tuned = painter_speed.tune(pipe, device, asked.steps, speed=speed)
    with painter(pipe, device):
        start = time.perf_counter()
        our_picture(asked)
        first = time.perf_counter() - start
        ours, picture = _median(lambda: our_picture(asked), times)
    apart = np.abs(np.asarray(plain, int) - np.asarray(picture, int)).max()
    return {
        "eager_s": eager, "ours_s": ours, "first_s": first, "ratio": ours / eager, "apart": int(apart), "tuned": tuned,
    }  # fmt: skip


def our_picture(asked: Any) -> Any:
    """Return the picture of a wish, by the way that the page takes."""
    from pipelines import image_generation

    *_, painted = image_generation.paint(asked)
    return painted.pictures[0]


def _picture(pipe: Any, given: dict[str, Any], seed: int) -> Any:
    import torch

    with torch.inference_mode():
        return pipe(**given, generator=torch.Generator("cpu").manual_seed(seed)).images[0]


def _median(call: Callable[[], Any], times: int) -> tuple[float, Any]:
    """Return the median seconds of some calls after a first one, and what the last returned; each ends on the CPU."""
    took, last = [], call()
    for _ in range(times):
        start = time.perf_counter()
        last = call()
        took.append(time.perf_counter() - start)
    return statistics.median(took), last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a tiny model, also on a CPU: only whether it runs")
    parser.add_argument("--times", type=int, default=5, help="pictures of each kind, after a first one")
    parser.add_argument("--speed", choices=("auto", "cached", "off"), default="auto")
    chosen = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch

    gpu = torch.cuda.is_available()
    if not chosen.tiny and (not gpu or torch.cuda.get_device_properties(0).total_memory < NEEDS_GB * 1e9):
        raise SystemExit(f"This needs an NVIDIA GPU with {NEEDS_GB} GB of memory; `--tiny` only runs the code.")
    device = "cuda:0" if gpu else "cpu"
    settings, side = (random_flux.TINY, 64) if chosen.tiny else (random_flux.TRUE, 1024)
    pipe = random_flux.build(settings, device, torch.bfloat16)
    found = compare(pipe, device, side, chosen.times, chosen.speed)
    where = f"{torch.cuda.get_device_name(0)}, " if gpu else ""
    print(f"{where}torch {torch.__version__}, {side} x {side}, 4 steps, {sum(random_flux.counts(pipe).values()):,}")
    print(f"eager bfloat16, not compiled   {found['eager_s']:8.3f} s a picture")
    print(f"ours, previewed                {found['ours_s']:8.3f} s a picture, the first {found['first_s']:.1f} s")
    print(f"ratio                          {found['ratio']:8.2f}    largest difference of a pixel {found['apart']}")
    print(f"{found['tuned']}")
    if gpu:
        print(f"peak memory                    {torch.cuda.max_memory_allocated() / 1e9:8.1f} GB")


if __name__ == "__main__":
    main()
