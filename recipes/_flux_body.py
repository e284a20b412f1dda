"""The small FLUX itself: its parts, and the training of transformer and text encoders.

It is FLUX.1 in small: double blocks in which pictures and words attend to each other, then single blocks; words come in
twice, as pieces from a T5 and as one vector from a CLIP (here the text tower of pocket/clip-emoji, which already knows
the names in both languages). Trained by rectified flow (Lipman et al. 2022, https://arxiv.org/abs/2210.02747; Esser et
al. 2024, https://arxiv.org/abs/2403.03206): from a point between picture and noise, say in which direction noise lies.
"""

import copy
import json
import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import mse_loss, scaled_dot_product_attention

from recipes._emoji import TEMPLATES, Emoji, Wordings
from recipes._flux_autoencoder import CHANNELS, falling
from recipes._training import Clock, Muon, save_checkpoint, set_rates

PIECES = 6
# FluxPipeline pads the pieces to 512 unless told otherwise. All padding is alike, so that in training one piece of it
# stands for many, with the logarithm of their number added to the attention it gets.
PADDINGS = (1, 4, 40, 500)
# How often a concept of a group is drawn; those that hardly differ among themselves come less often.
SHARES = {"people-body": 0.35, "symbols": 0.6, None: 0.3, "component": 0.6}


@dataclass
class Parts:
    """What a FluxPipeline is made of."""

    transformer: torch.nn.Module
    clip: torch.nn.Module
    t5: torch.nn.Module
    clip_tokenizer: object
    t5_tokenizer: object

    def modules(self) -> dict[str, torch.nn.Module]:
        return {"transformer": self.transformer, "clip": self.clip, "t5": self.t5}


def train_tokenizer(texts: list[str], pieces: int = 4000):
    """A Unigram tokenizer with T5's padding; no Hangul is unknown to it, for what it lacks it spells in bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    special = ["<pad>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.UnigramTrainer(
        vocab_size=pieces, special_tokens=special, unk_token="<unk>", show_progress=False, shrinking_factor=0.75
    )
    backend.train_from_iterator(texts, trainer)
    rules = json.loads(backend.to_str())
    rules["model"]["byte_fallback"] = True
    rules["added_tokens"] = rules["added_tokens"][:3]
    backend = Tokenizer.from_str(json.dumps(rules))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )


def new_parts(emoji: Emoji, clip_folder: Path, width: int = 256, double: int = 2, single: int = 4) -> Parts:
    """A transformer and a T5 from nothing, and the text tower of a trained CLIP."""
    from diffusers import FluxTransformer2DModel
    from transformers import AutoTokenizer, CLIPTextModel, T5Config, T5EncoderModel

    words = Wordings(emoji)
    tokenizer = train_tokenizer(words.all_texts())
    clip = CLIPTextModel.from_pretrained(clip_folder, dtype=torch.float32)
    t5 = T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=width,
            d_kv=32,
            num_heads=6,
            d_ff=512,
            num_layers=2,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    with torch.no_grad():
        places = t5.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
        places.zero_().requires_grad_(False)  # without places, padding is alike wherever it stands
        t5.shared.weight.normal_(0, 0.5)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * CHANNELS,
        num_layers=double,
        num_single_layers=single,
        attention_head_dim=32,
        num_attention_heads=width // 32,
        joint_attention_dim=width,
        pooled_projection_dim=clip.config.hidden_size,
        guidance_embeds=False,
        axes_dims_rope=(8, 12, 12),
    )
    with torch.no_grad():
        for name, module in transformer.named_modules():
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=0.02 if "norm" in name else module.in_features**-0.5 * 0.7)
                torch.nn.init.zeros_(module.bias)
        torch.nn.init.zeros_(transformer.proj_out.weight)
    return Parts(transformer, clip, t5, AutoTokenizer.from_pretrained(clip_folder), tokenizer)


class ManyPaddings:
    """FLUX's attention, with the last of the text's places counting for ``count`` of its kind."""

    def __init__(self) -> None:
        self.count = 1

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, image_rotary_emb=None):
        from diffusers.models.embeddings import apply_rotary_emb

        def heads(x, norm=None):
            x = x.unflatten(-1, (-1, attn.head_dim))
            return norm(x) if norm else x

        q = heads(attn.to_q(hidden_states), attn.norm_q)
        k = heads(attn.to_k(hidden_states), attn.norm_k)
        v = heads(attn.to_v(hidden_states))
        if encoder_hidden_states is not None:
            q = torch.cat([heads(attn.add_q_proj(encoder_hidden_states), attn.norm_added_q), q], 1)
            k = torch.cat([heads(attn.add_k_proj(encoder_hidden_states), attn.norm_added_k), k], 1)
            v = torch.cat([heads(attn.add_v_proj(encoder_hidden_states)), v], 1)
        q, k = (apply_rotary_emb(x, image_rotary_emb, sequence_dim=1).transpose(1, 2) for x in (q, k))
        bias = torch.zeros(1, 1, 1, k.shape[2], device=k.device, dtype=k.dtype)
        bias[..., PIECES - 1] = math.log(self.count)
        out = scaled_dot_product_attention(q, k, v.transpose(1, 2), attn_mask=bias).transpose(1, 2).flatten(2)
        if encoder_hidden_states is None:
            return out
        text, image = out[:, :PIECES], out[:, PIECES:]
        return attn.to_out[0](image), attn.to_add_out(text)


def pack(latents: torch.Tensor) -> torch.Tensor:
    """(count, C, 8, 8) to (count, 16, 4 C), as FluxPipeline packs them."""
    count, channels, height, width = latents.shape
    cells = latents.view(count, channels, height // 2, 2, width // 2, 2)
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(count, height * width // 4, channels * 4)


def places(cells: int = 4) -> torch.Tensor:
    """(16, 3): row and column of each packed place."""
    grid = torch.zeros(cells, cells, 3)
    grid[..., 1] = torch.arange(cells)[:, None]
    grid[..., 2] = torch.arange(cells)[None]
    return grid.view(-1, 3)


def read(parts: Parts, texts: list[str], paddings: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pieces (count, PIECES, width), the last always padding that counts for ``paddings``; vectors (count, width)."""
    ids = parts.t5_tokenizer(texts, padding="max_length", max_length=PIECES - 1, truncation=True).input_ids
    ids = torch.tensor([[*row, parts.t5_tokenizer.pad_token_id] for row in ids])
    bias = torch.zeros(len(texts), 1, PIECES, PIECES)
    bias[..., -1] = math.log(paddings)
    pieces = parts.t5(input_ids=ids, attention_mask=bias).last_hidden_state
    inputs = parts.clip_tokenizer(texts, padding=True, truncation=True, return_tensors="pt").input_ids
    return pieces, parts.clip(input_ids=inputs).pooler_output


class Speaker:
    """Deals concepts, and for each a text in either language: mostly its name."""

    def __init__(self, emoji: Emoji, seed: int):
        self.words, self.chance = Wordings(emoji), random.Random(seed)
        self.keywords = [{"en": row["en_tags"], "ko": row["ko_tags"]} for row in emoji.concepts]
        shares = np.array([SHARES.get(row["group"], 1.0) for row in emoji.concepts])
        self.shares, self.numbers = shares / shares.sum(), np.random.default_rng(seed)

    def deal(self, count: int) -> tuple[np.ndarray, list[str]]:
        chosen = self.numbers.choice(len(self.shares), size=count, p=self.shares)
        return chosen, [self.text(concept) for concept in chosen]

    def text(self, concept: int) -> str:
        language, kind = self.chance.choice(("en", "ko")), self.chance.random()
        name, keywords = self.words.names[language][concept], self.keywords[concept][language]
        if kind < 0.1:
            return ""
        if kind < 0.17 and keywords:
            keyword = self.chance.choice(keywords)
            return keyword if len(self.words.owners[keyword.lower()]) < 4 else f"{name}, {keyword}"
        if kind < 0.27:
            return self.chance.choice(TEMPLATES[language]).format(name)
        return name


@dataclass(frozen=True)
class Plan:
    """``matrices`` is the peak rate of Muon, for the matrices inside the blocks, ``rate`` that of AdamW for the rest.

    The CLIP, trained before, gets a fifth. Times: logit-normal, moved towards noise.
    """

    minutes: float
    batch: int = 128
    matrices: float = 0.015
    rate: float = 1.2e-3
    shift: float = 0.4
    spread: float = 1.1
    average: float = 0.998


def train(parts: Parts, latents: torch.Tensor, emoji: Emoji, plan: Plan, checkpoint: Path, watch) -> Parts:
    """Trains for ``plan.minutes`` and returns the averaged parts; goes on from ``checkpoint`` if there is one.

    Args:
        latents: (concepts, CHANNELS, 8, 8) of every concept's own picture.
        watch: called every few minutes with the averaged parts.
    """
    attention = ManyPaddings()
    parts.transformer.set_attn_processor(attention)
    models = torch.nn.ModuleDict(parts.modules()).train()
    average = copy.deepcopy(models).requires_grad_(False)
    steppers, learning = optimizers(parts, plan)
    clock, step, running = Clock(plan.minutes), 0, None
    if checkpoint.exists():
        state = torch.load(checkpoint)
        models.load_state_dict(state["models"])
        average.load_state_dict(state["average"])
        for stepper, saved in zip(steppers, state["optimizers"], strict=True):
            stepper.load_state_dict(saved)
        clock, step, running = Clock(plan.minutes, state["spent"]), state["step"], state["running"]
    torch.manual_seed(step)
    speaker, packed, where = Speaker(emoji, step), pack(latents), places()
    nothing = torch.zeros(PIECES, 3)
    saved = watched = clock.spent
    while clock.progress < 1:
        set_rates(steppers, min(1.0, (step + 1) / 100) * falling(clock.progress))
        concepts, texts = speaker.deal(plan.batch)
        attention.count = random.choice(PADDINGS)
        pieces, vectors = read(parts, texts, attention.count)
        clean, noise = packed[torch.from_numpy(concepts)], torch.randn(plan.batch, *packed.shape[1:])
        time = torch.sigmoid(torch.randn(plan.batch) * plan.spread + plan.shift)
        mixed = torch.lerp(clean, noise, time[:, None, None])
        said = parts.transformer(mixed, pieces, vectors, time, where, nothing, return_dict=False)[0]
        loss = mse_loss(said, noise - clean)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad()
        step += 1
        running = loss.item() if running is None else 0.99 * running + 0.01 * loss.item()
        share = 1 - min(plan.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(models.parameters()), share)
        if step % 100 == 0:
            print(f"{clock.spent:5.1f} min, step {step}: {running:.4f}", flush=True)
        if clock.spent > saved + 3 or clock.progress >= 1:
            saved = clock.spent
            state = {"models": models.state_dict(), "average": average.state_dict(), "running": running}
            state["optimizers"] = [stepper.state_dict() for stepper in steppers]
            save_checkpoint(checkpoint, **state, spent=clock.spent, step=step)
        if clock.spent > watched + plan.minutes / 6 or clock.progress >= 1:
            watched = clock.spent
            watch(averaged(parts, average))
    return averaged(parts, average)


def optimizers(parts: Parts, plan: Plan) -> tuple[list[torch.optim.Optimizer], list[torch.nn.Parameter]]:
    """Muon and AdamW, and the parameters of both whose gradients are clipped together."""
    inside, rest = [], []
    for model in (parts.transformer, parts.t5):
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                (inside if "block" in name and parameter.ndim == 2 else rest).append(parameter)
    slow = {"params": list(parts.clip.parameters()), "lr": plan.rate / 5}
    adam = torch.optim.AdamW([{"params": rest}, slow], lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    return [Muon(inside, lr=plan.matrices), adam], inside + rest


def averaged(parts: Parts, average: torch.nn.ModuleDict) -> Parts:
    """The averaged weights in parts of their own, with diffusers' attention."""
    from diffusers.models.transformers.transformer_flux import FluxAttnProcessor

    copies = {name: copy.deepcopy(module).eval() for name, module in average.items()}
    copies["transformer"].set_attn_processor(FluxAttnProcessor())
    return Parts(**copies, clip_tokenizer=parts.clip_tokenizer, t5_tokenizer=parts.t5_tokenizer)


def parts_of(pipe) -> Parts:
    """The parts of a FluxPipeline, to train them further."""
    return Parts(pipe.transformer, pipe.text_encoder, pipe.text_encoder_2, pipe.tokenizer, pipe.tokenizer_2)


def pipeline(parts: Parts, autoencoder):
    """The parts as a FluxPipeline."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.5),
        vae=autoencoder,
        text_encoder=parts.clip,
        tokenizer=parts.clip_tokenizer,
        text_encoder_2=parts.t5,
        tokenizer_2=parts.t5_tokenizer,
        transformer=parts.transformer,
    )
