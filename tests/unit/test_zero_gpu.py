"""A Space with ZeroGPU: with a stand-in for the package `spaces`, and with the package itself where it is installed."""

import contextvars
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from pipelines import image_generation, loading, painter_files, painters, zero_gpu
from pipelines.errors import VisitorError
from pipelines.image_generation import Painted, Step, paint, wish
from pipelines.jobs import Jobs
from pipelines.lane import Lane
from tests.unit import lent_gpu

ROOT = Path(__file__).resolve().parents[2]
SD_TURBO = "stabilityai/sd-turbo"
WHO = contextvars.ContextVar("who", default=None)


class Told(Exception):
    """An error as `spaces` raises them: gradio's, with a title."""

    def __init__(self, title):
        super().__init__(title)
        self.title = title


class Space(ModuleType):
    """`spaces` as its source has it: generators, whose arguments and yields are pickled; of an error the name returns.

    Attributes:
        calls: (seconds asked for, whose request it was) of each call.
        refusal: What a call raises instead of running.
        closed: How many calls were closed before they were done.
    """

    def __init__(self):
        super().__init__("spaces")
        self.__spec__ = ModuleSpec("spaces", None)
        self.calls, self.refusal, self.closed = [], None, 0

    def GPU(self, *, duration):
        def decorate(work):
            def run(*args):
                self.calls.append((duration(*args), WHO.get()))
                if self.refusal:
                    raise self.refusal
                events = work(*pickle.loads(pickle.dumps(args)))
                try:
                    for event in events:
                        yield pickle.loads(pickle.dumps(event))
                except GeneratorExit:
                    self.closed += 1
                    raise
                except Exception as error:
                    raise Told("ZeroGPU worker error") from error
                finally:
                    events.close()
                    zero_gpu._inside = False  # only the fork would have noted it

            return run

        return decorate


@pytest.fixture
def space(monkeypatch):
    """A Space with ZeroGPU whose GPU paints with a pipeline that is a function; sd-turbo is on the disk."""
    made = Space()
    monkeypatch.setitem(sys.modules, "spaces", made)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(zero_gpu, "_inside", False)
    monkeypatch.setattr(loading, "CACHE", loading.CACHE)
    monkeypatch.setattr(loading, "_one_at_a_time", loading._one_at_a_time)
    monkeypatch.setattr(image_generation, "LANE", Lane())
    monkeypatch.setattr(image_generation, "_pace", {})
    bare = image_generation._with_lent_gpu
    lent = zero_gpu.lend(image_generation._lent_seconds)(bare)
    monkeypatch.setattr(image_generation, "_with_lent_gpu", lent)
    sizes = {f"{part}/model.safetensors": 10**9 for part in ("unet", "text_encoder", "vae")}
    files = painter_files.PainterFiles(SD_TURBO, "StableDiffusionPipeline", sizes, None, "hub")
    monkeypatch.setattr(painter_files, "find", lambda _: files)
    monkeypatch.setattr(painter_files, "bring", lambda files: made.brought.append(files.id) or files)
    made.brought, made.used, made.bare = [], [], bare

    @contextmanager
    def use(model_id):
        made.used.append((model_id, zero_gpu.waits()))
        yield painters.Painter(model_id, Pipe(), painters.habits(model_id), "cuda:0", "cache", 1.0)

    monkeypatch.setattr(painters, "use", use)
    monkeypatch.setattr(image_generation.previews, "picture", lambda *_: _picture(8))
    return made


class Scheduler:
    config: dict = {}

    @classmethod
    def from_config(cls, config):
        return cls()


class Pipe:
    scheduler, pause = Scheduler(), 0.0

    def __call__(self, *, num_inference_steps, callback_on_step_end, width, **rest):
        for step in range(num_inference_steps):
            time.sleep(self.pause)
            callback_on_step_end(self, step, step, {"latents": None})
        return type("Made", (), {"images": [_picture(width)]})


def _picture(side):
    from PIL import Image

    return Image.new("RGB", (side, side))


def run(stop=None, **values):
    return list(paint(wish(**{"prompt": "a dog", "model": SD_TURBO, "seed": 3, "steps": 3} | values), stop))


def test_elsewhere_nothing_is_decorated(monkeypatch):
    def work():
        yield 1

    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert zero_gpu.lend(lambda: 1)(work) is work
    assert not zero_gpu.on() and not zero_gpu.waits()
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(zero_gpu, "find_spec", lambda _: None)
    assert zero_gpu.lend(lambda: 1)(work) is work


def test_a_picture_is_painted_where_the_gpu_is_and_every_step_comes_back(space):
    events = run(count=2)
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4, 5, 6]
    painted = events[-1]
    assert isinstance(painted, Painted) and len(painted.pictures) == 2 and len(painted.film) == 3
    assert painted.run.device == "cuda:0" and painted.run.result["seed"] == 3
    assert space.used == [(SD_TURBO, False)] and space.brought == [SD_TURBO]
    assert image_generation.expected_wait().ahead == 0


def test_the_pocket_painter_takes_nobodys_quota(space):
    assert isinstance(run(model=painters.POCKET)[-1], Painted)
    assert space.calls == [] and space.used == [(painters.POCKET, True)]


def test_the_gpu_is_asked_for_as_long_as_reading_and_painting_take(space):
    run(steps=4)
    guessed = space.calls[-1][0]
    image_generation._pace[SD_TURBO] = 60.0
    run(steps=4)
    assert zero_gpu.LEAST_S <= guessed < space.calls[-1][0] <= zero_gpu.MOST_S
    assert zero_gpu.seconds(0, 0) == zero_gpu.LEAST_S and zero_gpu.seconds(10**12, 10**6) == zero_gpu.MOST_S


def test_what_a_run_took_there_is_remembered_here(space):
    run()
    assert image_generation.expected_seconds(wish("x", SD_TURBO)) is not None


def test_the_request_is_the_visitors_own_also_in_a_job(space):
    WHO.set("ann")
    run()
    job = Jobs().start("k" * 24, lambda stop: paint(wish("a dog", SD_TURBO, seed=1), stop))
    WHO.set("bob")
    assert job._left.wait(20) and job._error is None
    assert [who for _, who in space.calls] == ["ann", "ann"]


def test_stop_ends_the_work_there(space, monkeypatch):
    stop, lane = threading.Event(), image_generation.LANE
    monkeypatch.setattr(Pipe, "pause", 0.3)
    with pytest.raises(VisitorError, match="stopped"):
        for event in paint(wish("a dog", SD_TURBO, steps=4), stop):
            if isinstance(event, Step):
                stop.set()
    for _ in range(100):
        if space.closed and lane.waiting().ahead == 0:
            break
        time.sleep(0.05)
    assert space.closed == 1 and lane.waiting().ahead == 0


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("ZeroGPU quota exceeded", "gpu_quota"),
        ("ZeroGPU illegal duration", "gpu_quota"),
        ("ZeroGPU queue timeout", "gpu_busy"),
        ("ZeroGPU worker error", "gpu_failed"),
        ("something new", "gpu_failed"),
    ],
)
def test_a_gpu_that_does_not_come_is_one_sentence(space, title, key):
    space.refusal = Told(title)
    with pytest.raises(VisitorError, match=key):
        run()
    sentences = json.loads((ROOT / "assets/i18n/en.json").read_text("utf-8"))
    assert sentences[f"error.{key}"].format(model=SD_TURBO)
    assert image_generation.expected_wait().ahead == 0


def test_a_visitors_error_comes_back_whole_and_another_as_one_sentence(space, monkeypatch):
    def broken(error):
        @contextmanager
        def use(model_id):
            raise error
            yield

        monkeypatch.setattr(painters, "use", use)

    broken(VisitorError("painter_too_big", model=SD_TURBO, needs_gb=9))
    with pytest.raises(VisitorError, match="painter_too_big") as caught:
        run()
    assert caught.value.params == {"model": SD_TURBO, "needs_gb": 9}
    broken(RuntimeError("out of luck"))
    with pytest.raises(VisitorError, match="gpu_failed"):
        run()


def test_what_no_lent_gpu_holds_is_refused_before_it_is_fetched(space, monkeypatch):
    monkeypatch.setattr(zero_gpu, "MEMORY", 10**9)
    monkeypatch.setattr(painters, "default_budget", lambda: 10**8)
    with pytest.raises(VisitorError, match="painter_too_big"):
        run()
    assert space.brought == [] and space.calls == []


def test_a_fork_takes_locks_of_its_own(space):
    before = image_generation.LANE, loading.CACHE, loading._one_at_a_time
    with loading._one_at_a_time:  # as another thread would hold it
        list(space.bare(wish("a dog", SD_TURBO, steps=1)))
        after = image_generation.LANE, loading.CACHE, loading._one_at_a_time
    assert not any(one is other for one, other in zip(before, after, strict=True))
    assert painters._inherited.pop() is before[1]  # what ends in a fork may wait for threads that are not there
    list(space.bare(wish("a dog", SD_TURBO, steps=1)))
    assert loading.CACHE is after[1]  # what a fork has read it keeps for the next call


def test_a_space_with_zero_gpu_lets_more_than_one_wait(monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    from tabs._wrong_calls import Page

    assert Page().queue(default_concurrency_limit=8)._queue.max_size > 10_000


@pytest.fixture
def in_a_space(tmp_path):
    """A function that runs one of lent_gpu's stories with the real package; returns what it told, and the scheduler."""
    if find_spec("spaces") is None:
        pytest.skip("the package `spaces` is not installed")

    def story(name, refusal=None):
        with lent_gpu.scheduler(tmp_path, refusal) as (variables, asked):
            done = subprocess.run(
                [sys.executable, "-m", "tests.unit.lent_gpu", name], cwd=ROOT, env=os.environ | variables,
                capture_output=True, text=True, timeout=900,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-3000:]
            return json.loads(done.stdout.strip().splitlines()[-1]), asked

    return story


def test_the_package_itself_changes_nothing_away_from_zero_gpu():
    spaces = pytest.importorskip("spaces")

    def work(number):
        yield number

    assert spaces.GPU(duration=lambda number: number)(work) is work


@pytest.mark.models
def test_the_package_itself_forks_paints_and_uses_the_fork_again(in_a_space):
    told, asked = in_a_space("paint")
    assert [run["error"] for run in told["runs"]] == [None, None]
    assert [run["film"] for run in told["runs"]] == [2, 2] and told["stopped"] == ["stopped", 1] and told["free"]
    assert told["runs"][0]["picture"] != told["runs"][1]["picture"]
    assert told["text"] == ["cpu", True]
    here = [painters.POCKET, *(list(paint(wish("red apple", painters.POCKET, steps=2, seed=s)))[-1] for s in (7, 8))]
    assert [run["picture"] for run in told["runs"]] == [each.pictures[0].tobytes().hex() for each in here[1:]]
    scheduled = [query for path, query in asked if path == "/schedule"]
    assert [query.get("token") for query in scheduled] == ["a.e30.a", "b.e30.b", "b.e30.b"]
    assert all(zero_gpu.LEAST_S <= int(query["durationSeconds"]) <= zero_gpu.MOST_S for query in scheduled)
    allowed = [query["pid"] for path, query in asked if path == "/allow"]
    assert len(allowed) == 1 and allowed[0] != str(told["parent"])
    assert [query["fail"] for path, query in asked if path == "/release"] == ["false"] * 3


@pytest.mark.models
def test_the_package_itself_says_that_the_quota_is_used_up(in_a_space):
    told, asked = in_a_space("fail", {"left": 0, "wait": "01:00:00"})
    assert told == {"error": "gpu_quota", "free": True}
    assert [path for path, _ in asked] == ["/schedule"]


@pytest.mark.models
def test_the_package_itself_survives_a_fork_that_dies(in_a_space):
    told, _ = in_a_space("broken")
    assert told["told"] == ["gpu_failed(model=pocket/flux-emoji)", "missing_head(model=a/b, weights=x)", "Painted"]
