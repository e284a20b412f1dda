"""How each painter is used: the steps, the guidance and the sizes it was trained or distilled for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pipelines import painter_files


@dataclass(frozen=True)
class Habits:
    """How a model is used.

    Attributes:
        family: "flux", "flux2", "sd" or "sdxl".
        steps: Steps of denoising when nobody says otherwise.
        guidance: Guidance scale likewise; 0 or 1 is none.
        sizes: (width, height) offered, in pixels; the first is the default.
        multiple: What width and height must be divisible by.
        negative_prompt: The model uses a negative prompt.
        most_steps: Most steps that make sense.
        most_guidance: Largest guidance scale that makes sense.
        most_side: Longest side in pixels.
        memory_mb: Memory that the model takes in the RAM or on the GPU, in MB of 10^6; 0 when unknown.
        show_at: Pictures are enlarged to this side for showing; 0 shows them as they are.
        max_sequence_length: Tokens of the prompt that are read, where the pipeline asks for it.
    """

    family: str
    steps: int
    guidance: float
    sizes: tuple[tuple[int, int], ...]
    multiple: int = 16
    negative_prompt: bool = False
    most_steps: int = 50
    most_guidance: float = 15.0
    most_side: int = 1536
    memory_mb: int = 0
    show_at: int = 0
    max_sequence_length: int | None = None


_LARGE = ((1024, 1024), (768, 768), (512, 512), (1344, 768), (768, 1344))
_SMALL = ((512, 512), (768, 512), (512, 768))
_SD_TURBO = Habits("sd", 2, 0.0, ((512, 512),), multiple=8, most_steps=4, most_side=768)
_SD = Habits("sd", 25, 7.5, _SMALL, multiple=8, negative_prompt=True, most_side=768)
_SDXL = Habits("sdxl", 25, 5.0, _LARGE[:1] + _LARGE[3:], multiple=8, negative_prompt=True)
_SCHNELL = Habits("flux", 4, 0.0, _LARGE, most_steps=8, max_sequence_length=256)
_DEV = Habits("flux", 28, 3.5, _LARGE, max_sequence_length=512)
_KLEIN = Habits("flux2", 4, 1.0, _LARGE, most_steps=8, max_sequence_length=512)

HABITS = {
    "pocket/flux-emoji": Habits("flux", 20, 2.5, ((64, 64),), most_side=64, show_at=512, max_sequence_length=16),
    "stabilityai/sd-turbo": replace(_SD_TURBO, memory_mb=5_160),
    "stabilityai/sdxl-turbo": replace(_SD_TURBO, family="sdxl", most_side=1024, memory_mb=13_900),
    "stable-diffusion-v1-5/stable-diffusion-v1-5": replace(_SD, memory_mb=4_270),
    "black-forest-labs/FLUX.2-klein-4B": replace(_KLEIN, memory_mb=16_000),
    "black-forest-labs/FLUX.1-schnell": replace(_SCHNELL, memory_mb=34_000),
    "black-forest-labs/FLUX.1-dev": replace(_DEV, memory_mb=34_000),
}


def habits(model_id: str) -> Habits:
    """Return how a model is used; never touches the network.

    A listed one: from the table. Another: from its own files where they are on this machine, else as Stable Diffusion
    1.5.
    """
    if model_id in HABITS:
        return HABITS[model_id]
    files = painter_files.settings(model_id)
    index = files.get(painter_files.INDEX, {})
    pipeline = index.get("_class_name")
    family = painter_files.FAMILIES.get(pipeline) if isinstance(pipeline, str) else None
    if family == "flux":  # only models that were not distilled for few steps take the guidance as an input
        return _DEV if files.get("transformer/config.json", {}).get("guidance_embeds") else _SCHNELL
    if family == "flux2":
        return _KLEIN if index.get("is_distilled") else replace(_KLEIN, steps=28, guidance=4.0, most_steps=50)
    if family == "sdxl":
        return _SDXL
    return _sized(files.get("unet/config.json", {}).get("sample_size"))


def _sized(latent_side: Any) -> Habits:
    """Stable Diffusion 2 was trained at 768 pixels, 1.x and most others at 512; a latent stands for 8 pixels."""
    side = latent_side * 8 if type(latent_side) is int else 512
    return replace(_SD, sizes=((768, 768), *_SMALL)) if side == 768 else _SD
