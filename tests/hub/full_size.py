"""Models of the course's true sizes: the architectures and vocabularies of the real ones, with random weights.

Each is written when it is needed and holds half-precision safetensors, so that all of them together, here and in the
Hub's cache, stay under 4 GB of disk. A true vocabulary cannot be trained on a few sentences: the small tokenizers of
tiny_tokenizers.py are filled up with pieces that no text has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hub import tiny_clip
from tests.hub import tiny_tokenizers as tokenizers

STD = 0.02


@dataclass(frozen=True)
class Big:
    """One model.

    Attributes:
        id: Its id at the local Hub, which no catalog lists.
        task: What it is for.
        parameters: As the real model has them, in millions; within two per cent.
        make: Writes its folder.
    """

    id: str
    task: str
    parameters: float
    make: Callable[[Path], None]


def build(root: Path, big: Big) -> Path:
    """Write a model for the local Hub; returns its folder."""
    folder = root / big.id
    folder.mkdir(parents=True)
    big.make(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nRandom weights, for tests.\n", "utf-8")
    return folder


def _bert(folder: Path) -> None:
    config = {"do_lower_case": True, "model_max_length": 512}
    tokenizers.wordpiece(folder, lower=True, fast=True, config=config)
    _fill(folder, 30_522)
    _save(folder, "BertForMaskedLM", vocab_size=30_522)


def _electra(folder: Path) -> None:
    config = {"do_lower_case": False, "tokenizer_class": "ElectraTokenizer", "model_max_length": 512}
    tokenizers.wordpiece(folder, lower=False, fast=True, config=config)
    _fill(folder, 35_000)
    _save(
        folder, "ElectraForSequenceClassification", vocab_size=35_000, embedding_size=768, hidden_size=768,
        intermediate_size=3072, num_attention_heads=12, labels=("negative", "neutral", "positive"),
    )  # fmt: skip


def _deberta(folder: Path) -> None:
    tokenizers.deberta(folder)
    _fill(folder, 128_000)
    (folder / "spm.model").unlink()  # it has the small vocabulary
    _save(
        folder, "DebertaV2ForSequenceClassification", vocab_size=128_100, hidden_size=768, num_hidden_layers=12,
        num_attention_heads=12, intermediate_size=3072, relative_attention=True, position_buckets=256,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False,
        max_relative_positions=-1, type_vocab_size=0, layer_norm_eps=1e-7, pooler_hidden_size=768,
        labels=("entailment", "neutral", "contradiction"),
    )  # fmt: skip


def _clip(folder: Path) -> None:
    tiny_clip.tokenizer(folder, 49_408)
    shape = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "num_hidden_layers": 12}
    ids = {"vocab_size": 49_408, "bos_token_id": 49_406, "eos_token_id": 49_407, "pad_token_id": 1}
    _save(folder, "CLIPModel", projection_dim=512, text_config=shape | ids, vision_config={"patch_size": 32})
    pixels = {**tiny_clip.CLIP_PIXELS, "crop_size": 224, "size": 224}
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels), "utf-8")


def _qwen(folder: Path) -> None:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    config = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    tokenizers.byte_bpe(folder, special=special, config=config | {"model_max_length": 32_768, "unk_token": None})
    _fill(folder, 151_646)
    _save(
        folder, "Qwen2ForCausalLM", half="bfloat16", vocab_size=151_936, hidden_size=896, intermediate_size=4864,
        num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2, max_position_embeddings=32_768,
        max_window_layers=21, tie_word_embeddings=True, bos_token_id=0, eos_token_id=2, rms_norm_eps=1e-6,
    )  # fmt: skip


BERT = Big("true/bert-base", "fill_mask", 109.5, _bert)
ELECTRA = Big("true/electra-base", "sentiment", 112.9, _electra)
DEBERTA = Big("true/deberta-v3-base", "zero_shot", 184.4, _deberta)
CLIP = Big("true/clip-vit-base-patch32", "image_text", 151.3, _clip)
QWEN = Big("true/qwen2-0.5b", "generate", 494.0, _qwen)
MODELS = (BERT, ELECTRA, DEBERTA, CLIP, QWEN)


def _fill(folder: Path, size: int) -> None:
    """Fill a vocabulary up to `size` ids, in each file that holds it; tokens added behind it move along."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    vocab = content["model"]["vocab"]
    behind = {each["content"] for each in content["added_tokens"] if each["id"] >= len(vocab)}
    new = [f"[unused{number}]" for number in range(size - len(vocab))]
    for each in content["added_tokens"]:
        each["id"] += len(new) if each["content"] in behind else 0
    if isinstance(vocab, dict):
        vocab.update({token: len(vocab) + number for number, token in enumerate(new)})
    else:
        vocab.extend([token, -100.0] for token in new)
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    if (folder / "vocab.txt").exists():
        with (folder / "vocab.txt").open("a", encoding="utf-8") as file:
            file.writelines(f"{token}\n" for token in new)
    if (folder / "vocab.json").exists():
        (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), "utf-8")
    if (folder / "added_tokens.json").exists():
        (folder / "added_tokens.json").write_text(json.dumps(dict.fromkeys(behind, size)), "utf-8")


def _save(folder: Path, name: str, *, half: str = "float16", labels: tuple[str, ...] = (), **config: Any) -> None:
    """Write a model's configuration and weights, drawn in half precision at once."""
    import torch
    import transformers
    from safetensors.torch import save_file

    architecture = getattr(transformers, name)
    settings = architecture.config_class(**config)
    if labels:
        settings.id2label = dict(enumerate(labels))
        settings.label2id = {label: number for number, label in enumerate(labels)}
    with torch.device("meta"):
        model = architecture(settings)
    model = model.to(getattr(torch, half)).to_empty(device="cpu")
    model.tie_weights()
    torch.manual_seed(0)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(std=STD)
            else:
                weight.fill_(1.0 if key.endswith("weight") else 0.0)
    content = settings.to_diff_dict() | {"architectures": [name], "model_type": settings.model_type}
    content["torch_dtype"] = half
    content.pop("dtype", None)
    (folder / "config.json").write_text(json.dumps(content, ensure_ascii=False, indent=2), "utf-8")
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    kept = {key: value.contiguous() for key, value in model.state_dict().items() if key not in tied}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
