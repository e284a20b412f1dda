"""What every recipe shares: precision, optimizers, batches, the clock, checkpoints, and accuracy with its interval."""

import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch


def device_and_autocast() -> tuple[torch.device, torch.autocast]:
    """The device to train on, and bf16 autocast where the hardware multiplies bf16 natively.

    Only processors with AVX512-BF16 or AMX do: elsewhere PyTorch emulates bf16, hundreds of times slower than fp32.
    """
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.autocast("cuda", torch.bfloat16, enabled=torch.cuda.is_bf16_supported())
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    native = "avx512_bf16" in flags or "amx_bf16" in flags
    return torch.device("cpu"), torch.autocast("cpu", torch.bfloat16, enabled=native)


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal by five Newton-Schulz steps, for the matrices inside the layers.

    Fewer tokens to the same loss than AdamW, for one small matrix product more per step. Written out because
    torch.optim.Muon computes in bf16 always. Source: https://kellerjordan.github.io/posts/muon/
    """

    def __init__(self, parameters, lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                average = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                average.lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonal(torch.lerp(parameter.grad, average, group["momentum"]))
                scale = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * scale)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The nearest matrix, about, whose singular values are all 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


@dataclass(frozen=True)
class Rates:
    """Peak learning rates: ``matrices`` for Muon; ``rest`` (embeddings, biases, norms, heads) for AdamW."""

    matrices: float
    rest: float


def optimizers(model: torch.nn.Module, rates: Rates, layers: str = ".layer.") -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, which are known by what their names hold, AdamW for the rest."""
    inside = [p for n, p in model.named_parameters() if layers in n and p.ndim == 2]
    chosen = {id(p) for p in inside}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        Muon(inside, lr=rates.matrices),
        torch.optim.AdamW(rest, lr=rates.rest, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    ]


def set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("peak", group["lr"]) * factor


def warm_up_then_decay(progress: float, warm_up: float = 0.03, decay_from: float = 0.3) -> float:
    """The share of the peak rate at ``progress`` (0-1): a short rise, a plateau, a straight line down to zero."""
    if progress < warm_up:
        return progress / warm_up
    return min(1.0, max(0.0, (1 - progress) / (1 - decay_from)))


class Clock:
    """Counts training minutes across interruptions, so that a schedule fits the time a class has."""

    def __init__(self, minutes: float, spent: float = 0.0):
        self.minutes, self._start = minutes, time.monotonic() - spent * 60

    @property
    def spent(self) -> float:
        return (time.monotonic() - self._start) / 60

    @property
    def progress(self) -> float:
        return min(1.0, self.spent / self.minutes)


def batches(lengths: np.ndarray, tokens: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Indices in batches of about ``tokens`` tokens, rows of like length together so that padding costs nothing.

    Example: lengths [3, 9, 3, 9] with tokens=6 gives [0, 2], [1] and [3], in random order.
    """
    order = np.lexsort((rng.random(len(lengths)), lengths))
    cuts, start = [], 0
    while start < len(order):
        end = start + max(1, tokens // max(1, int(lengths[order[start]])))
        while end > start + 1 and (end - start) * lengths[order[min(end, len(order)) - 1]] > tokens * 1.1:
            end -= 1
        cuts.append(order[start:end])
        start = end
    for number in rng.permutation(len(cuts)):
        yield cuts[number]


def save_checkpoint(path: Path, **state) -> None:
    """Written beside and renamed, so that an interruption leaves the previous checkpoint whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def publish(folder: Path, target: Path) -> None:
    """Moves the files of a finished folder into ``target`` one rename at a time, keeping what else stands there."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.iterdir()):
        compact(file)
        file.chmod(0o644)
        os.replace(file, target / file.name)
    folder.rmdir()


def compact(file: Path) -> None:
    """Takes the white space out of a tokenizer.json: a third of it, and the pocket models share a hundred megabytes."""
    if file.name == "tokenizer.json":
        value = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def accuracy(right: np.ndarray) -> dict[str, float]:
    """Accuracy with its 95 % Wilson interval.

    Example: accuracy(np.array([1, 1, 0, 1])) gives {"value": 0.75, "low": 0.3006, "high": 0.9544, "n": 4}
    """
    n, p, z = len(right), float(np.mean(right)), 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return {"value": round(p, 4), "low": round(middle - half, 4), "high": round(middle + half, 4), "n": n}


def macro_f1(labels: np.ndarray, predictions: np.ndarray) -> float:
    scores = []
    for label in np.unique(labels):
        hit = np.sum((predictions == label) & (labels == label))
        scores.append(2 * hit / (np.sum(predictions == label) + np.sum(labels == label)))
    return round(float(np.mean(scores)), 4)
