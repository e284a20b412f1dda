"""Repositories written byte by byte: what downloads and checks look at, and no more. No torch, no training."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

RAW = "someone/raw"
WEIGHTS = "model.safetensors"
VALUES = 500_000
CONFIG = {
    "model_type": "bert",
    "architectures": ["BertForSequenceClassification"],
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 8,
    "id2label": {"0": "bad", "1": "good"},
    "label2id": {"bad": 0, "good": 1},
}
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "text", "good")


def classifier(folder: Path, **config: object) -> Path:
    """Write a repository that looks like a classifier of 2 MB; its one tensor is no classifier's."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", CONFIG | config)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    data = random.Random(1).randbytes(VALUES * 4)
    header = {"weight": {"dtype": "F32", "shape": [VALUES], "data_offsets": [0, len(data)]}}
    safetensors(folder / WEIGHTS, json.dumps(header).encode(), data)
    return folder


def safetensors(path: Path, header: bytes, data: bytes, length: int | None = None) -> None:
    """Write a safetensors file: the header's length (or another), the header, the tensors' bytes."""
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
