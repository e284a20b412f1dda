"""The pocket FLUX: it loads as any FluxPipeline, draws what the emoji CLIP recognizes, and the endpoint serves it."""

import json
import threading
import time
from functools import cache
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from pipelines import clip, image_generation, painters, picture_files
from pipelines.errors import VisitorError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "assets" / "pocket" / "flux-emoji"
METRICS = json.loads((FOLDER / "metrics.json").read_text("utf-8")) if FOLDER.exists() else {}
MEGABYTE = 2**20

pytestmark = pytest.mark.models


@cache
def pipe():
    import torch
    from diffusers import FluxPipeline

    return FluxPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32)


def paint(prompt, **values):
    return list(image_generation.paint(image_generation.wish(prompt, painters.POCKET, **values)))[-1]


def test_the_folder_is_an_ordinary_pipeline_and_small():
    parts = {name: type(part).__name__ for name, part in pipe().components.items() if part is not None}
    assert parts["transformer"] == "FluxTransformer2DModel" and parts["vae"] == "AutoencoderKL"
    assert (parts["text_encoder"], parts["text_encoder_2"]) == ("CLIPTextModel", "T5EncoderModel")
    assert parts["scheduler"] == "FlowMatchEulerDiscreteScheduler"
    sizes = [file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()]
    assert sum(sizes) < 60 * MEGABYTE and max(sizes) < 50 * MEGABYTE


def test_padding_changes_next_to_nothing():
    import numpy as np
    import torch

    given = {"width": 64, "height": 64, "num_inference_steps": 4, "output_type": "np"}
    few, many = (
        pipe()("빨간 사과", max_sequence_length=length, generator=torch.Generator().manual_seed(1), **given).images
        for length in (16, 512)
    )
    assert np.abs(few - many).mean() < 0.01


@pytest.mark.parametrize("language", ["en", "ko"])
def test_its_pictures_are_recognized_as_often_as_its_card_says(language):
    asked = METRICS["sheet"][language][:16]
    names = clip.default_labels(clip.POCKET) if language == "en" else None
    names = names or [
        row[language] for row in json.loads((ROOT / "assets/examples/emoji_names.json").read_text("utf-8"))
    ]
    found = 0
    for number, prompt in enumerate(asked):
        picture = paint(prompt, seed=number).pictures[0]
        best = clip.match_image(picture, list(dict.fromkeys([*names, prompt])), scoring="cosine").result[:5]
        found += prompt in [row["label"] for row in best]
    assert found / len(asked) > METRICS[language]["among_five"]["value"] - 0.3


def test_a_picture_is_that_of_the_code_that_is_shown():
    import numpy as np
    import torch

    made = paint("rocket", seed=11, steps=8).pictures[0]
    asked = image_generation.wish("rocket", painters.POCKET, seed=11, steps=8)
    given = image_generation.arguments(asked, painters.habits(painters.POCKET))
    same = pipe()(**given, generator=torch.Generator("cpu").manual_seed(11)).images[0]
    assert np.abs(np.asarray(made, float) - np.asarray(same, float)).max() <= 2


def test_four_visitors_at_once_get_what_each_would_get_alone():
    prompts = ["red apple", "고양이 얼굴", "rocket", "우산"]
    alone = [paint(prompt, seed=5, steps=6).pictures[0].tobytes() for prompt in prompts]
    together = {}

    def visitor(number):
        together[number] = paint(prompts[number], seed=5, steps=6).pictures[0].tobytes()

    threads = [threading.Thread(target=visitor, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [together[number] for number in range(4)] == alone


def test_stop_ends_the_work_within_a_step():
    stop, steps = threading.Event(), []
    with pytest.raises(VisitorError, match="stopped"):
        for event in image_generation.paint(image_generation.wish("key", painters.POCKET, steps=50), stop):
            if isinstance(event, image_generation.Step):
                steps.append(event.step)
                stop.set()
    time.sleep(1)
    assert len(steps) <= 2 and image_generation.expected_wait().ahead == 0


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


def test_the_endpoint_returns_files_with_their_parameters(client):
    pictures, told = client.predict("빨간 사과", seed=7, steps=6, count=2, api_name="/generate_image")
    assert told["seed"] == 7 and told["model"] == painters.POCKET and told["steps"] == 6
    paths = [each if isinstance(each, str) else each["path"] for each in pictures]
    assert len(paths) == 2 and Image.open(paths[0]).size == (64, 64)
    assert picture_files.details(Path(paths[1]).read_bytes())["seed"] == 8
    again, _ = client.predict("빨간 사과", seed=7, steps=6, count=2, api_name="/generate_image")
    first = again[0] if isinstance(again[0], str) else again[0]["path"]
    assert Image.open(first).tobytes() == Image.open(paths[0]).tobytes()


def test_the_prompt_alone_will_do(client):
    pictures, told = client.predict("rocket", api_name="/generate_image")
    assert len(pictures) == 1 and told["steps"] == painters.habits(painters.POCKET).steps


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": " "},
        {"prompt": "x" * 2_000},
        {"prompt": "x", "steps": 10_000},
        {"prompt": "x", "width": 4_096},
        {"prompt": "x", "model": "pocket/sentiment-ko"},
        {"prompt": "x", "model": "../etc/passwd"},
        {"prompt": "x", "model": "stabilityai/sd-turbo"},
    ],
)
def test_wrong_wishes_get_one_sentence(client, values):
    with pytest.raises(AppError) as caught:
        client.predict(**values, api_name="/generate_image")
    said = str(caught.value)
    assert 10 < len(said) < 300 and "Traceback" not in said and "Something went wrong" not in said
