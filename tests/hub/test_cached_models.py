"""What was downloaded once: used without asking the Hub, and offline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.hub.environment import in_a_new_process

pytestmark = pytest.mark.hub
SST2 = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
KCELECTRA = "nlp04/korean_sentiment_analysis_kcelectra"
MARIAN = "Helsinki-NLP/opus-mt-ko-en"
SCRIPT = f"""
import json
from pipelines import hub, loading, text_tasks, tokenizer
from pipelines.errors import VisitorError
out = {{"state": [hub.state(name) for name in ({SST2!r}, {KCELECTRA!r}, "klue/bert-base")]}}
out["sentiment"] = [text_tasks.sentiment("이 영화 정말 재미있어요", name).result for name in ({SST2!r}, {KCELECTRA!r})]
out["translation"] = text_tasks.translate("이 영화 정말 재미있어요", {MARIAN!r}).result
out["ids"] = tokenizer.tokenize("A text", [{SST2!r}]).result[{SST2!r}][0]["ids"]
for name in ("klue/bert-base", "someone/classifier"):
    try:
        text_tasks.fill_mask("A [MASK].", model=name)
    except VisitorError as error:
        out[name] = error.key
print(json.dumps(out))
"""


@pytest.mark.parametrize("model", [SST2, KCELECTRA])
def test_the_second_time_asks_the_hub_nothing(hub, empty, restart, model):
    from pipelines import hub as files
    from pipelines import text_tasks, tokenizer

    assert files.state(model) == "remote"
    first = text_tasks.sentiment("이 영화 정말 재미있어요", model).result
    assert files.state(model) == "cached" and hub.requests
    restart()
    hub.requests.clear()
    assert text_tasks.sentiment("이 영화 정말 재미있어요", model).result == first
    assert tokenizer.tokenize("A text", [model]).result
    assert hub.requests == []


def test_loaded_models_are_not_loaded_again(hub, empty):
    from pipelines import loading

    with loading.use(SST2, "sentiment") as first:
        pass
    with loading.use(SST2, "sentiment") as second:
        assert second is first
    assert loading.ready() == [SST2]


def test_only_what_is_needed_is_downloaded(hub, empty):
    from pipelines import text_tasks, tokenizer

    folder = hub.root / SST2
    extra = [folder / name for name in ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "rust_model.ot")]
    try:
        for path in extra:
            path.write_bytes(b"0" * 1000)
        tokenizer.tokenize("A text", [SST2])
        assert not any(path.endswith("model.safetensors") for path in hub.paths() if path.startswith("GET"))
        text_tasks.sentiment("A text", SST2)
        fetched = {path.rsplit("/", 1)[1] for path in hub.paths() if path.startswith("GET") and "/resolve/" in path}
        assert "model.safetensors" in fetched and not fetched & {path.name for path in extra}
    finally:
        for path in extra:
            path.unlink()


def test_a_pickle_beside_safetensors_is_left_alone(hub, empty):
    """Where both are, the pickle is never the one that is read, listed or not."""
    from pipelines import text_tasks
    from tests.hub.bad_models import exploit

    folder = hub.root / "someone/classifier"
    marker = exploit(folder)
    try:
        assert text_tasks.sentiment("A text", "someone/classifier").result
        assert not marker.exists() and not any(path.endswith(".bin") for path in hub.paths() if path.startswith("GET"))
    finally:
        (folder / "pytorch_model.bin").unlink()


def test_offline_afterwards_everything_cached_works(hub, restart):
    """HF_HUB_OFFLINE is read when huggingface_hub is imported, so this needs a process of its own."""
    from pipelines import text_tasks, tokenizer

    restart()
    online = [text_tasks.sentiment("이 영화 정말 재미있어요", name).result for name in (SST2, KCELECTRA)]
    translation = text_tasks.translate("이 영화 정말 재미있어요", MARIAN).result
    ids = tokenizer.tokenize("A text", [SST2]).result[SST2][0]["ids"]
    hub.requests.clear()
    out = in_a_new_process(SCRIPT, HF_HUB_OFFLINE="1")
    assert hub.requests == []
    assert out["state"][:2] == ["cached", "cached"]
    for before, after in zip(online, out["sentiment"], strict=True):
        assert after[0]["scores"] == pytest.approx(before[0]["scores"], abs=1e-5)
    assert out["translation"] == translation and out["ids"] == ids
    assert out["someone/classifier"] == "not_here_offline"


def test_defaults_follow_what_is_here(hub, empty, monkeypatch):
    from pipelines import loading, text_tasks

    english = "mrm8488/deberta-v3-ft-financial-news-sentiment-analysis"
    text_tasks.sentiment("A text", english)
    monkeypatch.setattr(loading, "SETTINGS", replace(loading.SETTINGS, prefer_hub=True))
    assert loading.default_model("sentiment", "A good text") == english
    assert loading.default_model("translate", "안녕하세요") == MARIAN
    assert loading.default_model("translate", "Good morning") == "Helsinki-NLP/opus-mt-tc-big-en-ko"
