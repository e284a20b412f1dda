"""How the Korean entailment model is cut out of a larger one, and what it reads."""

import random
import struct

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from recipes import _e5 as e5
from recipes import _entail_pairs as pairs
from recipes._smaller import activations, fewer_neurons, in_eight_bits, shrunken
from recipes.entail_ko import among_themselves

PIECES = [*e5.SPECIAL, "▁나무", "▁", "나", "무", "가", "7", "▁far"]


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=400, hidden_size=128, num_hidden_layers=3, num_attention_heads=2, intermediate_size=96,
        max_position_embeddings=40, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return BertForSequenceClassification(config).eval()


@pytest.fixture
def inputs():
    ids = torch.randint(0, 400, (8, 20))
    mask = torch.ones_like(ids)
    mask[:4, 12:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def test_neurons_that_change_nothing_go_first(model, inputs):
    layer = model.bert.encoder.layer[0]
    with torch.no_grad():
        layer.output.dense.weight[:, ::2] = 0
        before = model(**inputs).logits
        [seen, *_] = activations(model, [inputs])
        assert seen.shape == (4 * 12 + 4 * 20, 96)
        assert fewer_neurons(layer, seen, 48) < 0.01
        assert layer.intermediate.dense.out_features == layer.output.dense.in_features == 48
        assert torch.allclose(model(**inputs).logits, before, atol=0.01)


def test_a_smaller_copy_keeps_the_chosen_layers_and_trains(model, inputs):
    small = shrunken(model, activations(model, [inputs]), (0, 2), 32, 24)
    assert len(small.bert.encoder.layer) == small.config.num_hidden_layers == 2
    assert torch.equal(
        small.bert.encoder.layer[1].attention.self.query.weight, model.bert.encoder.layer[2].attention.self.query.weight
    )
    small(**inputs).logits.sum().backward()
    assert all(p.grad is not None for p in small.bert.encoder.parameters())
    assert len(model.bert.encoder.layer) == 3


def test_eight_bits_are_read_as_an_ordinary_folder(model, inputs, tmp_path):
    model.save_pretrained(tmp_path)
    whole = (tmp_path / "model.safetensors").stat().st_size
    in_eight_bits(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 0.6 * whole
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert {p.dtype for p in read.parameters()} == {torch.float32}
    with torch.no_grad():
        assert torch.allclose(read(**inputs).logits, model(**inputs).logits, atol=0.05)


def test_groups_share_a_premise_and_no_held_out_premise_is_trained_on(tmp_path):
    rows = [f"전제 {number}\t가설 {number} {label}\t{label}" for number in range(60) for label in pairs.LABELS]
    (tmp_path / "xnli_ko_dev.tsv").write_text("\n".join(["sentence1\tsentence2\tgold_label", *rows]), encoding="utf-8")
    (tmp_path / "klue_nli.json").write_text("[]", encoding="utf-8")
    trained, held = pairs.read_groups(tmp_path)
    assert len(trained) + len(held) == 60 and 4 <= len(held) <= 24
    assert not {group.premise for group in trained} & {group.premise for group in held}
    assert all(sorted(label for *_, label in group.rows) == [0, 1, 2] for group in trained + held)


def test_parts_and_exchanged_words_are_of_the_texts():
    text = "아이가 공원에서 강아지와 뛰어논다"
    for seed in range(20):
        chance = random.Random(seed)
        assert pairs.part(text, 0.5, chance) in text
        changed = pairs.with_a_word_of(text, "비가 온다", chance).split()
        assert sum(a != b for a, b in zip(changed, text.split(), strict=True)) == 1


def test_among_themselves_is_least_when_each_hypothesis_has_its_own_label():
    groups = pairs.grouped([("전제", name, label) for name, label in zip("abc", pairs.LABELS, strict=True)])
    assert among_themselves(9 * torch.eye(3), groups) < 0.01 < among_themselves(9 * torch.eye(3)[[1, 0, 2]], groups)
    assert among_themselves(torch.zeros(2, 3), pairs.grouped([("전제", "a", "neutral"), ("전제", "b", "neutral")])) == 0


def carried(path):
    """A file of one 32 x 32 matrix and one vector, as the package lays it out."""
    text = [piece.encode() for piece in PIECES]
    scale, bits = np.float16(0.5).tobytes(), bytes(range(16))
    numbers = np.arange(4, dtype="<f4").tobytes()
    data = (scale + bits) * 32
    head = b"magic..." + bytes(7 * 4) + bytes(4) + bytes(4)
    head += struct.pack("<5i", len(PIECES), 0, 2, 1, 3) + struct.pack("<Q", len(b"".join(text)))
    head += np.cumsum([0, *map(len, text)]).astype("<u4").tobytes()
    head += np.linspace(-1, -9, len(PIECES)).astype("<f4").tobytes() + b"".join(text)
    head += struct.pack("<2i", 0, 3) + b"???"
    start = len(head) + 4 + sum(2 + len(name) + 21 for name in ("m", "v"))
    places = {"m": (start, len(data)), "v": (start + len(data), len(numbers))}
    head += struct.pack("<i", 2)
    for name, (at, size) in places.items():
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", 0, 0, at, size)
    path.write_bytes(head + data + numbers)
    return e5.Carried(path)


def test_the_packages_file_is_read_as_it_describes_itself(tmp_path):
    found = carried(tmp_path / "model.bin")
    assert found.pieces == PIECES and found.scores[0] == -1
    assert found.numbers("v").tolist() == [0, 1, 2, 3]
    matrix = found.matrix("m", 32)
    assert matrix.shape == (32, 32) and found.matrix("m", 32, [3, 5]).shape == (2, 32)
    assert matrix[7, :3].tolist() == [-4, -3.5, -3] and matrix[7, 16] == -4


def test_syllables_digits_and_what_the_texts_need_are_kept(tmp_path):
    found = carried(tmp_path / "model.bin")
    kept = [found.pieces[i] for i in e5.chosen_pieces(found, [(1.0, ["나무 나무"])], 10)]
    assert set(kept) == {*e5.SPECIAL, "▁", "나", "무", "가", "7", "▁나무"}
    tokenizer = e5.tokenizer(kept, np.full(10, -2.0), 16)
    pair = tokenizer("나무", "나무")
    assert tokenizer.convert_ids_to_tokens(pair["input_ids"]) == ["<s>", "▁나무", "</s>", "▁나무", "</s>"]
    assert pair["token_type_ids"] == [0, 0, 0, 1, 1]
