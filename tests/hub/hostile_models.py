"""Repositories that a stranger made to do harm: each must cost one sentence, not the machine.

A generator writes them from tests.hub.raw_models; `HOSTILE` names for each the errors that are right.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hub import raw_models
from tests.hub.raw_models import WEIGHTS, safetensors, write_json

FLOATS = bytes(64)
GOOD = {"w": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}


@dataclass(frozen=True)
class Hostile:
    """One repository.

    Attributes:
        make: Writes it into a folder.
        keys: Errors that are right for it.
        fetched: Its weights may be downloaded: the harm shows in them only.
    """

    make: Callable[[Path], None]
    keys: frozenset[str]
    fetched: bool = False


def build(root: Path) -> list[str]:
    """Write all of them below `root`; returns their ids."""
    for name, hostile in HOSTILE.items():
        folder = root / name
        raw_models.classifier(folder)
        hostile.make(folder)
    return list(HOSTILE)


def _config(**values: Any) -> Callable[[Path], None]:
    return lambda folder: write_json(folder / "config.json", raw_models.CONFIG | values)


def _raw_config(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "config.json").write_text(text, "utf-8") and None


def _header(header: object, data: bytes = FLOATS, length: int | None = None) -> Callable[[Path], None]:
    body = header if isinstance(header, bytes) else json.dumps(header).encode()
    return lambda folder: safetensors(folder / WEIGHTS, body, data, length)


def _tensor(**values: Any) -> Callable[[Path], None]:
    return _header({"w": GOOD["w"] | values})


def _facts(**values: Any) -> Callable[[Path], None]:
    """What the Hub says of the repository, instead of the truth."""
    return lambda folder: write_json(folder.with_name(folder.name + ".json"), values)


def _weights(content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / WEIGHTS).write_bytes(content) and None


def _pickle_only(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def _index(**places: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
        write_json(folder / f"{WEIGHTS}.index.json", places)

    return make


def _large(name: str, size: int) -> Callable[[Path], None]:
    """A repository whose listing gives a file that size."""

    def make(folder: Path) -> None:
        sizes = {path.name: path.stat().st_size for path in folder.iterdir()} | {name: size}
        _facts(siblings=[{"rfilename": each, "size": size} for each, size in sizes.items()])(folder)

    return make


def _names(*names: str) -> Callable[[Path], None]:
    return _facts(siblings=[{"rfilename": name, "size": 10} for name in names])


def _model(name: str, keys: str, make: Callable[[Path], None], fetched: bool = False) -> tuple[str, Hostile]:
    return f"hostile/{name}", Hostile(make, frozenset(keys.split()), fetched)


DEEP = "[" * 100_000 + "]" * 100_000
OBJECTS = '{"a":' * 500 + "1" + "}" * 500
MANY = [{"rfilename": f"f{number}", "size": 1} for number in range(20_000)]
SHARD = "model-00009-of-00009.safetensors"
HOSTILE = dict([
    _model("config-deep", "not_a_model", _raw_config('{"model_type": "bert", "x": ' + DEEP + "}")),
    _model("config-deep-objects", "not_a_model", _raw_config('{"model_type":"bert","x":' + OBJECTS + "}")),
    _model("config-wide", "not_a_model config_too_big", _config(x=list(range(300_000)))),
    _model("config-large", "config_too_big", _large("config.json", 40_000_000)),
    _model("config-broken", "not_a_model", _raw_config('{"model_type": ')),
    _model("config-list", "not_a_model", _raw_config("[1, 2]")),
    _model("config-binary", "not_a_model", _raw_config("\x00\x01\x02")),
    _model("config-type-is-a-list", "not_a_model", _config(model_type=["bert"])),
    _model("config-architectures", "not_a_model", _config(architectures={"a": 1})),
    _model("config-of-another-task", "wrong_task", _config(architectures=["BertForMaskedLM" + "x" * 10_000])),
    _model("config-many-labels", "config_claims", _config(id2label=None, label2id=None, num_labels=10**12)),
    _model("config-label-table", "config_claims", _config(id2label={str(n): f"L{n}" for n in range(20_000)})),
    _model("config-long-label", "config_claims", _config(id2label={"0": "<b>" * 10_000, "1": "good"})),
    _model("config-layers", "config_claims", _config(num_hidden_layers=10**9)),
    _model("config-layers-nested", "config_claims", _config(text_config={"num_hidden_layers": 10**7})),
    _model("config-positions", "config_claims", _config(max_position_embeddings=10**12)),
    _model("config-number", "config_claims", _config(hidden_size=10**30)),
    _model("config-huge-body", "config_claims too_big", _config(hidden_size=200_000, vocab_size=1_000_000), True),
    _model("own-code", "own_code", _config(model_type="evil", auto_map={"AutoConfig": "evil.Config"})),
    _model("unknown-architecture", "unknown_architecture", _config(model_type="<script>alert(1)</script>")),
    _model("pickle-only", "pickle_only", _pickle_only),
    _model("header-huge", "broken_weights", _header(GOOD, length=1 << 40), True),
    _model("header-26-mb", "broken_weights", _header(b'{"w":' + b" " * 26_000_000 + b"{}}"), True),
    _model("header-overflow", "broken_weights", _header(GOOD, length=(1 << 64) - 1), True),
    _model("header-zero", "broken_weights", _header(b"", length=0), True),
    _model("header-no-json", "broken_weights", _header(b"{" * 200), True),
    _model("header-deep", "broken_weights", _header(DEEP.encode()), True),
    _model("header-list", "broken_weights", _header([1, 2, 3]), True),
    _model("header-empty", "broken_weights", _header({}), True),
    _model("offsets-beyond", "broken_weights too_big", _tensor(shape=[10**9], data_offsets=[0, 4 * 10**9]), True),
    _model("offsets-negative", "broken_weights", _tensor(data_offsets=[-64, 0]), True),
    _model("offsets-text", "broken_weights", _tensor(data_offsets=["0", "64"]), True),
    _model("offsets-overlap", "broken_weights", _header(GOOD | {"v": GOOD["w"]}), True),
    _model("shape-lies", "broken_weights too_big", _tensor(shape=[10**6, 10**6]), True),
    _model("shape-negative", "broken_weights", _tensor(shape=[-4, -4]), True),
    _model("dtype-unknown", "broken_weights", _tensor(dtype="F1"), True),
    _model("weights-empty", "broken_weights", _weights(b""), True),
    _model("weights-text", "broken_weights", _weights(b"version https://git-lfs.github.com/spec/v1\n"), True),
    _model("index-elsewhere", "not_a_model", _index(weight_map={"w": "../../../../etc/passwd"}), True),
    _model("index-list", "not_a_model", _index(weight_map=[1, 2]), True),
    _model("index-absent-shard", "not_a_model", _index(weight_map={"w": SHARD}), True),
    _model("listing-long", "too_many_files", _facts(siblings=MANY)),
    _model("listing-odd", "hub_elsewhere", _facts(siblings={"rfilename": "config.json"})),
    _model("listing-false-sizes", "listing_differs config_too_big", _names("config.json", "vocab.txt", WEIGHTS)),
    _model("listing-paths", "not_a_model listing_differs", _names("config.json", "vocab.txt", "..\\model.safetensors")),
    _model("parameters-lie", "too_big", _facts(safetensors={"total": 10**13})),
    _model("tokenizer-large", "config_too_big", _large("tokenizer.json", 80_000_000)),
    _model("tokenizer-config-large", "config_too_big", _large("tokenizer_config.json", 8_000_000)),
])  # fmt: skip
