"""A FLUX.1-schnell of its true configuration with random weights, or a tiny one; nothing is downloaded.

What a product of matrices costs does not depend on the numbers in it. The numbers of the configuration are those of
github.com/black-forest-labs/flux, src/flux/util.py ("flux-schnell"), in diffusers' names; of the encoders those of
huggingface.co/google/t5-v1_1-xxl and huggingface.co/openai/clip-vit-large-patch14, which that file names.
"""

from __future__ import annotations

from typing import Any

# Parameters that the published weights have.
PARAMETERS = {
    "transformer": 11_891_178_560,
    "text_encoder_2": 4_762_310_656,
    "text_encoder": 123_060_480,
    "vae": 83_819_683,
}
TRUE: dict[str, dict[str, Any]] = {
    "transformer": {
        "patch_size": 1, "in_channels": 64, "num_layers": 19, "num_single_layers": 38, "attention_head_dim": 128,
        "num_attention_heads": 24, "joint_attention_dim": 4096, "pooled_projection_dim": 768,
        "guidance_embeds": False, "axes_dims_rope": (16, 56, 56),
    },
    "text_encoder_2": {
        "vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64,
        "feed_forward_proj": "gated-gelu", "relative_attention_num_buckets": 32, "pad_token_id": 0, "eos_token_id": 1,
    },
    "text_encoder": {
        "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "max_position_embeddings": 77, "projection_dim": 768, "hidden_act": "quick_gelu",
    },
    "vae": {
        "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 16,
        "norm_num_groups": 32, "sample_size": 1024, "scaling_factor": 0.3611, "shift_factor": 0.1159,
    },
}  # fmt: skip
_SMALL: dict[str, dict[str, Any]] = {
    "transformer": {
        "num_layers": 1, "num_single_layers": 2, "attention_head_dim": 16, "num_attention_heads": 2,
        "joint_attention_dim": 32, "pooled_projection_dim": 32, "axes_dims_rope": (4, 4, 8),
    },
    "text_encoder_2": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4},
    "text_encoder": {
        "hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4,
        "projection_dim": 32,
    },
    "vae": {"block_out_channels": (8, 16, 16, 16), "layers_per_block": 1, "norm_num_groups": 4},
}  # fmt: skip
TINY = {part: given | _SMALL[part] for part, given in TRUE.items()}
SCHEDULER = {"num_train_timesteps": 1000, "shift": 1.0, "use_dynamic_shifting": False}


def build(settings: dict[str, dict[str, Any]], device: str, dtype: Any) -> Any:
    """Return a FluxPipeline with random weights.

    Args:
        settings: TRUE or TINY.
        device: "meta" gives shapes without numbers.
        dtype: torch dtype of the weights.
    """
    import diffusers
    import torch
    import transformers

    usual = torch.get_default_dtype()
    torch.manual_seed(0)
    try:
        torch.set_default_dtype(dtype)
        with torch.device(device):
            ends = len(TRUE["vae"]["block_out_channels"])
            parts = {
                "transformer": diffusers.FluxTransformer2DModel(**settings["transformer"]),
                "text_encoder_2": transformers.T5EncoderModel(transformers.T5Config(**settings["text_encoder_2"])),
                "text_encoder": transformers.CLIPTextModel(transformers.CLIPTextConfig(**settings["text_encoder"])),
                "vae": diffusers.AutoencoderKL(
                    **settings["vae"],
                    down_block_types=("DownEncoderBlock2D",) * ends,
                    up_block_types=("UpDecoderBlock2D",) * ends,
                    use_quant_conv=False,
                    use_post_quant_conv=False,
                ),
            }
    finally:
        torch.set_default_dtype(usual)
    pipe = diffusers.FluxPipeline(
        **{name: part.eval() for name, part in parts.items()},
        tokenizer=_tokenizer(settings["text_encoder"]["max_position_embeddings"], "<|startoftext|>"),
        tokenizer_2=_tokenizer(512, None),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(**SCHEDULER),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def counts(pipe: Any) -> dict[str, int]:
    """Return {part: number of parameters}."""
    return {name: sum(each.numel() for each in getattr(pipe, name).parameters()) for name in PARAMETERS}


def _tokenizer(length: int, start: str | None) -> Any:
    """A tokenizer that knows single letters; encoders take as long for any ids, since prompts are filled up."""
    import string

    import transformers
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    words = ["<pad>", "</s>", "<unk>", *([start] if start else []), *string.ascii_lowercase]
    ids = {word: number for number, word in enumerate(words)}
    backend = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    single = f"{start} $A </s>" if start else "$A </s>"
    special = [(word, ids[word]) for word in (start, "</s>") if word]
    backend.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=length
    )
