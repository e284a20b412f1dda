"""Repositories that must be refused, or survived: each shows one way in which a visitor's id goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.hub import tiny_models, tiny_tokenizers

MARKUP = ("<img src=x onerror=alert(1)>", "${alert(1)}")
MARKER = "pickle-was-executed"


class Exploit:
    """What a malicious pickle does when it is read without restriction: it calls a function of its choice."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        import pathlib

        return pathlib.Path.mkdir, (pathlib.Path(self.path),)


def exploit(folder: Path) -> Path:
    """Replace a folder's weights by a malicious pickle; returns the path that would appear if it were executed."""
    import torch

    marker = folder.parent.parent / MARKER
    torch.save({"weight": torch.zeros(1), "harm": Exploit(marker)}, folder / "pytorch_model.bin")
    return marker


def _classifier(folder: Path, **more) -> None:
    tiny_models.bert(folder, "BertForSequenceClassification", **more)


def _no_head(folder: Path) -> None:
    _classifier(folder, rename=lambda key: None if key.startswith("classifier") else key)


def _own_code(folder: Path) -> None:
    _classifier(folder)
    _change(folder, "config.json", model_type="my_own", auto_map={"AutoConfig": "modeling_own.OwnConfig"})
    (folder / "modeling_own.py").write_text(f"open({MARKER!r}, 'w').close()\n", "utf-8")


def _own_tokenizer(folder: Path) -> None:
    _classifier(folder)
    own = {"AutoTokenizer": ["tokenization_own.OwnTokenizer", None]}
    _change(folder, "tokenizer_config.json", tokenizer_class="OwnTokenizer", auto_map=own)
    (folder / "tokenization_own.py").write_text(f"open({MARKER!r}, 'w').close()\n", "utf-8")


def _pickle_only(folder: Path) -> None:
    _classifier(folder, pickled=True)
    exploit(folder)


def _weights_missing(folder: Path) -> None:
    _classifier(folder)
    (folder / "model.safetensors").unlink()


def _broken_config(folder: Path) -> None:
    _classifier(folder)
    (folder / "config.json").write_text('{"model_type": "bert", ', "utf-8")


def _broken_weights(folder: Path) -> None:
    _classifier(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def _no_tokenizer(folder: Path) -> None:
    _classifier(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink()


def _vocabulary_only(folder: Path) -> None:
    """As the first BERT models were uploaded: vocab.txt says all there is to know of the tokenizer."""
    _classifier(folder, fast=False)
    (folder / "tokenizer_config.json").unlink()


def _small_vocabulary(folder: Path) -> None:
    """The tokenizer has ids that the embedding has not."""
    tiny_tokenizers.wordpiece(folder, lower=False, fast=True, config={"do_lower_case": False})
    tiny_models.save(folder, "BertForSequenceClassification", vocab_size=50, **tiny_models.SIZE)


def _sharded(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    _classifier(folder, labels=("bad", "good"))
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    places = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        shard = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / shard, metadata={"format": "pt"})
        places |= dict.fromkeys(part, shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}), "utf-8")


def _change(folder: Path, name: str, **values: object) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


BAD: dict[str, Callable[[Path], None]] = {
    "someone/classifier": lambda folder: _classifier(folder, labels=("bad", "good")),
    "someone/sharded": _sharded,
    "someone/vocabulary-only": _vocabulary_only,
    "someone/markup-labels": lambda folder: _classifier(folder, labels=MARKUP),
    "someone/fill-mask": lambda folder: tiny_models.bert(folder, "BertForMaskedLM"),
    "someone/no-head": _no_head,
    "someone/own-code": _own_code,
    "someone/own-tokenizer": _own_tokenizer,
    "someone/pickle-only": _pickle_only,
    "someone/nothing": lambda folder: None,
    "someone/no-weights": _weights_missing,
    "someone/broken-config": _broken_config,
    "someone/broken-weights": _broken_weights,
    "someone/no-tokenizer": _no_tokenizer,
    "someone/small-vocabulary": _small_vocabulary,
}
