"""Adapters (LoRA) of the small Korean encoder: how they begin, are trained by the clock, saved and loaded.

LoRA: Hu et al. 2021, https://arxiv.org/abs/2106.09685. The body stays where it is, in another pocket folder.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from recipes._english_adapter import fold
from recipes._training import (
    Clock,
    batches,
    device_and_autocast,
    publish,
    save_checkpoint,
    set_rates,
    warm_up_then_decay,
)

POCKET = Path(__file__).parent.parent / "assets" / "pocket"
LINEAR = r".*encoder.*(query|key|value|dense)"


def body_folder(base: str) -> Path:
    """Example: "pocket/sentiment-ko" gives assets/pocket/sentiment-ko"""
    return POCKET / base.removeprefix("pocket/")


def rows_of(tokenizer, texts: list[str]) -> list[list[int]]:
    """Token ids of every text with [CLS] and [SEP], cut at the length that the body takes."""
    return tokenizer(texts, truncation=True, max_length=tokenizer.model_max_length)["input_ids"] if texts else []


def padded(tokenizer, rows: list[list[int]], device) -> dict[str, torch.Tensor]:
    return dict(tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(device))


def endless(lengths: np.ndarray, tokens: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches of like length, pass after pass."""
    while True:
        yield from batches(lengths, tokens, rng)


def train(
    name: str,
    model: torch.nn.Module,
    losses: Callable[[np.random.Generator], Iterator[torch.Tensor]],
    minutes: float,
    rate: float,
    checkpoint: Path,
    watch: Callable[[torch.nn.Module], str],
) -> None:
    """Trains what requires a gradient for ``minutes``; an interrupted run goes on from ``checkpoint``.

    Args:
        losses: called with a random generator; yields the loss of one batch after another.
        watch: called with the model every eighth of the time; returns a line of progress to print.
    """
    device, autocast = device_and_autocast()
    model.to(device).train()
    fold(model)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    clock, part = Clock(minutes), 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["trained"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        clock, part = Clock(minutes, state["spent"]), state["part"] + 1
    torch.manual_seed(part)
    batch, running, next_watch, steps = losses(np.random.default_rng(part)), None, clock.spent + minutes / 8, 0
    while clock.progress < 1:
        set_rates([optimizer], warm_up_then_decay(clock.progress, 0.05, 0.3))
        with autocast:
            loss = next(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        steps += 1
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if clock.spent >= next_watch or clock.progress >= 1:
            model.eval()
            print(f"{name} {clock.spent:5.1f} min, {steps} steps: loss {running:.4f} | {watch(model)}", flush=True)
            model.train()
            next_watch = clock.spent + minutes / 8
            save_checkpoint(
                checkpoint,
                trained={n: p.detach() for n, p in trained.items()},
                optimizer=optimizer.state_dict(),
                spent=clock.spent,
                part=part,
            )
    model.eval()


def save(model, tokenizer, base: str, folder: Path) -> None:
    """A PEFT adapter folder in float16 whose base is another pocket model, with tokenizer and config beside it."""
    from safetensors.torch import load_file, save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        target = Path(part) / folder.name
        model.peft_config["default"].base_model_name_or_path = base
        model.peft_config["default"].inference_mode = True
        model.save_pretrained(target, save_embedding_layers=False)
        weights = load_file(target / "adapter_model.safetensors")
        weights = {name: value.half().contiguous() for name, value in weights.items()}
        save_file(weights, target / "adapter_model.safetensors", metadata={"format": "pt"})
        model.get_base_model().config.save_pretrained(target)
        tokenizer.save_pretrained(target)
        (target / "README.md").unlink(missing_ok=True)
        publish(target, folder)


def load(folder: Path, base: str, auto_class):
    """The body with its adapter merged in, in float32, and the tokenizer: as the app loads it."""
    from peft import PeftModel
    from transformers import AutoConfig, AutoTokenizer

    body = auto_class.from_pretrained(
        body_folder(base),
        config=AutoConfig.from_pretrained(folder),
        dtype=torch.float32,
        ignore_mismatched_sizes=True,  # five stars in place of the body's three classes
    )
    return PeftModel.from_pretrained(body, str(folder)).merge_and_unload().eval(), AutoTokenizer.from_pretrained(folder)
