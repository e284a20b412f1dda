"""From a painter's id to a loaded diffusers pipeline, through the cache of loaded models.

A model that cannot fit is refused before a byte of its weights is fetched. A pipeline's scheduler holds the state of a
run, so whoever paints takes a scheduler of its own (`pipe.scheduler.__class__.from_config(pipe.scheduler.config)`).
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import catalog, hub, loading, painter_files, painter_speed, zero_gpu
from pipelines.cache import ModelCache, default_budget
from pipelines.errors import VisitorError
from pipelines.painter_files import TASK, PainterFiles
from pipelines.painter_habits import Habits, habits
from settings import SETTINGS

__all__ = [
    "POCKET",
    "TASK",
    "Habits",
    "Painter",
    "default_model",
    "habits",
    "memory_mb",
    "offered",
    "refusal",
    "use",
    "warm_up",
]
log = logging.getLogger(__name__)

POCKET = "pocket/flux-emoji"
SMALL = (POCKET, "stabilityai/sd-turbo")
# From this size on, in float32, a CPU that multiplies in bfloat16 is worth the lost digits.
LARGE = 4_000_000_000
# What a run takes on a GPU beside the weights: activations, and the picture while it is decoded.
WORKING = 3_000_000_000
_inherited: list[ModelCache] = []
ITEM = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass
class Painter:
    """A diffusers pipeline ready to paint.

    Attributes:
        id: Hub id or pocket/<name>.
        pipe: The diffusers pipeline. Never use its scheduler in two runs at once.
        habits: How the model is used.
        device: "cpu" or "cuda:0".
        source: "pocket" or "cache".
        load_ms: How long loading took.
    """

    id: str
    pipe: Any
    habits: Habits
    device: str
    source: str
    load_ms: float


@dataclass(frozen=True)
class _Place:
    """Where a model goes: its device, its dtype, whether parts of it wait in the RAM, and the bytes of the weights."""

    device: str
    dtype: str
    offload: bool
    needs: int


def offered() -> tuple[catalog.ModelCard, ...]:
    """Return the listed painters, the smaller first."""
    return catalog.offered(TASK)


def default_model() -> str:
    """Return the id of the painter that paints when the visitor names none.

    The pocket one, unless CLASSROOM_PREFER_HUB is set and another is in the Hub's cache.
    """
    if SETTINGS.prefer_hub:
        for card in offered():
            if not card.pocket and hub.state(card.id) == "cached":
                return card.id
    return POCKET


def memory_mb() -> int:
    """Return the memory a painter may take here, in MB of 10^6: free GPU memory, or what models may take of the RAM."""
    return _room() // 1_000_000


def refusal(files: PainterFiles) -> VisitorError | None:
    """Return the error that `use` would raise because the painter does not fit this machine as it is now; or None."""
    try:
        _place(files, _room())
    except VisitorError as error:
        return error
    return None


@contextmanager
def use(model_id: str) -> Iterator[Painter]:
    """Yield a loaded painter; it is not evicted while in use.

    Raises:
        VisitorError: painter_too_big, wrong_task, own_code, pickle_only, load_failed, out_of_memory, and whatever
            `painter_files.find` and `painter_files.bring` say.
    """
    key = (hub.check_id(model_id), TASK)
    files, expected = None, 0
    if not loading.CACHE.peek(key):
        files = painter_files.find(model_id)
        place = _place(files, _room())
        crowded = place.device != "cpu" and place.needs + WORKING > _free_on_gpu()
        expected = default_budget() if crowded else min(place.needs, default_budget())
    with loading.CACHE.use(key, lambda: _load(files or painter_files.find(model_id)), expected) as painter:
        yield painter


def lent(model_id: str) -> bool:
    """Tell whether a painter is used in another process, which is lent a GPU (see zero_gpu)."""
    return zero_gpu.waits() and model_id != POCKET


def bring(model_id: str) -> None:
    """Download a painter for the process that will have the GPU.

    Raises:
        VisitorError: painter_too_big, and whatever `painter_files.find` and `painter_files.bring` say.
    """
    files = painter_files.find(model_id)
    _place(files, _room())
    painter_files.bring(files)
    with loading._one_at_a_time:
        # A module that another thread is importing when the process is forked can never be imported there.
        import diffusers

        for pipeline in painter_files.FAMILIES:
            getattr(diffusers, pipeline)


def start_afresh() -> None:
    """Make a forked process load for itself: whatever lock of another thread's was held when it began."""
    # Kept: a session of ONNX Runtime that ends in a fork waits for its threads, which are not there.
    _inherited.append(loading.CACHE)
    loading.CACHE = ModelCache(default_budget)
    loading._one_at_a_time = threading.Lock()


def warm_up() -> None:
    """Load the pocket painter, unless the settings say that nothing is loaded before it is asked for."""
    if not SETTINGS.preload:
        return
    try:
        with use(POCKET):
            pass
    except VisitorError as error:
        log.warning("%s is not ready: %s", POCKET, error)


def _place(files: PainterFiles, room: int) -> _Place:
    """Decide where a model goes and in which dtype, when there are `room` bytes for its weights.

    Raises:
        VisitorError: painter_too_big.
    """
    parts = files.parameters()
    total = sum(parts.values())
    if not _gpu(files.id):
        half = total * ITEM["float32"] > LARGE and _multiplies_bfloat16()
        dtype = "bfloat16" if half else "float32"
        place = _Place("cpu", dtype, False, total * ITEM[dtype])
        fits = place.needs <= room
    else:
        dtype = "float16" if files.family in ("sd", "sdxl") else "bfloat16"
        needs = total * ITEM[dtype]
        largest = max(parts.values(), default=0) * ITEM[dtype]
        whole = needs + WORKING <= room
        place = _Place("cuda:0", dtype, not whole, needs)
        fits = whole or (largest + WORKING <= room and needs <= default_budget())
    if not fits:
        others = ", ".join(name for name in SMALL if name != files.id)
        needs_gb, has_gb = round(place.needs / 1e9, 1), round(room / 1e9, 1)
        raise VisitorError("painter_too_big", model=files.id, needs_gb=needs_gb, has_gb=has_gb, others=others)
    return place


def _gpu(model_id: str) -> bool:
    """Tell whether a painter goes to a GPU: where one is only lent, the pocket painter does not."""
    import torch

    return (zero_gpu.waits() or torch.cuda.is_available()) and not (zero_gpu.on() and model_id == POCKET)


def _room() -> int:
    """Bytes for a painter's weights: of the GPU what is free or held by painters that could leave, else the budget."""
    import torch

    if zero_gpu.waits():
        return zero_gpu.MEMORY
    if not torch.cuda.is_available():
        return default_budget()
    return _free_on_gpu() + sum(size for (_, kind), size in loading.CACHE.loaded().items() if kind == TASK)


def _free_on_gpu() -> int:
    import torch

    gc.collect()  # a pipeline that was let go holds its memory until its cycles are found
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info()[0]


def _multiplies_bfloat16() -> bool:
    """Tell whether the CPU has instructions for bfloat16; without them it is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _load(files: PainterFiles) -> tuple[Painter, int]:
    start = time.perf_counter()
    files = painter_files.bring(files)
    # Threads of torch that wait for work keep a core busy that the page needs; read when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    # Decided again: now the parameters can be counted, and whoever could leave has left.
    place = _place(files, _free_on_gpu() if _gpu(files.id) else default_budget())
    if SETTINGS.threads:
        torch.set_num_threads(SETTINGS.threads)
    try:
        with loading._one_at_a_time:
            pipe = _read(files, getattr(torch, place.dtype))
        _refuse_unread(files.id, pipe)
        _move(pipe, place)
        painter_speed.tune(pipe, place.device, habits(files.id).steps, whole=not place.offload)
    except VisitorError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise VisitorError("out_of_memory", model=files.id) from error
    except Exception as error:
        log.warning("loading %s failed", files.id, exc_info=True)
        raise VisitorError("load_failed", model=files.id, reason=type(error).__name__) from error
    took = (time.perf_counter() - start) * 1000
    return Painter(files.id, pipe, habits(files.id), place.device, files.source, took), _size(pipe)


def _read(files: PainterFiles, dtype: Any) -> Any:
    import diffusers

    left_out: dict[str, Any] = dict.fromkeys(files.omitted)
    if files.family == "sd":
        left_out |= {"safety_checker": None, "requires_safety_checker": False}
    diffusers.utils.logging.disable_progress_bar()
    pipe = diffusers.DiffusionPipeline.from_pretrained(
        files.folder,
        local_files_only=True,
        trust_remote_code=False,
        # None lets each component take what it has: only listed models come with a pickle here.
        use_safetensors=None if files.allow_pickle else True,
        variant=files.variant,
        dtype=dtype,
        **left_out,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _refuse_unread(model_id: str, pipe: Any) -> None:
    """diffusers only warns of weights that a checkpoint lacks, and leaves them without values."""
    unread = [
        f"{name}.{weight}"
        for name, module in _modules(pipe).items()
        for weight, tensor in module.named_parameters()
        if tensor.is_meta
    ]
    if unread:
        raise VisitorError("missing_head", model=model_id, weights=", ".join(sorted(unread))[:120])


def _move(pipe: Any, place: _Place) -> None:
    """Bring a pipeline to its device; pictures larger than the autoencoder was made for are decoded in tiles."""
    if place.offload:
        pipe.enable_model_cpu_offload(device=place.device)
    else:
        pipe.to(place.device)
    if pipe.vae.config.sample_size >= 1024:
        pipe.vae.enable_tiling()


def _size(pipe: Any) -> int:
    """Bytes of all weights of a pipeline."""
    tensors = [tensor for module in _modules(pipe).values() for tensor in (*module.parameters(), *module.buffers())]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _modules(pipe: Any) -> dict[str, Any]:
    import torch

    return {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
