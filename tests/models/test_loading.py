"""Models loaded at the same time by several visitors are whole, each of them."""

import threading

import pytest

from pipelines import loading
from pipelines.cache import ModelCache

pytestmark = pytest.mark.models


def test_models_loaded_at_once_are_all_whole(monkeypatch):
    problems = []

    def load(model_id, task):
        try:
            with loading.use(model_id, task):
                pass
        except Exception as error:
            problems.append(f"{model_id}: {error}")

    for _ in range(4):
        monkeypatch.setattr(loading, "CACHE", ModelCache(2_000_000_000))
        threads = [threading.Thread(target=load, args=preloaded) for preloaded in loading.PRELOAD]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not problems
