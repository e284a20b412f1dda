"""Pictures from words with a pipeline that is a function: steps, stopping, turns, seeds, and what is refused."""

import threading
import time
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import image_generation, painters
from pipelines.errors import VisitorError
from pipelines.image_generation import Painted, Step, paint, wish

POCKET = painters.POCKET


class Scheduler:
    """Counts its steps, as the real ones do; two runs with one of these would mix them up."""

    config: dict = {}

    def __init__(self):
        self.done = 0

    @classmethod
    def from_config(cls, config):
        return cls()


class Pipe:
    """Latents are random numbers of the run's own generator, changed by every step."""

    def __init__(self):
        self.scheduler = Scheduler()
        self.pause = 0.0

    def __call__(self, *, num_inference_steps, generator, callback_on_step_end, width, height, **rest):
        import torch
        from PIL import Image

        latents = torch.randn(1, 3, height, width, generator=generator)
        for step in range(num_inference_steps):
            time.sleep(self.pause)
            latents = latents * 0.9 + torch.randn(latents.shape, generator=generator) * self.scheduler.done
            self.scheduler.done += 1
            callback_on_step_end(self, step, step, {"latents": latents})
        values = (latents[0].permute(1, 2, 0) * 40 + 128).clamp(0, 255).to(torch.uint8).numpy()
        return type("Made", (), {"images": [Image.fromarray(values)]})


@pytest.fixture
def pipe(monkeypatch):
    own = Pipe()

    @contextmanager
    def use(model_id):
        yield painters.Painter(model_id, own, painters.habits(model_id), "cpu", "pocket", 1.0)

    def preview(pipe, latents, family, asked):
        from PIL import Image

        return Image.new("RGB", (8, 8))

    monkeypatch.setattr(image_generation.painters, "use", use)
    monkeypatch.setattr(image_generation.previews, "picture", preview)
    return own


def run(**values):
    return list(paint(wish(**{"prompt": "red apple", "model": POCKET, "steps": 5, "seed": 3} | values)))


def test_every_step_is_told_and_the_pictures_come_last(pipe):
    *steps, painted = run(count=2)
    steps = [event for event in steps if isinstance(event, Step)]
    assert [event.step for event in steps] == list(range(1, 11)) and {event.steps for event in steps} == {10}
    assert steps[-1].left == 0 and isinstance(painted, Painted)
    assert len(painted.pictures) == 2 and len(painted.film) == 5
    assert painted.run.result["seed"] == 3 and painted.run.result["seconds"] > 0


def test_the_same_wish_gives_the_same_bytes_alone_and_among_others(pipe):
    pipe.pause = 0.002
    alone = run()[-1].pictures[0].tobytes()
    results = {}

    def visitor(number):
        results[number] = run(seed=3 if number % 2 else number + 50)[-1].pictures[0].tobytes()

    threads = [threading.Thread(target=visitor, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {results[number] for number in (1, 3, 5, 7)} == {alone}
    assert len({results[number] for number in (0, 2, 4, 6)} | {alone}) == 5


def test_the_second_picture_is_that_of_the_next_seed(pipe):
    both, second = run(count=2)[-1].pictures, run(seed=4)[-1].pictures
    assert both[1].tobytes() == second[0].tobytes() != both[0].tobytes()


def test_stop_ends_the_work_within_a_step(pipe):
    pipe.pause, stop, seen = 0.05, threading.Event(), []
    with pytest.raises(VisitorError, match="stopped"):
        for event in paint(wish("x", POCKET, steps=50), stop):
            if isinstance(event, Step):
                seen.append(event.step)
                stop.set()
    assert len(seen) <= 2
    time.sleep(0.15)
    assert image_generation.expected_wait().ahead == 0


def test_who_goes_away_ends_the_work_too(pipe):
    pipe.pause = 0.02
    events = paint(wish("x", POCKET, steps=50))
    while not isinstance(next(events), Step):
        pass
    events.close()
    time.sleep(0.2)
    assert image_generation.expected_wait().ahead == 0


def test_a_pipeline_that_fails_costs_that_run_only(pipe, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(Pipe, "__call__", broken)
    with pytest.raises(RuntimeError):
        run()
    monkeypatch.undo()
    assert image_generation.expected_wait().ahead == 0


def test_files_carry_the_parameters_of_each_picture(pipe):
    painted = run(count=2)[-1]
    told = [image_generation.picture_files.details(data) for data in image_generation.files(painted)]
    assert [each["seed"] for each in told] == [3, 4] and {each["count"] for each in told} == {1}
    again = run(**{name: told[1][name] for name in ("prompt", "model", "steps", "guidance", "seed")})[-1]
    assert again.pictures[0].tobytes() == painted.pictures[1].tobytes()


def test_what_is_left_out_is_the_models_habit_and_a_drawn_seed():
    asked, habits = wish("사과"), painters.habits(POCKET)
    assert (asked.model, asked.steps, asked.guidance, asked.count) == (POCKET, habits.steps, habits.guidance, 1)
    assert (asked.width, asked.height) == habits.sizes[0]
    assert len({wish("사과").seed for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"prompt": ""}, "empty_picture_prompt"),
        ({"prompt": None}, "empty_picture_prompt"),
        ({"prompt": ["x"]}, "not_text"),
        ({"prompt": "x" * 1_001}, "text_too_long"),
        ({"steps": 0}, "bad_number"),
        ({"steps": float("nan")}, "bad_number"),
        ({"steps": 2.5}, "bad_number"),
        ({"guidance": float("inf")}, "bad_number"),
        ({"guidance": "3"}, "bad_number"),
        ({"seed": -1}, "bad_number"),
        ({"seed": 2**31}, "bad_number"),
        ({"count": 5}, "bad_number"),
        ({"width": 512}, "one_size"),
        ({"width": 1e9}, "one_size"),
        ({"model": "stabilityai/sd-turbo", "width": float("nan")}, "bad_number"),
        ({"model": "stabilityai/sd-turbo", "width": 513}, "bad_side"),
        ({"model": "pocket/sentiment-ko"}, "wrong_task"),
        ({"model": "pocket/nothing"}, "unknown_model"),
        ({"negative_prompt": "blue"}, "no_negative_prompt"),
        ({"model": ["x"]}, "bad_model_id"),
        ({"model": "../x"}, "bad_model_id"),
    ],
)
def test_what_cannot_be_painted_is_refused_by_name(values, key):
    with pytest.raises(VisitorError) as caught:
        wish(**{"prompt": "apple", "model": POCKET} | values)
    assert caught.value.key == key


anything = st.none() | st.text(max_size=20) | st.integers() | st.floats() | st.booleans() | st.lists(st.none())


@settings(max_examples=300)
@given(st.lists(anything, min_size=9, max_size=9))
def test_any_values_give_a_wish_or_one_named_error(values):
    try:
        asked = wish(*values)
    except VisitorError:
        return
    assert asked.prompt.strip() and 1 <= asked.steps <= 50 and 1 <= asked.count <= 4
