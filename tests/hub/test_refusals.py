"""What a visitor may type in: what is refused, what is survived, and what never happens."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from tests.hub.bad_models import MARKUP, exploit
from tests.hub.environment import ROOT, TOKEN

pytestmark = pytest.mark.hub
WHITE_PEAK = "WhitePeak/bert-base-cased-Korean-sentiment"
SST2 = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
LONGEST = 10.0


def refused(model: str, task: str = "sentiment", text: str = "A text") -> str:
    """Return the key of the error that a model gives within ten seconds; the sentence for it must exist."""
    from pipelines import text_tasks
    from pipelines.errors import VisitorError

    arguments = {"zero_shot": (text, ["a", "b"]), "answer": ("Who?", "Sarah."), "fill_mask": ("A [MASK].",)}
    outcome: list[object] = []

    def ask() -> None:
        try:
            outcome.append(text_tasks.TASK_FUNCTIONS[task](*arguments.get(task, (text,)), model=model))
        except BaseException as error:
            outcome.append(error)

    # In a thread that may be left behind: a client that waits for minutes must not hold up the other tests.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(LONGEST)
    assert not thread.is_alive(), f"{model}: no answer within {LONGEST:.0f} s"
    (error,) = outcome
    assert isinstance(error, VisitorError), f"{model}: {error!r}"
    for language in ("en", "ko"):
        sentences = json.loads((ROOT / "assets" / "i18n" / f"{language}.json").read_text("utf-8"))
        sentence = sentences[f"error.{error.key}"].format(**error.params)
        assert TOKEN not in sentence and str(ROOT) not in sentence
    return error.key


def downloaded_weights(hub, model: str) -> list[str]:
    names = (".safetensors", ".bin", ".h5", ".py")
    return [path for path in hub.paths() if path.startswith(f"GET /{model}/") and path.endswith(names)]


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("nobody/nothing-here", "unknown_model"),
        ("someone/nothing", "not_a_model"),
        ("someone/no-weights", "not_a_model"),
        ("someone/broken-config", "not_a_model"),
        ("someone/fill-mask", "wrong_task"),
        ("someone/own-code", "own_code"),
        ("someone/pickle-only", "pickle_only"),
        ("klue/bert-base", "wrong_task"),
        ("MoritzLaurer/mDeBERTa-v3-base-mnli-xnli", "wrong_task"),
        ("pocket/unheard-of", "unknown_model"),
    ],
)
def test_refused_before_any_weights_come(hub, empty, model, key):
    assert refused(model) == key
    assert downloaded_weights(hub, model) == []


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("someone/no-head", "missing_head"),
        ("someone/broken-weights", "broken_weights"),
        ("someone/no-tokenizer", "no_tokenizer"),
    ],
)
def test_refused_when_it_is_loaded(hub, empty, model, key):
    assert refused(model) == key


@pytest.mark.parametrize(
    "model",
    [
        "", "../../etc/passwd", "owner/name/more", "a/../b", "https://huggingface.co/gpt2", "x" * 300, "a b/c", "a/b;c",
        "ko/한글", "owner/", "/name", "--a/b",
    ],
)  # fmt: skip
def test_ids_that_are_no_ids_reach_no_server(hub, empty, model):
    from pipelines import hub as files
    from pipelines.errors import VisitorError

    with pytest.raises(VisitorError, match="bad_model_id"):
        files.check_id(model)
    assert hub.requests == []


def test_models_of_another_task_say_what_they_are_for(hub, empty):
    from pipelines import text_tasks
    from pipelines.errors import VisitorError

    with pytest.raises(VisitorError) as caught:
        text_tasks.sentiment("A text", "someone/fill-mask")
    assert "BertForMaskedLM" in str(caught.value.params)
    assert refused("someone/classifier", "zero_shot") == "wrong_task"
    assert refused("someone/classifier", "answer") == "wrong_task"
    assert refused("someone/classifier", "fill_mask") == "wrong_task"
    assert refused("someone/classifier", "generate") == "wrong_task"
    assert refused("someone/classifier", "translate") == "wrong_task"


def test_a_visitors_id_is_answered_without_anybodys_token(hub, empty):
    from pipelines import text_tasks, tokenizer

    rows = text_tasks.sentiment(["A good text", "나쁜 글"], "someone/classifier").result
    assert [row["polarity"] for row in rows] == [None, None] and {row["label"] for row in rows} <= {"bad", "good"}
    assert tokenizer.tokenize("A good text", ["someone/no-head"]).result
    assert text_tasks.sentiment("A text", "someone/sharded").result
    assert text_tasks.sentiment("A text", "someone/vocabulary-only").result
    asked = [request for request in hub.requests if "/someone/" in request.path]
    assert len(asked) > 5 and not any(request.authorization for request in asked)


def test_the_owners_token_goes_with_listed_models_only(hub, empty):
    from pipelines import text_tasks

    text_tasks.sentiment("A text", SST2)
    text_tasks.sentiment("A text", "someone/classifier")
    sent = {request.path.split("/resolve/")[0] for request in hub.requests if request.authorization}
    assert sent and all(SST2 in path for path in sent)


def test_labels_are_passed_on_as_they_are_and_never_formatted(hub, empty):
    from pipelines import text_tasks

    row = text_tasks.sentiment("{} ${alert(1)} <b>{label}</b>", "someone/markup-labels").result[0]
    assert set(row["scores"]) == set(MARKUP) and row["text"] == "{} ${alert(1)} <b>{label}</b>"


def test_a_vocabulary_larger_than_the_embedding_is_an_error_of_that_model_only(hub, empty):
    text = "이 영화 정말 재미있었어요"
    assert refused("someone/small-vocabulary", text=text) in {"model_failed", "load_failed"}


def test_no_code_of_a_repository_is_run(hub, empty, tmp_path, monkeypatch):
    from pipelines import text_tasks

    monkeypatch.chdir(tmp_path)
    for model in ("someone/own-code", "someone/pickle-only"):
        refused(model)
    # Its own tokenizer class is passed over; tokenizer.json, which is no code, serves.
    assert text_tasks.sentiment("A text", "someone/own-tokenizer").result
    assert list(tmp_path.glob("pickle-*")) == [] and not list(hub.root.glob("pickle-*"))
    assert not any(request.path.endswith(".py") for request in hub.requests if request.method == "GET")


def test_a_listed_pickle_that_holds_more_than_tensors_is_not_executed(hub, empty):
    weights = hub.root / WHITE_PEAK / "pytorch_model.bin"
    kept = weights.read_bytes()
    marker = exploit(weights.parent)
    try:
        assert refused(WHITE_PEAK) == "load_failed"
        assert not marker.exists()
    finally:
        weights.write_bytes(kept)
        marker.rmdir() if marker.exists() else None


def test_owners_may_allow_pickles_of_any_repository(hub, empty, monkeypatch):
    from pipelines import hub as files

    monkeypatch.setattr(files, "SETTINGS", replace(files.SETTINGS, allow_pickle=True))
    # Allowed is the restricted unpickler, so this one, which is malicious, still does not load.
    assert refused("someone/pickle-only") == "load_failed"
    assert not list(hub.root.glob("pickle-*"))


def test_owners_may_refuse_what_is_not_listed(hub, empty, monkeypatch):
    from pipelines import hub as files

    monkeypatch.setattr(files, "SETTINGS", replace(files.SETTINGS, listed_models_only=True))
    assert refused("someone/classifier") == "not_listed"
    assert hub.requests == []
