"""A picture while it is being made: the latents of a step, decoded; made smaller first where decoding takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

CELLS = 32


def picture(pipe: Any, latents: Any, family: str, asked: Any) -> Image:
    """Return the picture that latents stand for now.

    Args:
        pipe: The diffusers pipeline that is running.
        latents: As its callback gives them: packed, (1, places, channels), for FLUX; (1, channels, height, width) else.
        family: painters.Habits.family.
        asked: Has `width` and `height` in pixels.
    """
    import torch

    cells = unpacked(pipe, latents, family, asked)
    share = CELLS / max(cells.shape[-2:])
    if share < 1:
        cells = torch.nn.functional.interpolate(cells.float(), scale_factor=share, mode="area").to(cells.dtype)
    shift = getattr(pipe.vae.config, "shift_factor", None) or 0.0
    scale = getattr(pipe.vae.config, "scaling_factor", None) or 1.0
    if family == "flux2":
        shift, scale = 0.0, 1.0
    decoded = pipe.vae.decode((cells / scale + shift).to(pipe.vae.dtype), return_dict=False)[0]
    return pipe.image_processor.postprocess(decoded.detach().float(), output_type="pil")[0].convert("RGB")


def unpacked(pipe: Any, latents: Any, family: str, asked: Any) -> Any:
    """Return latents as (1, channels, height, width)."""
    if family == "flux":
        return pipe._unpack_latents(latents, asked.height, asked.width, pipe.vae_scale_factor)
    if family == "flux2":
        rows = asked.height // (pipe.vae_scale_factor * 2)
        cells = latents.unflatten(1, (rows, -1)).permute(0, 3, 1, 2)
        norm = pipe.vae.bn
        deviation = (norm.running_var + pipe.vae.config.batch_norm_eps).sqrt()
        cells = cells * deviation[None, :, None, None] + norm.running_mean[None, :, None, None]
        return pipe._unpatchify_latents(cells)
    return latents
