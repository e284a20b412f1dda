"""A Hub that fails: an error in plain words within ten seconds, and everything else goes on working."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from tests.hub.local_hub import closed_port, wait_for
from tests.hub.test_refusals import SST2, refused

pytestmark = pytest.mark.hub
TYPED = "someone/classifier"


@pytest.mark.parametrize("model", [SST2, TYPED])
@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("gated", {"gated"}),
        ("missing", {"unknown_model"}),
        ("rate_limited", {"hub_too_many"}),
        ("unavailable", {"hub_down"}),
        ("disabled", {"hub_forbidden"}),
    ],
)
def test_the_whole_repository_fails(hub, empty, model, kind, keys):
    hub.fail(model, kind)
    assert refused(model) in keys


@pytest.mark.parametrize(
    ("kind", "file", "keys"),
    [
        ("rate_limited", "model.safetensors", {"hub_too_many"}),
        ("unavailable", "model.safetensors", {"hub_down"}),
        ("cut_off", "model.safetensors", {"download_incomplete"}),
        ("rate_limited", "config.json", {"hub_too_many"}),
        ("cut_off", "config.json", {"download_incomplete", "not_a_model"}),
        ("gated", "model.safetensors", {"gated"}),
    ],
)
def test_one_file_fails(hub, empty, kind, file, keys):
    hub.fail(TYPED, kind, file, after=50)
    assert refused(TYPED) in keys


@pytest.mark.parametrize("file", [None, "config.json", "model.safetensors"])
def test_a_hub_that_says_nothing_is_not_waited_for_long(hub, empty, monkeypatch, file):
    from pipelines import hub as files

    monkeypatch.setattr(files, "SETTINGS", replace(files.SETTINGS, hub_timeout_s=2))
    hub.fail(TYPED, "stalled", file)
    assert refused(TYPED) in {"hub_slow", "download_stalled"}


def test_an_interrupted_download_is_taken_up_again(hub, empty):
    from pipelines import text_tasks

    hub.fail(TYPED, "unavailable", "model.safetensors")
    assert refused(TYPED) == "hub_down"
    hub.mend()
    assert text_tasks.sentiment("A good text", TYPED).result


def test_refused_connections(hub, empty, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", closed_port())
    assert refused(TYPED) == "hub_refused"
    assert refused(SST2) == "hub_refused"


def test_other_models_answer_while_the_hub_fails(hub, restart):
    from pipelines import text_tasks

    restart()
    before = text_tasks.sentiment("A good text", SST2).result
    restart()
    hub.fail("*", "unavailable")
    hub.requests.clear()
    assert refused(TYPED + "-2") == "hub_down"
    assert text_tasks.sentiment("A good text", SST2).result == before
    assert not any(SST2 in request.path for request in hub.requests)


def test_pocket_models_answer_while_the_hub_stalls(hub, empty):
    from pipelines import catalog, text_tasks
    from pipelines import hub as files
    from pipelines.errors import VisitorError

    here = []
    for card in catalog.MODELS:
        try:
            here += [card.id] if files.state(card.id) == "pocket" else []
        except VisitorError:
            continue
    if not here:
        pytest.skip("no pocket model is in this folder")
    hub.fail("*", "stalled")
    stalled = threading.Thread(target=lambda: pytest.raises(VisitorError, text_tasks.sentiment, "A text", TYPED))
    stalled.start()
    assert wait_for(lambda: hub.requests)
    start = time.monotonic()
    assert text_tasks.similarity(["A dog", "A cat"]).result["matrix"] if catalog.MINILM in here else True
    assert time.monotonic() - start < 20
    hub.mend()
    stalled.join(15)
    assert not stalled.is_alive()


def test_many_visitors_ask_for_one_model_and_it_is_fetched_and_loaded_once(hub, empty, monkeypatch):
    from pipelines import loading, text_tasks

    load = loading._load_weights
    answers: list[object] = []
    loads: list[object] = []
    monkeypatch.setattr(loading, "_load_weights", lambda *given: loads.append(given) or load(*given))
    threads = [
        threading.Thread(target=lambda n=n: answers.append(text_tasks.sentiment(f"Text {n}", SST2).result[0]["label"]))
        for n in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 30 and len(loads) == 1
    weights = [
        path for path in hub.paths() if path.startswith("GET") and SST2 in path and path.endswith("model.safetensors")
    ]
    assert len(weights) == 1


def test_downloads_show_their_progress(hub, empty):
    from pipelines import download, text_tasks

    weights = hub.root / TYPED / "model.safetensors"
    everything = sum(path.stat().st_size for path in weights.parent.iterdir())
    hub.fail(TYPED, "stalled", weights.name, after=1000)
    thread = threading.Thread(target=lambda: _quietly(text_tasks.sentiment, "A text", TYPED), daemon=True)
    thread.start()
    assert wait_for(lambda: download.progress().get(TYPED, (0, 0))[1] >= weights.stat().st_size, 8), download.progress()
    here, total = download.progress()[TYPED]
    assert 0 <= here < total <= everything
    hub.mend()
    thread.join(15)
    assert download.progress() == {}


def _quietly(function, *arguments) -> None:
    from pipelines.errors import VisitorError

    try:
        function(*arguments)
    except VisitorError:
        pass
