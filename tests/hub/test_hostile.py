"""Strangers' repositories that were made to do harm: one plain sentence each, soon, and nobody's token."""

from __future__ import annotations

import gc
import json
import threading
import time
from dataclasses import replace

import pytest

from tests.hub import hostile_variants
from tests.hub.bad_models import MARKER
from tests.hub.environment import ROOT, TOKEN
from tests.hub.hostile_models import HOSTILE, build
from tests.hub.hostile_variants import LIVING, LIVING_ID, SKELETONS
from tests.hub.raw_models import RAW

pytestmark = pytest.mark.hub
LONGEST_S = 5.0
PATIENCE_S = 60.0  # for a machine that is busy; none of these takes more than a second of its own
EVERY = 9  # one of so many variants is tried, unless --all-hostile is given
MOST_MEMORY = 200_000_000
TEXT = "A good text aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! 좋은 글 " + "ab" * 500
REFUSED = {
    *(
        "not_a_model",
        "config_too_big",
        "config_claims",
        "wrong_task",
        "own_code",
        "unknown_architecture",
        "pickle_only",
    ),
    *("broken_weights", "too_big", "too_many_files", "hub_elsewhere", "listing_differs", "missing_head", "load_failed"),
    *("no_tokenizer", "tokenizer_grows", "tokenizer_failed", "model_failed", "text_too_long"),
}


def pytest_generate_tests(metafunc):
    if "variant" in metafunc.fixturenames:
        every = 1 if metafunc.config.getoption("--all-hostile", False) else EVERY
        metafunc.parametrize("variant", [*SKELETONS, *LIVING][::every])


@pytest.fixture(scope="module")
def made(running):
    from transformers.models.auto import configuration_auto  # noqa: F401  (its import is not what is measured)

    build(running.root)
    return running


@pytest.fixture(scope="module")
def many(made):
    hostile_variants.build(made.root)
    return made


@pytest.fixture(scope="module")
def memory():
    """Bytes that this process had when the first variant had not come yet."""
    return []


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


def ask(model):
    """Return what an answer or an error is, in a thread that can be left alone."""
    from pipelines import text_tasks

    outcome = []

    def work():
        try:
            outcome.append(text_tasks.sentiment(TEXT, model))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), f"{model}: no answer within {PATIENCE_S:.0f} s"
    return outcome[0]


def test_every_variant_is_another():
    assert len({*HOSTILE, *SKELETONS, *LIVING}) >= 200
    assert len(HOSTILE) + len(SKELETONS) + len(LIVING) == len({*HOSTILE, *SKELETONS, *LIVING})


def test_a_classifier_that_nobody_changed_answers(many, bare_hub, restart, memory):
    restart()
    assert ask(LIVING_ID).result
    memory.append(_memory())


def test_a_variant_costs_one_sentence_or_answers_and_harms_nobody(many, bare_hub, restart, variant):
    from pipelines.errors import VisitorError
    from tabs import _views

    restart()
    said_or_done = ask(variant)
    if isinstance(said_or_done, VisitorError):
        assert said_or_done.key in REFUSED
        said(said_or_done)
    else:
        assert variant in LIVING, said_or_done
        html = _views.VIEWS["sentiment"](said_or_done.result, {}, "en")
        assert "<script" not in html and "<img" not in html and len(html) < 200_000
    asked = [request for request in bare_hub.requests if variant in request.path]
    assert asked and not any(request.authorization for request in asked)
    assert not any(request.path.endswith((".py", ".bin")) for request in asked if request.method == "GET")
    assert not [path for folder in (ROOT, many.root, many.root.parent) for path in folder.glob(MARKER)]


def test_they_leave_the_memory_as_it_was(many, bare_hub, restart, memory):
    restart()
    assert memory, "runs after the variants"
    grown = _memory() - memory[0]
    print(f"{grown / 1e6:.0f} MB more after {len(SKELETONS) + len(LIVING)} variants or a sample of them")
    assert grown < MOST_MEMORY


def _memory():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
