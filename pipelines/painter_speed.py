"""What makes a painter faster on a GPU (CLASSROOM_PAINTER_SPEED).

    auto    query, key and value come from one product of matrices instead of three; the attention is that of torch's
            own which is fastest on this GPU, as measured when the model is loaded; the repeated blocks are compiled.
            The pictures stay what they are, but for rounding.
    cached  the same, and a step that hardly changes the first block's result takes that of the other blocks from the
            step before (diffusers' FirstBlockCache). The pictures change a little, so the run says so.
    off     as diffusers does it.

See huggingface.co/docs/diffusers/optimization/fp16, …/optimization/attention_backends and …/optimization/cache.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines import zero_gpu
from settings import SETTINGS

log = logging.getLogger(__name__)

# Nothing of these is downloaded, as the faster kernels for one kind of GPU would be.
ATTENTIONS = ("native", "_native_cudnn", "_native_flash")
# Another attention than the usual one must be so many times faster, in the shape of a picture of 1024 x 1024.
FASTER, PLACES = 1.03, 4096 + 256
# Fewer parameters are not worth the time that compiling takes.
WORTH_COMPILING = 500_000_000
# Relative change of the first block's result below which a step is skipped; with few steps each changes much.
THRESHOLD, LEAST_STEPS = 0.08, 8
# Blocks of all models share this many compiled versions; diffusers' own number of 8 is used up by two models.
MOST_VERSIONS = 64
_SEPARATE = ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj")


@dataclass(frozen=True)
class Tuned:
    """What was done to a painter.

    Attributes:
        fused: Attention layers whose projections are one product now.
        attention: Name of diffusers' attention backend; "" where the model does not ask for one.
        compiled: The repeated blocks are compiled when they first run.
        cached: Steps may be skipped.
    """

    fused: int = 0
    attention: str = ""
    compiled: bool = False
    cached: bool = False


def tune(pipe: Any, device: str, steps: int, whole: bool = True, speed: str | None = None) -> Tuned:
    """Make a loaded painter faster, if it is on a GPU; other devices are left alone.

    Args:
        pipe: The diffusers pipeline, moved to where it runs.
        device: "cpu" or "cuda:0".
        steps: Steps it takes when nobody says otherwise.
        whole: It stays on the GPU; a model whose parts wait in the RAM is not compiled.
        speed: As CLASSROOM_PAINTER_SPEED, which it takes when left out.
    """
    speed = speed or SETTINGS.painter_speed
    if speed == "off" or not device.startswith("cuda"):
        return Tuned()
    model = denoiser(pipe)
    fused = fuse(model)
    attention = attend(model, device)
    cached = speed == "cached" and steps >= LEAST_STEPS and skip_steps(model)
    compiled = whole and can_compile() and sum(each.numel() for each in model.parameters()) >= WORTH_COMPILING
    if compiled:
        compile_blocks(model)
    done = Tuned(fused, attention, compiled, cached)
    log.info("%s: %s", type(model).__name__, done)
    return done


def denoiser(pipe: Any) -> Any:
    """Return the part of a pipeline that runs in every step."""
    return getattr(pipe, "transformer", None) or getattr(pipe, "unet", None)


def fuse(model: Any) -> int:
    """Make one product of the projections to query, key and value; returns in how many attention layers.

    diffusers keeps the separate weights beside the fused ones, 4 GB of FLUX.1; here they go, layer by layer.
    """
    from diffusers.models.attention import AttentionModuleMixin
    from diffusers.models.attention_processor import Attention, AttnProcessor2_0, FusedAttnProcessor2_0

    fused = 0
    for layer in list(model.modules()):
        if isinstance(layer, AttentionModuleMixin) and layer._supports_qkv_fusion:
            layer.fuse_projections()
        elif isinstance(layer, Attention) and type(layer.processor) is AttnProcessor2_0:
            # What fuse_qkv_projections of a U-Net does, which would hold all of these weights twice for a while.
            layer.fuse_projections()
            layer.set_processor(FusedAttnProcessor2_0())
        else:
            continue
        if not layer.fused_projections:
            continue
        fused += 1
        kept = ("to_q",) if hasattr(layer, "to_kv") else ()
        for name in _SEPARATE:
            if name not in kept and getattr(layer, name, None) is not None:
                delattr(layer, name)
    return fused


def attend(model: Any, device: str, names: Sequence[str] = ATTENTIONS) -> str:
    """Give a model the fastest attention; returns its name, or "" where the model leaves the choice to torch (U-Nets).

    Only this model gets it: diffusers' `set_attention_backend` of a whole model changes all others too.
    """
    from diffusers.models.attention import AttentionModuleMixin

    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, AttentionModuleMixin) and hasattr(layer.processor, "_attention_backend")
    ]
    if not layers:
        return ""
    config = model.config
    name = fastest(config.num_attention_heads, config.attention_head_dim, device, model.dtype, names)
    for layer in layers:
        layer.set_attention_backend(name)
    return name


def fastest(
    heads: int, width: int, device: str, dtype: Any, names: Sequence[str] = ATTENTIONS, places: int = PLACES
) -> str:
    """Return the attention that takes least time here, of those that work; the first unless another is much faster.

    Args:
        heads, width: Number of heads, and numbers that each has for a place.
        names: Names of diffusers' attention backends.
        places: Places of picture and prompt together.
    """
    import torch
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    sample = torch.randn(1, places, heads, width, device=device, dtype=dtype)
    took: dict[str, float] = {}
    for name in names:
        try:
            with torch.inference_mode():
                took[name] = _shortest(
                    lambda name=name: dispatch_attention_fn(sample, sample, sample, backend=AttentionBackendName(name)),
                    device,
                )
        except Exception as error:
            log.debug("attention %s does not work here: %s", name, error)
    usual = names[0]
    best = min(took, key=took.__getitem__, default=usual)
    return best if usual not in took or took[usual] >= FASTER * took[best] else usual


def skip_steps(model: Any) -> bool:
    """Let a model skip the steps that change little; tells whether it can."""
    from diffusers import FirstBlockCacheConfig

    if not hasattr(model, "enable_cache"):
        return False
    model.enable_cache(FirstBlockCacheConfig(threshold=THRESHOLD))
    return True


def can_compile() -> bool:
    """Tell whether torch.compile has all it needs; a process that ZeroGPU lends a GPU is gone too soon for it."""
    from torch.utils._triton import has_triton

    compilers = (os.environ.get("CC"), "gcc", "clang")
    return any(map(shutil.which, filter(None, compilers))) and has_triton() and not zero_gpu.on()


def compile_blocks(model: Any, **options: Any) -> None:
    """Have the repeated blocks compiled when they first run, which takes that one run longer.

    Args:
        options: Those of torch.compile.
    """
    import torch

    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, MOST_VERSIONS)
    model.compile_repeated_blocks(**options)


def without_compiling(pipe: Any, error: Exception) -> bool:
    """Undo `compile_blocks` when an error comes from compiling; tells whether the run is to be tried again."""
    modules = getattr(denoiser(pipe), "modules", tuple)()
    blocks = [block for block in modules if getattr(block, "_compiled_call_impl", None) is not None]
    if not blocks:
        return False
    from torch._dynamo.exc import TorchDynamoException

    if not isinstance(error, TorchDynamoException):
        return False
    log.warning("goes on without compiling: %s", f"{type(error).__name__}: {error}".splitlines()[0])
    for block in blocks:
        block._compiled_call_impl = None
    return True


def begin(pipe: Any) -> None:
    """Forget the last run's steps, also when it was broken off: nothing of its picture goes into this one."""
    model = denoiser(pipe)
    if getattr(model, "is_cache_enabled", False):
        model._reset_stateful_cache()


def told(pipe: Any) -> dict[str, str]:
    """Return what the details of a picture say of skipped steps: nothing when none are."""
    config = getattr(denoiser(pipe), "_cache_config", None)
    return {} if config is None else {"step_cache": f"FirstBlockCache {config.threshold:g}"}


def _shortest(call: Any, device: str, times: int = 5) -> float:
    """Seconds of the shortest of some calls, after a first one."""
    import torch

    best = float("inf")
    for turn in range(times + 1):
        start = time.perf_counter()
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        if turn:
            best = min(best, time.perf_counter() - start)
    return best
