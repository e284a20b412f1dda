"""Strangers' repositories that were made to do harm: one plain sentence each, soon, and nobody's token."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from tests.hub.environment import ROOT, TOKEN
from tests.hub.hostile_models import HOSTILE, build
from tests.hub.raw_models import RAW

pytestmark = pytest.mark.hub
LONGEST_S = 5.0


@pytest.fixture(scope="module")
def made(running):
    from transformers.models.auto import configuration_auto  # noqa: F401  (its import is not what is measured)

    build(running.root)
    return running


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """This Hub answers, however busy the machine is: what is slow here is not its fault."""
    from pipelines import hub

    monkeypatch.setattr(hub, "SETTINGS", replace(hub.SETTINGS, hub_timeout_s=60))


def said(error) -> None:
    for language in ("en", "ko"):
        sentences = json.loads((ROOT / "assets" / "i18n" / f"{language}.json").read_text("utf-8"))
        sentence = sentences[f"error.{error.key}"].format(**error.params)
        assert len(sentence) < 500 and "\n" not in sentence
        assert TOKEN not in sentence and str(ROOT) not in sentence and "Traceback" not in sentence


@pytest.mark.parametrize("model", HOSTILE)
def test_it_costs_one_sentence(made, bare_hub, restart, model):
    from pipelines import loading
    from pipelines.errors import VisitorError

    restart()
    with pytest.raises(VisitorError) as caught, loading.use(model, "sentiment"):
        pass
    assert caught.value.key in HOSTILE[model].keys
    said(caught.value)
    asked = [request for request in bare_hub.requests if model in request.path]
    assert asked and not any(request.authorization for request in asked)
    weights = [
        request for request in asked if request.method == "GET" and request.path.endswith((".safetensors", ".bin"))
    ]
    assert HOSTILE[model].fetched or not weights
    assert not any(request.path.endswith(".py") for request in asked)


@pytest.mark.parametrize("model", [name for name, hostile in HOSTILE.items() if not hostile.fetched])
def test_the_check_says_so_before_anything_is_fetched(made, bare_hub, model):
    from pipelines import model_check

    start = time.process_time()
    found = model_check.check(model, "sentiment")
    if found.problem is None:  # the listing alone does not show it
        assert "listing_differs" in HOSTILE[model].keys
    else:
        assert found.problem.key in HOSTILE[model].keys
        said(found.problem)
    assert time.process_time() - start < LONGEST_S
    names = {request.path.rsplit("/", 1)[1] for request in bare_hub.requests if "/resolve/" in request.path}
    assert names <= {"config.json"}


def test_a_good_repository_passes_the_same_check(bare_hub):
    from pipelines import hub, model_check

    found = model_check.check(RAW, "sentiment")
    sizes = {path.name: path.stat().st_size for path in (bare_hub.root / RAW).iterdir()}
    assert found.problem is None and found.exists and found.fits_task and found.safetensors
    assert found.state == "remote" and found.download == sum(sizes.values()) and dict(found.files) == sizes
    assert found.parameters == 500_000 and found.license == "apache-2.0" and not found.gated
    assert found.fits_memory and found.fits_disk
    assert hub.state(RAW) == "remote"
    assert not any(request.authorization for request in bare_hub.requests)
