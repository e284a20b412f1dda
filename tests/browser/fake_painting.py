"""The app with a painter that draws without a model, for tests of what the page does.

A prompt with "slow" takes seconds, with "broken" it fails, with "queue" it waits behind two others. In the folder
FAKE_PAINTING, every run that begins is a line of the file "begun"; one with "gate" waits after five steps for "open".
"""

import os
import time
from dataclasses import asdict
from pathlib import Path

from PIL import Image, ImageDraw

import app
from pipelines import image_generation, loading
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import image_generation as tab

FOLDER = Path(os.environ["FAKE_PAINTING"]) if "FAKE_PAINTING" in os.environ else None


def drawing(asked, number, share):
    """A disc whose place and colours come from the prompt and the seed, with as much noise as is left to take away."""
    random = asked.seed + number + 1
    side = (asked.width, asked.height)
    picture = Image.new("RGB", side, (random * 37 % 200 + 55, random * 91 % 200 + 55, 230))
    box = [side[0] * 0.2, side[1] * 0.2, side[0] * 0.8, side[1] * 0.8]
    ImageDraw.Draw(picture).ellipse(box, fill=(sum(map(ord, asked.prompt)) * 53 % 256, 70, 60))
    return Image.blend(picture, Image.effect_noise(side, 90).convert("RGB"), 1 - share)


def paint(asked, stop=None):
    pause = 0.6 if "slow" in asked.prompt else 0.03
    if FOLDER:
        with (FOLDER / "begun").open("a", encoding="utf-8") as lines:
            print(asked.prompt, file=lines)
    yield image_generation.Waiting(0, None)
    for _ in range(60 if "queue" in asked.prompt else 0):
        time.sleep(0.1)
        if stop.is_set():
            raise VisitorError("stopped")
        yield image_generation.Waiting(2, 12.4)
    if "broken" in asked.prompt:
        raise VisitorError("out_of_memory", model=asked.model)
    film, total, start = [], asked.steps * asked.count, time.monotonic()
    for step in range(1, total + 1):
        time.sleep(pause)
        while "gate" in asked.prompt and step > 5 and not (FOLDER / "open").exists() and not stop.is_set():
            time.sleep(0.05)
        if stop.is_set():
            raise VisitorError("stopped")
        picture = drawing(asked, 0, min(1, step / asked.steps))
        film += [picture] if step <= asked.steps else []
        yield image_generation.Step(step, total, picture, time.monotonic() - start, pause * (total - step))
    pictures = [drawing(asked, number, 1) for number in range(asked.count)]
    result = {**asdict(asked), "seconds": round(time.monotonic() - start, 3)}
    timing = {"encode": 3.2, "denoise": 1000 * result["seconds"], "decode": 12.0}
    yield image_generation.Painted(Run(result, asked.model, timing=timing), pictures, film)


def main():
    loading.start_warm_up = lambda: None
    build = tab.build
    tab.build = lambda: build(paint=paint)
    page = app.build()
    app.launch(page)
    page.block_thread()


if __name__ == "__main__":
    main()
