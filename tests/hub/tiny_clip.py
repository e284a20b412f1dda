"""Tiny image-text models with random weights, but the architecture and the files of the real ones.

As on the Hub: openai's holds a pickle and an old preprocessor configuration, Google's SigLIP 2 names no architecture
in config.json and fills every text to 64 tokens, the Korean CLIP has safetensors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.hub.tiny_tokenizers import SENTENCES

CLIP = "openai/clip-vit-base-patch32"
SIGLIP = "google/siglip2-base-patch16-224"
KOREAN = "Bingsu/clip-vit-large-patch14-ko"
TEXT_ONLY = "someone/only-the-text-tower"
PIXELS = 32
SIZE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
CLIP_PIXELS = {
    "crop_size": PIXELS, "do_center_crop": True, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": PIXELS,
}  # fmt: skip
SIGLIP_PIXELS = {
    "do_convert_rgb": None, "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3,
    "image_processor_type": "SiglipImageProcessor", "image_std": [0.5] * 3, "processor_class": "SiglipProcessor",
    "resample": 2, "rescale_factor": 1 / 255, "size": {"height": PIXELS, "width": PIXELS},
}  # fmt: skip


def build(root: Path) -> None:
    """Write every model under its id, unless it is there."""
    import torch

    for number, (model_id, make) in enumerate(MODELS.items()):
        folder = root / model_id
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        torch.manual_seed(100 + number)
        make(folder)


def _clip(folder: Path, *, pickled: bool) -> None:
    size = tokenizer(folder)
    text = {**SIZE, "vocab_size": size, "max_position_embeddings": 77, "bos_token_id": size - 2, "pad_token_id": 1}
    text["eos_token_id"] = size - 1
    vision = {**SIZE, "image_size": PIXELS, "patch_size": 8}
    _save(folder, "CLIPModel", {"text_config": text, "vision_config": vision, "projection_dim": 24}, pickled=pickled)
    _write(folder, "preprocessor_config.json", CLIP_PIXELS)


def _siglip(folder: Path) -> None:
    size = _gemma_tokenizer(folder)
    text = {**SIZE, "vocab_size": size, "max_position_embeddings": 64, "projection_size": 32}
    vision = {**SIZE, "image_size": PIXELS, "patch_size": 8}
    _save(folder, "SiglipModel", {"text_config": text, "vision_config": vision}, named=False)
    _write(folder, "preprocessor_config.json", SIGLIP_PIXELS)


def _text_only(folder: Path) -> None:
    size = tokenizer(folder)
    _save(folder, "CLIPTextModelWithProjection", {**SIZE, "vocab_size": size, "projection_dim": 24})


def _save(folder: Path, name: str, config: dict[str, Any], *, pickled: bool = False, named: bool = True) -> None:
    import torch
    import transformers
    from safetensors.torch import save_file

    architecture = getattr(transformers, name)
    settings = architecture.config_class(**config)
    model = architecture(settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.2 if parameter.dim() > 1 else 0.05))
    content = settings.to_diff_dict() | {"model_type": settings.model_type}
    if named:
        content["architectures"] = [name]
    _write(folder, "config.json", content)
    tensors = {key: value.detach().clone().contiguous() for key, value in model.state_dict().items()}
    if pickled:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def tokenizer(folder: Path, size: int = 0) -> int:
    """vocab.json, merges.txt and the tokenizer.json made from them: BPE of lower-cased words that end in </w>.

    Args:
        size: Fills the vocabulary up to so many tokens, with some that no text has; 0 leaves it as it is trained.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=700, end_of_word_suffix="</w>", show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    trained.train_from_iterator(SENTENCES, trainer)
    model = json.loads(trained.to_str())["model"]
    vocab = dict(model["vocab"])
    vocab |= {f"[unused{number}]</w>": number for number in range(len(vocab), size - 2)}
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocab[token] = len(vocab)
    _write(folder, "vocab.json", vocab)
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    special["unk_token"] = "<|endoftext|>"
    _write(folder, "special_tokens_map.json", special)
    _write(folder, "tokenizer_config.json", {**special, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"})
    return len(vocab)


def _gemma_tokenizer(folder: Path) -> int:
    """tokenizer.json of Gemma's kind: BPE over the whole text with a mark for spaces, and <eos> at the end."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    config = {**names, "add_bos_token": False, "add_eos_token": True, "model_max_length": 64}
    _write(folder, "tokenizer_config.json", {**config, "tokenizer_class": "GemmaTokenizer"})
    _write(folder, "special_tokens_map.json", names)
    return tokenizer.get_vocab_size()


def _write(folder: Path, name: str, content: dict) -> None:
    (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=2), "utf-8")


MODELS = {
    CLIP: lambda folder: _clip(folder, pickled=True),
    SIGLIP: _siglip,
    KOREAN: lambda folder: _clip(folder, pickled=False),
    TEXT_ONLY: _text_only,
}
