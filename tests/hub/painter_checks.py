"""What the tests of painters ask: how one is refused, and which files were fetched."""

from __future__ import annotations

import json

import pytest

from tests.hub.environment import ROOT, TOKEN

WEIGHTS = (".safetensors", ".bin", ".ckpt")


def refused(model: str) -> str:
    """Return the key of the error that a painter gives; its sentences must exist and tell no secrets."""
    from pipelines import painters
    from pipelines.errors import VisitorError

    with pytest.raises(VisitorError) as caught, painters.use(model):
        pass
    error = caught.value
    for language in ("en", "ko"):
        sentences = json.loads((ROOT / "assets" / "i18n" / f"{language}.json").read_text("utf-8"))
        sentence = sentences[f"error.{error.key}"].format(**error.params)
        assert TOKEN not in sentence and str(ROOT) not in sentence
    return error.key


def fetched(hub, model: str) -> list[str]:
    """Return the names of the files whose bodies were asked for."""
    start = f"GET /{model}/resolve/"
    return [path.removeprefix(start).split("/", 1)[1] for path in hub.paths() if path.startswith(start)]
