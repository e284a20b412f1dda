"""Tiny diffusers repositories with random weights, but the classes, folders and scheduler settings of the real ones.

What surrounds a pipeline on the Hub is there too where choosing files depends on it: a single-file checkpoint at the
top, weights in half precision beside the full ones, a safety checker that no library knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hub import tiny_models
from tests.hub.tiny_clip import tokenizer as clip_tokenizer
from tests.hub.tiny_tokenizers import SENTENCES

SCHNELL, DEV = "black-forest-labs/FLUX.1-schnell", "black-forest-labs/FLUX.1-dev"
KLEIN = "black-forest-labs/FLUX.2-klein-4B"
SD, SD_TURBO = "stable-diffusion-v1-5/stable-diffusion-v1-5", "stabilityai/sd-turbo"
SDXL_TURBO = "stabilityai/sdxl-turbo"
TYPED, HALF, SHARDED = "someone/paints", "someone/paints-in-half", "someone/paints-in-shards"
PICKLED, OWN_PART, OWN_PIPELINE = "someone/paints-from-pickle", "someone/paints-with-own-part", "someone/own-pipeline"
OTHER_PIPELINE, BROKEN, TEXT = "someone/makes-sound", "someone/broken-index", "someone/only-text"
UNFINISHED, INCOMPLETE = "someone/without-a-decoder", "someone/without-one-tensor"
CLIP = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
VAE = {
    "block_out_channels": (4, 8), "down_block_types": ("DownEncoderBlock2D",) * 2, "layers_per_block": 1,
    "up_block_types": ("UpDecoderBlock2D",) * 2, "norm_num_groups": 2, "sample_size": 32,
}  # fmt: skip
UNET = {
    "sample_size": 32, "block_out_channels": (4, 8), "layers_per_block": 1, "norm_num_groups": 2,
    "attention_head_dim": 2, "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
FLUX_SHIFT = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}


def build(root: Path) -> None:
    """Write every repository under its id, unless it is there."""
    import torch

    for number, (model_id, make) in enumerate(MODELS.items()):
        folder = root / model_id
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        torch.manual_seed(200 + number)
        make(folder)


def flux(folder: Path, *, guided: bool, **saved: Any) -> None:
    import diffusers

    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        shift=3.0 if guided else 1.0, use_dynamic_shifting=guided, **FLUX_SHIFT
    )
    transformer = diffusers.FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, guidance_embeds=guided, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        **VAE, latent_channels=4, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1, scaling_factor=0.36
    )
    clip, words = _clip(folder)
    t5, pieces = _t5(folder)
    pipe = diffusers.FluxPipeline(
        scheduler=scheduler, vae=vae, text_encoder=clip, tokenizer=words, text_encoder_2=t5, tokenizer_2=pieces,
        transformer=transformer,
    )  # fmt: skip
    _save(pipe, folder, **saved)
    (folder / "flux1.safetensors").write_bytes(b"one large file that nobody needs")


def klein(folder: Path) -> None:
    import diffusers
    import transformers

    settings = transformers.Qwen3Config(
        vocab_size=2000, hidden_size=16, intermediate_size=16, num_hidden_layers=28, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    transformer = diffusers.Flux2Transformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=32, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False,
    )  # fmt: skip
    pipe = diffusers.Flux2KleinPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True, **FLUX_SHIFT),
        vae=diffusers.AutoencoderKLFlux2(**VAE, latent_channels=4),
        text_encoder=transformers.Qwen3ForCausalLM(settings),
        tokenizer=_chat_tokenizer(folder),
        transformer=transformer,
        is_distilled=True,
    )
    _save(pipe, folder)


def sd(folder: Path, *, turbo: bool, **saved: Any) -> None:
    import diffusers

    clip, words = _clip(folder)
    scheduler = (
        diffusers.EulerDiscreteScheduler(**BETAS, timestep_spacing="trailing", steps_offset=1)
        if turbo
        else diffusers.PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1, set_alpha_to_one=False)
    )
    pipe = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(**VAE, latent_channels=4),
        text_encoder=clip,
        tokenizer=words,
        unet=diffusers.UNet2DConditionModel(**UNET, cross_attention_dim=32),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    _save(pipe, folder, **saved)
    if not turbo:  # as the real one: diffusers has the class in a pipeline's folder, and its weights are there
        change(folder, safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"],
               feature_extractor=["transformers", "CLIPImageProcessor"])  # fmt: skip
        (folder / "safety_checker").mkdir()
        (folder / "safety_checker" / "model.safetensors").write_bytes(b"not needed")
    (folder / "v1.ckpt").write_bytes(b"an old checkpoint that nobody needs")


def sdxl(folder: Path) -> None:
    import diffusers

    clip, words = _clip(folder)
    second, more_words = _clip(folder, projected=True)
    unet = diffusers.UNet2DConditionModel(
        **UNET, cross_attention_dim=64, addition_embed_type="text_time", addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2), use_linear_projection=True, projection_class_embeddings_input_dim=80,
    )  # fmt: skip
    pipe = diffusers.StableDiffusionXLPipeline(
        vae=diffusers.AutoencoderKL(**VAE, latent_channels=4, force_upcast=True),
        text_encoder=clip, text_encoder_2=second, tokenizer=words, tokenizer_2=more_words, unet=unet,
        scheduler=diffusers.EulerAncestralDiscreteScheduler(**BETAS, timestep_spacing="trailing"),
    )  # fmt: skip
    _save(pipe, folder)


def change(folder: Path, **values: object) -> None:
    """Set keys of model_index.json."""
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values, indent=2), "utf-8")


def _save(pipe: Any, folder: Path, *, variants: tuple[str | None, ...] = (None,), **saved: Any) -> None:
    for path in folder.glob("*"):  # what the tokenizers were made from
        path.unlink()
    for variant in variants:
        pipe.save_pretrained(folder, variant=variant, **saved)


def _clip(folder: Path, projected: bool = False) -> tuple[Any, Any]:
    import transformers

    size = clip_tokenizer(folder)
    made = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    more = {"projection_dim": 32, "hidden_act": "gelu"} if projected else {}
    settings = {**CLIP, **more, "vocab_size": size, "bos_token_id": size - 2, "eos_token_id": size - 1}
    model = made(transformers.CLIPTextConfig(**settings, pad_token_id=1, max_position_embeddings=77))
    return model.eval(), transformers.CLIPTokenizer.from_pretrained(folder)


def _t5(folder: Path) -> tuple[Any, Any]:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=500, special_tokens=special, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(SENTENCES, trainer)
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )
    settings = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, num_heads=4, d_ff=48, num_layers=2,
        feed_forward_proj="gated-gelu", pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    return transformers.T5EncoderModel(settings).eval(), tokenizer


def _chat_tokenizer(folder: Path) -> Any:
    import transformers

    from tests.hub import tiny_tokenizers

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tiny_tokenizers.byte_bpe(folder, special=special, config=None)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="<|endoftext|>", eos_token="<|im_end|>"
    )
    tokenizer.chat_template = tiny_tokenizers.CHATML
    return tokenizer


def _own_part(folder: Path) -> None:
    sd(folder, turbo=True)
    change(folder, unet=["my_unet", "MyUNet"])
    (folder / "unet" / "my_unet.py").write_text("raise SystemExit('code of a repository was run')\n", "utf-8")


def _own_pipeline(folder: Path) -> None:
    sd(folder, turbo=True)
    change(folder, _class_name=["pipeline", "MyPipeline"])
    (folder / "pipeline.py").write_text("raise SystemExit('code of a repository was run')\n", "utf-8")


def _other_pipeline(folder: Path) -> None:
    sd(folder, turbo=True)
    change(folder, _class_name="AudioLDM2Pipeline")


def _broken(folder: Path) -> None:
    sd(folder, turbo=True)
    (folder / "model_index.json").write_text('{"_class_name": ', "utf-8")


def _unfinished(folder: Path) -> None:
    sd(folder, turbo=True)
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()


def _incomplete(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    sd(folder, turbo=True)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    del tensors["conv_out.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})


MODELS: dict[str, Callable[[Path], None]] = {
    SCHNELL: lambda folder: flux(folder, guided=False),
    DEV: lambda folder: flux(folder, guided=True),
    KLEIN: klein,
    SD: lambda folder: sd(folder, turbo=False, variants=(None, "fp16")),
    SD_TURBO: lambda folder: sd(folder, turbo=True, variants=(None, "fp16")),
    SDXL_TURBO: sdxl,
    TYPED: lambda folder: flux(folder, guided=True),
    HALF: lambda folder: sd(folder, turbo=True, variants=("fp16",)),
    SHARDED: lambda folder: flux(folder, guided=False, max_shard_size="30KB"),
    PICKLED: lambda folder: sd(folder, turbo=True, safe_serialization=False),
    OWN_PART: _own_part,
    OWN_PIPELINE: _own_pipeline,
    OTHER_PIPELINE: _other_pipeline,
    BROKEN: _broken,
    UNFINISHED: _unfinished,
    INCOMPLETE: _incomplete,
    TEXT: lambda folder: tiny_models.bert(folder, "BertForMaskedLM"),
}
