"""What is stored, told and removed: never a pocket model, never one that is in use or on its way."""

from __future__ import annotations

import os
import threading

import pytest

from pipelines import catalog, download, loading, model_store
from pipelines.cache import ModelCache
from pipelines.download import Progress
from pipelines.errors import VisitorError

MODEL = "someone/raw"


def repository(cache, model=MODEL, size=3_000, commit="a" * 40, partial=0):
    """Write a repository as huggingface_hub keeps it: a blob, and a snapshot that links to it."""
    folder = cache / f"models--{model.replace('/', '--')}"
    blob, shown = folder / "blobs" / ("b" * 64), folder / "snapshots" / commit / "model.safetensors"
    for path in (blob, shown, folder / "refs" / "main"):
        path.parent.mkdir(parents=True, exist_ok=True)
    if size:
        blob.write_bytes(bytes(size))
        shown.symlink_to(os.path.relpath(blob, shown.parent))
        (folder / "refs" / "main").write_text(commit)
    if partial:
        (folder / "blobs" / ("c" * 64 + ".incomplete")).write_bytes(bytes(partial))
        if not size:
            (folder / "snapshots" / commit).rmdir()
            (folder / "snapshots").rmdir()
    return folder


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache of the Hub, and nothing loaded."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(loading, "CACHE", ModelCache(10**9))
    monkeypatch.setattr(loading, "_tokenizers", {})
    monkeypatch.setattr(model_store, "SCAN_S", 0.0)
    return tmp_path / "hub"


def rows():
    return {model.id: model for model in model_store.models()}


def load(model=MODEL, size=500, kind="text-classification"):
    with loading.CACHE.use((model, kind), lambda: ("weights", size)):
        pass


def refused(call):
    with pytest.raises(VisitorError) as caught:
        call(MODEL)
    return caught.value.key


def test_what_travels_along_is_there_without_a_cache(cache):
    found = rows()
    assert found["pocket/sentiment-ko"].source == "pocket" and found["pocket/sentiment-ko"].stage == "disk"
    assert found["pocket/sentiment-ko"].disk > 10_000_000 and found[catalog.MINILM].source == "package"
    assert not any(model.source == "hub" for model in found.values())


def test_disk_memory_and_use_are_told(cache):
    repository(cache, partial=700)
    assert rows()[MODEL].disk == 3_700 and rows()[MODEL].stage == "disk" and rows()[MODEL].used
    load()
    load(kind="feature-extraction")
    row = rows()[MODEL]
    assert (row.stage, row.memory, row.users, row.disk) == ("memory", 1_000, 0, 3_700)
    with loading.CACHE.use((MODEL, "text-classification"), lambda: pytest.fail("loaded again")):
        assert rows()[MODEL].users == 1
    assert model_store.room().memory == 1_000


def test_only_what_is_listed_or_was_used_here_is_no_secret(cache):
    repository(cache, "owner/private")
    repository(cache, "google-bert/bert-base-uncased")
    assert not rows()["owner/private"].known and rows()["google-bert/bert-base-uncased"].known
    load("owner/private")
    assert rows()["owner/private"].known


def test_a_download_and_one_that_was_cut_off(cache, monkeypatch):
    repository(cache, size=0, partial=700)
    assert (rows()[MODEL].stage, rows()[MODEL].disk) == ("partial", 700)
    monkeypatch.setattr(download, "under_way", lambda: {MODEL: Progress(700, 3_000)})
    assert rows()[MODEL].stage == "downloading" and rows()[MODEL].progress.total == 3_000


def test_loading_is_told(cache):
    inside, go = threading.Event(), threading.Event()

    def slow():
        inside.set()
        go.wait(5)
        return "weights", 500

    thread = threading.Thread(target=lambda: _use(slow))
    thread.start()
    inside.wait(5)
    assert rows()[MODEL].stage == "loading"
    repository(cache)
    assert refused(model_store.unload) == refused(model_store.delete) == "model_in_use"
    go.set()
    thread.join(5)
    assert rows()[MODEL].stage == "memory" and rows()[MODEL].disk == 3_000


def _use(slow):
    with loading.CACHE.use((MODEL, "text-classification"), slow):
        pass


def test_unloading_gives_back_all_kinds_and_the_tokenizer(cache):
    load()
    load(kind="feature-extraction")
    loading._tokenizers[MODEL] = "tokenizer"
    load("other/model")
    assert model_store.unload(MODEL) == 1_000
    assert [key[0] for key in loading.CACHE.loaded()] == ["other/model"] and not loading.has_tokenizer(MODEL)
    load()  # and it may come back
    assert rows()[MODEL].stage == "memory"


def test_a_model_in_use_is_neither_unloaded_nor_deleted(cache):
    folder = repository(cache)
    load()
    with loading.CACHE.use((MODEL, "text-classification"), lambda: pytest.fail("loaded again")):
        assert refused(model_store.unload) == refused(model_store.delete) == "model_in_use"
    assert folder.exists() and rows()[MODEL].memory == 500


def test_a_tokenizer_that_is_being_fetched_is_not_deleted_under_it(cache, monkeypatch):
    repository(cache)
    held, go = threading.Event(), threading.Event()

    def hold():
        with loading.tokenizer_lock(MODEL):
            held.set()
            go.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    assert refused(model_store.delete) == "model_in_use"
    go.set()
    thread.join(5)


@pytest.mark.parametrize("size", [3_000, 0])
def test_deleting_takes_the_whole_repository_and_no_other(cache, size):
    folder, other = repository(cache, size=size, partial=700), repository(cache, "some/copy")
    load()
    assert model_store.delete(MODEL) == size + 700
    assert not folder.exists() and MODEL not in rows()
    assert other.exists() and (other / "snapshots" / ("a" * 40) / "model.safetensors").exists()  # the same commit


def test_what_is_on_its_way_is_not_deleted_and_nothing_begins_meanwhile(cache, monkeypatch):
    folder = repository(cache)
    flight = download._Flight(MODEL, 1, 1.0)
    monkeypatch.setattr(download, "_flights", {(MODEL, frozenset()): flight})
    assert refused(model_store.delete) == "model_downloading" and folder.exists()
    download._flights.clear()
    with download.without(MODEL) as quiet, loading.without(MODEL) as freed:
        assert quiet and freed == 0
        with pytest.raises(VisitorError, match="being_removed"):
            download.fetch(MODEL, {"config.json": 1}, False, 1.0)
        with pytest.raises(VisitorError, match="being_removed"):
            load()
    load()


@pytest.mark.parametrize("model", ["pocket/sentiment-ko", "pocket/../models", catalog.MINILM])
def test_what_travels_along_is_never_deleted(cache, model):
    repository(cache, catalog.MINILM)
    with pytest.raises(VisitorError) as caught:
        model_store.delete(model)
    assert caught.value.key == "pocket_stays"
    assert (loading.hub.POCKET / "sentiment-ko" / "config.json").exists()


@pytest.mark.parametrize("model", ["nobody/nothing", "../../etc", ""])
def test_what_is_not_there_is_not_deleted(cache, tmp_path, model):
    repository(cache)
    (tmp_path / "etc").mkdir()
    with pytest.raises(VisitorError, match="not_on_disk"):
        model_store.delete(model)
    assert (tmp_path / "etc").exists()


def test_files_that_cannot_be_deleted_are_told(cache, monkeypatch):
    repository(cache, size=0, partial=9)
    monkeypatch.setattr(model_store.shutil, "rmtree", _no_permission)
    assert refused(model_store.delete) == "not_deleted"


def _no_permission(path):
    raise PermissionError(13, "no")
