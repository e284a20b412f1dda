"""Ids: what is not one is refused before any file or network is touched."""

import pytest

from pipelines import hub
from pipelines.errors import VisitorError

BAD = [
    "",
    "../etc/passwd",
    "a/../b",
    "a/b/c",
    "/etc",
    "a//b",
    "a b",
    "pocket/../../x",
    "<b>",
    "${alert(1)}",
    "a/b\n",
    7,
    None,
]


@pytest.mark.parametrize("value", BAD)
def test_what_is_not_an_id_is_refused(value):
    with pytest.raises(VisitorError, match="bad_model_id"):
        hub.check_id(value)


def test_an_unknown_pocket_name_is_an_unknown_model():
    with pytest.raises(VisitorError, match="unknown_model"):
        hub.check_id("pocket/none")


@pytest.mark.parametrize("value", ["gpt2", "openai-community/gpt2", "a/b.c_d-e", "pocket/sentiment-ko"])
def test_ids_pass(value):
    assert hub.check_id(value) == value


def test_a_model_that_is_not_here_says_so_offline():
    with pytest.raises(VisitorError, match="not_here_offline"):
        hub.locate("openai-community/gpt2", "text-generation")


def test_minilm_comes_from_the_package_with_the_hubs_weights():
    files = hub.locate("sentence-transformers/all-MiniLM-L6-v2", "feature-extraction")
    assert files.source == "package"


def test_a_swapped_weight_file_is_not_taken(monkeypatch):
    monkeypatch.setattr(hub, "MINILM_SHA256", "0" * 64)
    hub._packaged_minilm.cache_clear()
    try:
        assert hub._packaged_minilm() is None
    finally:
        hub._packaged_minilm.cache_clear()
