"""The check of a typed id: what it costs and why it cannot be used, from the listing and the configuration alone."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.hub.local_hub import closed_port, wait_for
from tests.hub.raw_models import RAW, WEIGHTS

pytestmark = pytest.mark.hub


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """This Hub answers, however busy the machine is: what is slow here is not its fault."""
    from pipelines import hub

    monkeypatch.setattr(hub, "SETTINGS", replace(hub.SETTINGS, hub_timeout_s=60))


def check(task: str = "sentiment", model: str = RAW):
    from pipelines import model_check

    return model_check.check(model, task)


@pytest.mark.parametrize(
    ("model", "key", "exists"),
    [
        ("not an id", "bad_model_id", False),
        (None, "bad_model_id", False),
        ("nobody/nothing", "unknown_model", False),
        ("pocket/unheard-of", "unknown_model", False),
    ],
)
def test_what_does_not_exist(bare_hub, model, key, exists):
    found = check(model=model)
    assert (found.problem.key, found.exists) == (key, exists)


def test_another_task(bare_hub):
    found = check("fill_mask")
    assert found.problem.key == "wrong_task" and found.exists and found.fits_task is False


def test_a_painter_is_asked_for(bare_hub):
    found = check("image_generation")
    assert found.problem.key == "wrong_task" and found.fits_task is False


def test_gated(bare_hub):
    bare_hub.fail(RAW, "gated")
    found = check()
    assert found.problem.key == "gated" and found.gated and found.exists


def test_too_large_for_the_memory(bare_hub, monkeypatch):
    from pipelines import hub

    monkeypatch.setattr(hub, "default_budget", lambda: 1_000_000)
    found = check()
    assert found.problem.key == "too_big" and not found.fits_memory and found.fits_task
    assert found.problem.params == {"needs_mb": 2, "has_mb": 1}


def test_too_large_for_the_disk(bare_hub, monkeypatch):
    from pipelines import model_check

    monkeypatch.setattr(model_check.shutil, "disk_usage", lambda folder: SimpleNamespace(free=51_000_000))
    found = check()
    assert found.problem.key == "disk_full" and not found.fits_disk
    assert (found.problem.params["needed_mb"], found.problem.params["free_mb"]) == ("3", "1")


def test_no_network(bare_hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", closed_port())
    found = check()
    assert found.problem.key == "hub_refused" and found.exists is None


def test_only_listed_models(bare_hub, monkeypatch):
    from pipelines import hub

    monkeypatch.setattr(hub, "SETTINGS", replace(hub.SETTINGS, listed_models_only=True))
    assert check().problem.key == "not_listed" and bare_hub.requests == []


def test_a_tokenizer_costs_its_own_files_alone(bare_hub):
    from pipelines import hub, model_check

    found = model_check.check_tokenizer(RAW)
    assert (found.problem, found.state, found.fits_task, found.task) == (None, "remote", True, "tokenize")
    sizes = {path.name: path.stat().st_size for path in (bare_hub.root / RAW).iterdir()}
    del sizes[WEIGHTS]
    assert dict(found.files) == sizes and found.download == sum(sizes.values()) and found.license == "apache-2.0"
    assert all(request.path.startswith("/api/") for request in bare_hub.requests)
    hub.tokenizer_files(RAW)
    bare_hub.requests.clear()
    found = model_check.check_tokenizer(RAW)
    assert (found.problem, found.state, found.download, bare_hub.requests) == (None, "cached", 0, [])


def test_a_tokenizer_that_cannot_be_had_says_why(bare_hub):
    from pipelines import model_check

    assert model_check.check_tokenizer("nobody/nothing").problem.key == "unknown_model"
    assert model_check.check_tokenizer("not an id").problem.key == "bad_model_id"
    bare_hub.fail(RAW, "rate_limited")
    found = model_check.check_tokenizer(RAW)
    assert found.problem.key == "hub_too_many" and found.exists is None


def test_what_is_here_costs_nothing(bare_hub):
    from pipelines import hub

    hub.locate(RAW, "text-classification")
    bare_hub.requests.clear()
    found = check()
    assert (found.state, found.download, found.parameters, found.problem) == ("cached", 0, 500_000, None)
    assert bare_hub.requests == []


def test_a_cached_model_that_the_disk_broke_is_one_to_download(bare_hub):
    """The check looks into the weights' header."""
    from pipelines import hub

    here = hub.locate(RAW, "text-classification")
    blob = (here.path / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:1000])
    found = check()
    assert (found.state, found.problem) == ("remote", None) and found.download > 2_000_000
    assert blob.stat().st_size == 1000


@pytest.mark.parametrize("file", [None, "config.json"])
def test_a_question_to_a_silent_hub_can_be_ended(bare_hub, monkeypatch, file):
    from pipelines import hub, model_check, model_stage

    monkeypatch.setattr(hub, "SETTINGS", replace(hub.SETTINGS, hub_timeout_s=60))
    bare_hub.fail(RAW, "stalled", file)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(model_check.check(RAW, "sentiment").problem.key)),
        threading.Thread(target=lambda: answers.append(_key(lambda: hub.locate(RAW, "text-classification")))),
    ]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: _asked(threads), 60)
    assert model_stage.of(RAW).stage == "checking"
    start = time.monotonic()
    assert model_stage.stop(RAW) and not model_stage.stop(RAW)
    for thread in threads:
        thread.join(20)
    assert answers == ["stopped", "stopped"] and time.monotonic() - start < 10
    assert model_stage.of(RAW).stage == "none"
    bare_hub.mend()
    assert model_check.check(RAW, "sentiment").problem is None


def _key(call):
    from pipelines.errors import VisitorError

    with pytest.raises(VisitorError) as caught:
        call()
    return caught.value.key


def _asked(threads):
    from pipelines import download

    return len(download._checking.get(RAW, ())) >= len(threads) and all(thread.is_alive() for thread in threads)
