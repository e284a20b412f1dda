"""A stranger's tokenizer may not make a text hundreds of times longer; the usual ones pass."""

import base64
import json
import struct

import pytest

from pipelines import tokenizer_check
from pipelines.errors import VisitorError
from settings import POCKET


def sequence(*steps):
    return {"type": "Sequence", "normalizers": list(steps)}


def replace(content, **pattern):
    return {"type": "Replace", "pattern": pattern, "content": content}


def charsmap(longest):
    return {
        "type": "Precompiled",
        "precompiled_charsmap": base64.b64encode(struct.pack("<I", 4) + bytes(4) + b"ab\0" + b"x" * longest).decode(),
    }


def refused(parts):
    with pytest.raises(VisitorError) as caught:
        tokenizer_check.check_parts(parts, "a/b")
    return caught.value.key


@pytest.mark.parametrize("path", sorted(POCKET.glob("*/tokenizer.json")), ids=lambda path: path.parent.name)
def test_the_pocket_models_pass(path):
    tokenizer_check.check_file(path, "a/b")


@pytest.mark.parametrize(
    "normalizer",
    [
        None,
        sequence(),
        sequence(charsmap(33), replace("▁", Regex=" {2,}"), {"type": "NFKD"}, {"type": "StripAccents"}),  # ALBERT, T5
        sequence({"type": "Prepend", "prepend": "▁"}, replace("▁", String=" ")),  # Llama
        sequence({"type": "NFC"}, replace(" ", Regex=r"\s+"), {"type": "Lowercase"}),  # CLIP
        sequence(*[replace(" ", Regex=r"[\n\t]+")] * 9, charsmap(33)),  # XLM-R and its kin
        {"type": "BertNormalizer", "lowercase": True},
    ],
)
def test_the_usual_ones_pass(normalizer):
    tokenizer_check.check_parts({"normalizer": normalizer}, "a/b")


@pytest.mark.parametrize(
    "normalizer",
    [
        sequence(*[replace("aa", String="a")] * 40),
        sequence(*[replace("x", Regex="")] * 12),
        sequence(*[replace("x", Regex="(?=.)")] * 12),
        replace("a" * 5_000, String="a"),
        sequence(*[replace("ab" * 9, Regex="a")] * 3),
        charsmap(9_000),
        sequence(*[charsmap(40)] * 3),
        sequence(*[{"type": "Prepend", "prepend": "a" * 4_000}] * 2),
        sequence(*[{"type": "Strip"}] * 5_000),
        sequence(sequence(sequence(*[replace("aa", String="a")] * 40))),
    ],
)
def test_what_makes_texts_long_is_refused(normalizer):
    assert refused({"normalizer": normalizer}) == "tokenizer_grows"
    assert refused({"decoder": normalizer}) == "tokenizer_grows"


def test_a_template_may_not_add_thousands_of_tokens():
    piece, ids = {"SpecialToken": {"id": "S"}}, {"S": {"ids": [1] * 300}}
    template = {"type": "TemplateProcessing", "single": [piece], "pair": [], "special_tokens": ids}
    assert refused({"post_processor": template}) == "tokenizer_grows"
    assert refused({"post_processor": template | {"special_tokens": {}, "single": [piece] * 300}}) == "tokenizer_grows"
    tokenizer_check.check_parts({"post_processor": template | {"special_tokens": {"S": {"ids": [1]}}}}, "a/b")


@pytest.mark.parametrize(
    "parts", [[], "x", {"normalizer": "x"}, {"normalizer": [1]}, {"normalizer": {"type": "Replace"}}]
)
def test_what_is_no_tokenizer_is_said_to_be_none(parts, tmp_path):
    assert refused(parts) == "no_tokenizer"
    (tmp_path / "tokenizer.json").write_text(json.dumps(parts))
    with pytest.raises(VisitorError):
        tokenizer_check.check_file(tmp_path / "tokenizer.json", "a/b")


def test_deep_nesting_is_refused(tmp_path):
    nested = {"type": "Lowercase"}
    for _ in range(60):
        nested = sequence(nested)
    assert refused({"normalizer": nested}) == "no_tokenizer"
    (tmp_path / "tokenizer.json").write_text("[" * 100_000)
    with pytest.raises(VisitorError, match="no_tokenizer"):
        tokenizer_check.check_file(tmp_path / "tokenizer.json", "a/b")


def test_what_transformers_made_of_other_files_is_looked_at_too():
    from tokenizers import Tokenizer, models, normalizers

    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.Sequence([normalizers.Replace("a", "aa")] * 40)

    class Made:
        backend_tokenizer = backend

    with pytest.raises(VisitorError, match="tokenizer_grows"):
        tokenizer_check.check_loaded(Made(), "a/b")
    backend.normalizer = normalizers.NFKC()
    tokenizer_check.check_loaded(Made(), "a/b")
    tokenizer_check.check_loaded(object(), "a/b")
