"""What must not load as a painter: refused before any weights come, each with its own sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.hub.painter_checks import WEIGHTS, fetched, refused
from tests.hub.tiny_painters import (
    BROKEN,
    DEV,
    INCOMPLETE,
    OTHER_PIPELINE,
    OWN_PART,
    OWN_PIPELINE,
    PICKLED,
    SCHNELL,
    SD_TURBO,
    TEXT,
    TYPED,
    UNFINISHED,
)

pytestmark = pytest.mark.hub
SST2 = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (SST2, "wrong_task"),
        (TEXT, "wrong_task"),
        (OTHER_PIPELINE, "wrong_task"),
        (OWN_PART, "own_code"),
        (OWN_PIPELINE, "own_code"),
        (PICKLED, "pickle_only"),
        (BROKEN, "not_a_model"),
        (UNFINISHED, "not_a_model"),
        ("someone/nothing", "not_a_model"),
        ("nobody/nothing-here", "unknown_model"),
        ("pocket/unheard-of", "unknown_model"),
        ("../../etc/passwd", "bad_model_id"),
    ],
)
def test_refused_before_any_weights_come(painter_hub, model, key):
    assert refused(model) == key
    assert not [name for name in fetched(painter_hub, model) if name.endswith((*WEIGHTS, ".py"))]


def test_a_text_task_refuses_a_painter(painter_hub):
    from pipelines import loading
    from pipelines.errors import VisitorError

    for model, key in ((SD_TURBO, "wrong_task"), (TYPED, "not_a_model")):
        with pytest.raises(VisitorError, match=key), loading.use(model, "sentiment"):
            pass
        assert not fetched(painter_hub, model)


@pytest.mark.parametrize(
    ("kind", "key"), [("gated", "gated"), ("rate_limited", "hub_too_many"), ("unavailable", "hub_down")]
)
def test_a_hub_that_refuses_says_why(painter_hub, kind, key):
    painter_hub.fail(DEV, kind)
    assert refused(DEV) == key


@pytest.mark.parametrize(
    ("kind", "file", "key"),
    [
        ("gated", "transformer/diffusion_pytorch_model.safetensors", "gated"),
        ("cut_off", "transformer/diffusion_pytorch_model.safetensors", "download_incomplete"),
        ("missing", "model_index.json", "not_a_model"),
    ],
)
def test_one_file_fails(painter_hub, kind, file, key):
    painter_hub.fail(TYPED, kind, file, after=50)
    assert refused(TYPED) == key


def test_what_cannot_fit_is_refused_by_the_listing_alone(painter_hub, monkeypatch):
    from pipelines import hub as files
    from pipelines import painters
    from pipelines.errors import VisitorError

    monkeypatch.setattr(painters, "default_budget", lambda: 50_000)
    with pytest.raises(VisitorError, match="painter_too_big") as caught, painters.use(SCHNELL):
        pass
    assert caught.value.params["others"] == "pocket/flux-emoji, stabilityai/sd-turbo"
    assert refused(SCHNELL) == "painter_too_big"
    assert set(fetched(painter_hub, SCHNELL)) == {"model_index.json"}
    assert files.state(SCHNELL) == "remote"


def test_a_typed_painter_that_cannot_fit_is_refused_by_its_listing_and_the_check_says_so(painter_hub, monkeypatch):
    from pipelines import model_check, painters

    assert model_check.check(TYPED, painters.TASK).fits_memory
    painter_hub.requests.clear()
    monkeypatch.setattr(painters, "default_budget", lambda: 50_000)
    found = model_check.check(TYPED, painters.TASK)
    assert (found.fits_memory, found.fits_task, found.problem.key) == (False, True, "painter_too_big")
    assert found.problem.params["model"] == TYPED and found.download > 50_000
    assert refused(TYPED) == "painter_too_big"
    assert not [name for name in fetched(painter_hub, TYPED) if name.endswith(WEIGHTS)]


def test_a_typed_painter_that_is_here_and_cannot_fit_is_not_loaded(painter_hub, restart, monkeypatch):
    from pipelines import model_check, painters

    with painters.use(TYPED):
        pass
    restart()
    monkeypatch.setattr(painters, "default_budget", lambda: 50_000)
    monkeypatch.setattr(painters, "_read", lambda *_: pytest.fail("it was loaded"))
    painter_hub.requests.clear()
    assert refused(TYPED) == "painter_too_big"
    found = model_check.check(TYPED, painters.TASK)
    assert (found.state, found.fits_memory, found.problem.key) == ("cached", False, "painter_too_big")
    assert painter_hub.requests == []


def test_owners_may_refuse_what_is_not_listed(painter_hub, monkeypatch):
    from pipelines import hub as files

    monkeypatch.setattr(files, "SETTINGS", replace(files.SETTINGS, listed_models_only=True))
    assert refused(TYPED) == "not_listed"
    assert painter_hub.requests == []


def test_code_beside_a_cached_painter_is_a_reason_to_refuse(painter_hub, restart):
    """diffusers runs None.py at the top of a folder; this page does not fetch one, but another program might have."""
    from pipelines import painter_files, painters

    with painters.use(TYPED):
        pass
    folder = painter_files.find(TYPED).folder
    (folder / "None.py").write_text("raise SystemExit('code of a repository was run')\n", "utf-8")
    restart()
    assert refused(TYPED) == "own_code"


def test_a_checkpoint_that_lacks_a_tensor_is_refused(painter_hub):
    assert refused(INCOMPLETE) == "missing_head"
