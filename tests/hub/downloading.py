"""What the tests of downloads share: fetching as the app does, and looking at what came of it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from tests.hub.environment import ROOT, TOKEN
from tests.hub.local_hub import wait_for
from tests.hub.raw_models import RAW, WEIGHTS

PATIENCE_S = 2.0


def fetch(model: str = RAW, token: bool | None = False) -> None:
    """Do what the app does for a model whose listing it has."""
    from pipelines import download, hub

    with download.plain(model):
        download.fetch(model, hub.listing(model), token, PATIENCE_S)


def fault(model: str = RAW) -> str:
    """Return the key of the error, whose sentences must exist in both languages."""
    from pipelines.errors import VisitorError

    with pytest.raises(VisitorError) as caught:
        fetch(model)
    for language in ("en", "ko"):
        sentences = json.loads((ROOT / "assets" / "i18n" / f"{language}.json").read_text("utf-8"))
        said = sentences[f"error.{caught.value.key}"].format(**caught.value.params)
        assert TOKEN not in said and str(ROOT) not in said and "{" not in said
    return caught.value.key


def arrived(hub, model: str = RAW) -> bool:
    """Tell whether the cache's snapshot has the repository's files, byte for byte."""
    from huggingface_hub import try_to_load_from_cache

    for path in (hub.root / model).iterdir():
        here = try_to_load_from_cache(model, path.name, revision="main")
        if not isinstance(here, str) or Path(here).read_bytes() != path.read_bytes():
            return False
    return True


def bodies(hub, name: str = WEIGHTS) -> list:
    return [request for request in hub.requests if request.method == "GET" and request.path.endswith(name)]


def process_id(model: str = RAW) -> int:
    """Return the id of the process that downloads a model, once it has brought something."""
    from pipelines import download

    assert wait_for(lambda: download.progress().get(model, (0, 0))[0] > 0, 60)
    (flight,) = [flight for flight in download._flights.values() if flight.model_id == model]
    return flight.process.pid


def nothing_runs() -> bool:
    from pipelines import download

    return wait_for(
        lambda: not download.progress() and not [t for t in threading.enumerate() if t.name.startswith("download ")]
    )


def partial_size() -> int:
    from huggingface_hub import constants

    return max((path.stat().st_size for path in Path(constants.HF_HUB_CACHE).rglob("*.incomplete")), default=0)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
