"""Fixtures: a Hub on this machine with tiny models, and caches of its own.

huggingface_hub reads HF_ENDPOINT and HF_HOME when it is imported, so these tests need a process whose environment was
set first. Asked for alone (`pytest tests/hub`) they run here; as part of a larger run, test_own_process.py starts them
in a process of their own.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.hub.environment import HERE, HOME, HUB, UNSET, environment


def alone(config: pytest.Config) -> bool:
    asked = [Path(argument.split("::")[0]).resolve() for argument in config.args]
    return bool(asked) and all(path == HERE or HERE in path.parents for path in asked)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=None, help="how often downloads and apps are killed (5 and 1)")
    parser.addoption("--full-size", action="store_true", help="models of true size: 4 GB of disk, some minutes")
    parser.addoption("--all-hostile", action="store_true", help="every hostile repository instead of a sample")


def pytest_configure(config: pytest.Config) -> None:
    if alone(config):
        assert "huggingface_hub" not in sys.modules, "the environment must be set before huggingface_hub is imported"
        os.environ.update(environment())
        for name in UNSET:
            os.environ.pop(name, None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.parent == HERE and collection_path.name.startswith("test_"):
        return (collection_path.name == "test_own_process.py") == alone(config) or None
    return None


@pytest.fixture(scope="session")
def running():
    """The local Hub, without a model yet."""
    with HUB:
        yield HUB
    shutil.rmtree(HUB.root, ignore_errors=True)
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def served(running):
    """The running local Hub, with every tiny model."""
    import transformers

    from tests.hub import tiny_models

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tiny_models.build(running.root)
    return running


@pytest.fixture
def hub(served):
    """The local Hub, answering rightly again, with an empty list of requests."""
    served.mend()
    served.requests.clear()
    yield served
    served.mend()


@pytest.fixture
def bare_hub(running, monkeypatch, tmp_path):
    """The local Hub with someone/raw alone, which needs neither torch nor a tokenizer; an empty cache."""
    from huggingface_hub import constants

    from pipelines import download
    from tests.hub import raw_models

    download._stopped.clear()  # what the test before has stopped
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    raw_models.classifier(running.root / raw_models.RAW)
    running.mend()
    running.requests.clear()
    yield running
    running.mend()


@pytest.fixture
def restart(monkeypatch):
    """A function after which nothing is loaded or remembered; what was downloaded is still there."""
    from pipelines import loading, text_tasks
    from pipelines.cache import ModelCache
    from pipelines.memo import Memo

    def forget() -> None:
        monkeypatch.setattr(loading, "CACHE", ModelCache(10**9))
        monkeypatch.setattr(loading, "_tokenizers", {})
        monkeypatch.setattr(text_tasks, "MEMO", Memo(10**7))

    return forget


@pytest.fixture
def empty(monkeypatch, tmp_path, restart):
    """Nothing downloaded, loaded or remembered; the folder that downloads go to."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    restart()
    return tmp_path / "hub"


@pytest.fixture
def painter_hub(hub, empty):
    """The local Hub with tiny painters; nothing downloaded or loaded."""
    import diffusers
    import transformers

    from tests.hub import tiny_painters

    for library in (diffusers.utils.logging, transformers.logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    tiny_painters.build(hub.root)
    hub.requests.clear()
    return hub
