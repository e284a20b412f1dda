"""The CLIP that reads emoji, and its training.

The picture tower reads only part of a canvas while it learns: mostly the patches that the emoji touches, as in FLIP
(https://arxiv.org/abs/2212.00794). Pictures and texts are drawn to one learned vector per concept, which is a full
softmax over all concepts at every step, and to each other, as in CLIP (https://arxiv.org/abs/2103.00020).
"""

import copy
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate, linear, normalize, scaled_dot_product_attention

from recipes._emoji import Emoji, Wordings
from recipes._emoji_canvas import Difficulty, compose
from recipes._training import Clock, Muon, device_and_autocast, save_checkpoint, set_rates

SIDE, PATCH = 80, 8


def new_clip(tokenizer, width: int = 192, layers: int = 4, text_layers: int = 2):
    """A CLIPModel from nothing. Places begin as sines and cosines; the patches' filters are set by ``whiten``."""
    from transformers import CLIPConfig, CLIPModel

    tower = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_attention_heads": width // 48,
        "hidden_act": "gelu",
        "projection_dim": width,
    }
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    text = {
        **tower,
        **special,
        "num_hidden_layers": text_layers,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": tokenizer.model_max_length,
    }
    vision = {**tower, "num_hidden_layers": layers, "image_size": SIDE, "patch_size": PATCH}
    model = CLIPModel(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=width, logit_scale_init_value=2.7)
    )
    with torch.no_grad():
        model.vision_model.embeddings.position_embedding.weight[1:] = plane_waves(SIDE // PATCH, width) * 0.5
    return model


def plane_waves(cells: int, width: int) -> torch.Tensor:
    """(cells * cells, width): sines and cosines of row and column."""
    speeds = torch.exp(torch.linspace(0, -3.5, width // 4)) * 1.6
    angles = torch.arange(cells)[:, None] * speeds
    line = torch.cat([angles.sin(), angles.cos()], 1)
    rows, columns = line[:, None].expand(-1, cells, -1), line[None].expand(cells, -1, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1)


def patches(canvas: torch.Tensor) -> torch.Tensor:
    """(count, 3, side, side) in 0-1 to (count, cells, 3 * PATCH * PATCH), in -1 to 1 as the processor gives them."""
    blocks = (canvas * 2 - 1).unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    return blocks.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


@torch.no_grad()
def whiten(model, canvas: torch.Tensor) -> None:
    """Sets the patches' filters to whitened principal components, so that learning starts with all detail at hand."""
    filters = model.vision_model.embeddings.patch_embedding.weight
    rows = patches(canvas).flatten(0, 1)
    values, vectors = torch.linalg.eigh(torch.cov(rows.T))
    count = min(len(filters), len(values))
    chosen = (vectors[:, -count:] / (values[-count:] + 0.01).sqrt()).T
    filters.zero_()
    filters[:count] = chosen.view(count, *filters.shape[1:])
    mixing, _ = torch.linalg.qr(torch.randn(len(filters), len(filters)))
    filters.copy_((mixing @ filters.flatten(1)).view_as(filters) * 0.7)


def see(model, canvas: torch.Tensor, cover: torch.Tensor | None = None, keep: int = 0) -> torch.Tensor:
    """Unit vectors of canvases. With ``keep``, from that many patches, those under ``cover`` first."""
    tower = model.vision_model
    cells, places = patches(canvas), tower.embeddings.position_embedding.weight[1:]
    filters = tower.embeddings.patch_embedding.weight.flatten(1)
    if keep and keep < cells.shape[1]:
        touched = avg_pool2d(cover, PATCH).flatten(1) > 0.01
        chosen = (touched + torch.rand(touched.shape, device=cover.device)).topk(keep).indices
        cells = cells.gather(1, chosen[..., None].expand(-1, -1, cells.shape[-1]))
        places = places[chosen]
    first = tower.embeddings.class_embedding + tower.embeddings.position_embedding.weight[0]
    hidden = torch.cat([first.expand(len(cells), 1, -1), linear(cells, filters) + places], 1)
    hidden = tower.pre_layrnorm(hidden)
    for layer in tower.encoder.layers[:-1]:
        hidden = layer(hidden, None)
    first = first_of_layer(tower.encoder.layers[-1], hidden)
    return normalize(model.visual_projection(tower.post_layernorm(first)), dim=-1)


def first_of_layer(layer: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """A CLIPEncoderLayer for the first place only, the one that is pooled: (rows, length, width) -> (rows, width)."""
    attention, normed = layer.self_attn, layer.layer_norm1(hidden)

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)

    context = scaled_dot_product_attention(
        heads(attention.q_proj(normed[:, :1])), heads(attention.k_proj(normed)), heads(attention.v_proj(normed))
    )
    first = hidden[:, 0] + attention.out_proj(context.transpose(1, 2).flatten(2))[:, 0]
    return first + layer.mlp(layer.layer_norm2(first))


def read(model, tokenizer, texts: list[str]) -> torch.Tensor:
    """Unit vectors of texts."""
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(model.device)
    return normalize(model.text_projection(model.text_model(**inputs).pooler_output), dim=-1)


@torch.no_grad()
def read_all(model, tokenizer, texts: list[str], batch: int = 420) -> torch.Tensor:
    return torch.cat([read(model, tokenizer, texts[i : i + batch]) for i in range(0, len(texts), batch)])


def looks(emoji: Emoji, width: int, side: int = 16) -> torch.Tensor:
    """(concepts, width) unit vectors in which emoji that look alike lie near one another.

    They are the principal components of the shrunken pictures, the fine ones lifted. Towards such vectors the tower
    learns from every picture something that holds for all; towards random ones it would learn each by heart.
    """
    own = torch.tensor(emoji.by_concept()[0])
    pixels = interpolate(emoji.pictures[own].float() / 255, size=(side, side), mode="area").flatten(1)
    left, values, _ = torch.linalg.svd(pixels - pixels.mean(0), full_matrices=False)
    return normalize(left[:, :width] * values[:width] ** 0.3, dim=-1)


class Learner(torch.nn.Module):
    """The CLIPModel and what is thrown away in the end: one vector per concept, and the sharpness of that softmax."""

    def __init__(self, clip, looks: torch.Tensor):
        super().__init__()
        self.clip = clip
        self.concepts = torch.nn.Parameter(looks)
        self.sharpness = torch.nn.Parameter(torch.tensor(2.7))

    def against_concepts(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors @ normalize(self.concepts, dim=-1).T * self.sharpness.exp().clamp(max=60)


@dataclass(frozen=True)
class Plan:
    """``tokens`` patches in all are read in a step, ``keep`` of every canvas; texts come along for ``texts`` canvases.

    From ``names_from`` (a share of the training) on, pictures are also scored against the texts of all names.
    """

    minutes: float
    matrices: float = 0.02
    rest: float = 0.003
    concepts: float = 0.0004
    tokens: int = 4400
    keep: tuple[int, ...] = (14, 16, 18, 22, 28)
    keep_late: tuple[int, ...] = (22, 30, 44, 100)
    late_from: float = 0.8
    texts: int = 64
    names_from: float = 0.55
    variants: float = 0.08
    average: float = 0.995


def optimizers(model: Learner, plan: Plan) -> list[torch.optim.Optimizer]:
    inside = [p for n, p in model.named_parameters() if ".layers." in n and p.ndim == 2]
    chosen = {id(p) for p in inside} | {id(model.concepts)}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    groups = [{"params": rest}, {"params": [model.concepts], "lr": plan.concepts, "weight_decay": 0.0}]
    return [
        Muon(inside, lr=plan.matrices),
        torch.optim.AdamW(groups, lr=plan.rest, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    ]


def rate(progress: float) -> float:
    """A short rise, then a straight line down from a third of the training on."""
    return min(1.0, progress / 0.015, max(0.0, (1 - progress) / 0.65) + 0.01)


def several_right(logits: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cross-entropy where every row may have several right answers, any of which will do."""
    hit = logits.masked_fill(~right, float("-inf")).logsumexp(-1)
    return (logits.logsumexp(-1) - hit)[right.any(-1)].mean()


class Deck:
    """Deals concepts so that each comes as often as any other, and for each a picture: its own or a skin tone's."""

    def __init__(self, emoji: Emoji, variants: float):
        self._own, self._variants, self._share, self._left = *emoji.by_concept(), variants, []

    def deal(self, count: int) -> tuple[list[int], torch.Tensor]:
        while len(self._left) < count:
            self._left += np.random.permutation(len(self._own)).tolist()
        concepts, self._left = self._left[:count], self._left[count:]
        files = [
            random.choice(self._variants[c]) if self._variants[c] and random.random() < self._share else self._own[c]
            for c in concepts
        ]
        return concepts, torch.tensor(files)


def train(clip, tokenizer, emoji: Emoji, plan: Plan, checkpoint: Path, watch):
    """Trains for ``plan.minutes`` and returns the averaged Learner; goes on from ``checkpoint`` if there is one.

    Args:
        watch: called every few minutes with the averaged CLIPModel; returns a line to print.
    """
    words, deck, autocast = Wordings(emoji), Deck(emoji, plan.variants), device_and_autocast()[1]
    model = Learner(clip, looks(emoji, clip.config.projection_dim))
    average, steppers = copy.deepcopy(model).requires_grad_(False), optimizers(model, plan)
    clock, step, names, running = Clock(plan.minutes), 0, None, {}
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        for stepper, saved in zip(steppers, state["optimizers"], strict=True):
            stepper.load_state_dict(saved)
        clock, step = Clock(plan.minutes, state["spent"]), state["step"]
    torch.manual_seed(step)
    np.random.seed(step)
    random.seed(step)
    saved, watched, seen = clock.spent, clock.spent, 0
    while clock.progress < 1:
        progress = clock.progress
        set_rates(steppers, rate(progress))
        keep = random.choice(plan.keep_late if progress > plan.late_from else plan.keep)
        concepts, files = deck.deal(plan.tokens // (keep + 1))
        target = torch.tensor(concepts)
        canvas, cover = compose(emoji, files, Difficulty.at(progress), SIDE)
        asked = min(plan.texts, len(concepts))
        texts, owners = zip(*(words.sample(c, random) for c in concepts[:asked]), strict=True)
        with autocast:
            image, text = see(model.clip, canvas, cover, keep), read(model.clip, tokenizer, list(texts))
        image, text = image.float(), text.float()
        meant = torch.zeros(asked, len(emoji.concepts), dtype=torch.bool)
        for row, places in enumerate(owners):
            meant[row, places] = True
        scale = model.clip.logit_scale.exp().clamp(max=60)
        pair = text @ image.T * scale
        parts = {
            "image": cross_entropy(model.against_concepts(image), target),
            "text": cross_entropy(model.against_concepts(text), meant / meant.sum(1, keepdim=True)),
            "pair": (several_right(pair, meant[:, target]) + several_right(pair.T, meant[:, target].T)) / 2,
        }
        if progress > plan.names_from:
            if names is None or step % 40 == 0:
                names = [read_all(model.clip, tokenizer, words.names[language]) for language in ("en", "ko")]
            parts["names"] = sum(cross_entropy(image @ table.T * scale, target) for table in names) / 2
        near = 1 - (image * normalize(model.concepts.detach()[target], dim=-1)).sum(-1).mean()
        loss = (
            parts["image"]
            + 3 * (1 - progress) * near
            + 0.5 * parts["text"]
            + 0.3 * parts["pair"]
            + 0.7 * parts.get("names", 0.0)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad()
        step, seen = step + 1, seen + len(concepts)
        share = 1 - min(plan.average, (1 + step) / (20 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), share)
        running |= {name: 0.97 * running.get(name, v.item()) + 0.03 * v.item() for name, v in parts.items()}
        if clock.spent > saved + 3 or clock.progress >= 1:
            saved = clock.spent
            means = " ".join(f"{name} {value:.3f}" for name, value in running.items())
            print(f"{clock.spent:5.1f} min, step {step}, {seen / 1000:.0f} thousand canvases: {means}", flush=True)
            save_checkpoint(
                checkpoint,
                model=model.state_dict(),
                average=average.state_dict(),
                optimizers=[stepper.state_dict() for stepper in steppers],
                spent=clock.spent,
                step=step,
            )
        if clock.spent > watched + plan.minutes / 7 or clock.progress >= 1:
            watched = clock.spent
            print(f"      {watch(average.clip)}", flush=True)
    return average


def finish_texts(clip, tokenizer, emoji: Emoji, goals: torch.Tensor, minutes: float, batch: int = 256) -> None:
    """Teaches the text tower alone, in place: every wording to the vector of its concept, (concepts, width).

    Texts are short, so that in a few minutes each name is read a hundred times more than beside the pictures.
    """
    words, deck, clock, step = Wordings(emoji), Deck(emoji, 0.0), Clock(minutes), 0
    tower = torch.nn.ModuleDict({"text": clip.text_model, "projection": clip.text_projection}).requires_grad_(True)
    inside = [p for n, p in tower.named_parameters() if ".layers." in n and p.ndim == 2]
    chosen = {id(p) for p in inside}
    rest = [p for p in tower.parameters() if id(p) not in chosen]
    steppers = [Muon(inside, lr=0.015), torch.optim.AdamW(rest, lr=0.003, betas=(0.9, 0.98), weight_decay=0.0)]
    goals, running = normalize(goals, dim=-1), [0.0, 0.0]
    while clock.progress < 1:
        set_rates(steppers, min(1.0, (step + 1) / 20, 1.3 * (1 - clock.progress)))
        concepts, _ = deck.deal(batch)
        texts, owners = zip(*(words.sample(c, random) for c in concepts), strict=True)
        meant = torch.zeros(batch, len(goals))
        for row, places in enumerate(owners):
            meant[row, places] = 1 / len(places)
        vectors, one = read(clip, tokenizer, list(texts)), torch.tensor([len(places) == 1 for places in owners])
        near = 1 - (vectors * goals[concepts]).sum(-1)[one].mean()
        choice = cross_entropy(vectors @ goals.T * 30, meant)
        (choice + 4 * near).backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 2.0)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad()
        step += 1
        running = [0.97 * mean + 0.03 * value.item() for mean, value in zip(running, (choice, near), strict=True)]
        if step % 50 == 0:
            print(
                f"{clock.spent:5.1f} min, texts, step {step}: choice {running[0]:.3f} near {running[1]:.3f}", flush=True
            )
