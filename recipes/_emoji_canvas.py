"""Emoji on made-up photographs: backgrounds, places, sizes, tilt, light, blur, noise and JPEG, a batch at a time.

Nothing is ever mirrored, for arrows and hands would change their names.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import affine_grid, grid_sample, interpolate

from recipes._emoji import Emoji


@dataclass(frozen=True)
class Difficulty:
    """``scale``: the emoji's side as a share of the canvas; ``clutter``: the share of backgrounds that are not plain.

    ``damage`` is the share of canvases that are blurred, and likewise that get noise, JPEG, or company.
    """

    scale: tuple[float, float]
    tilt: float
    clutter: float
    damage: float

    @classmethod
    def at(cls, progress: float) -> "Difficulty":
        """Easy at 0, in full from a third of the training on."""
        x = min(1.0, progress / 0.33)
        return cls((0.45 - 0.13 * x, 0.62 + 0.44 * x), 5 + 16 * x, 0.2 + 0.5 * x, 0.05 + 0.2 * x)


def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
    return low + (high - low) * torch.rand(*shape)


def colours(count: int) -> torch.Tensor:
    """(count, 3, 1, 1) colours: any at all, often white, black or grey."""
    colour, kind = torch.rand(count, 3), torch.rand(count)
    colour[kind < 0.36] = torch.rand(int((kind < 0.36).sum()), 1).expand(-1, 3)
    colour[kind < 0.30] = 0.0
    colour[kind < 0.18] = 1.0
    return colour[:, :, None, None]


def gradients(count: int, side: int) -> torch.Tensor:
    line = torch.linspace(-1, 1, side)
    angle = uniform(0, 2 * math.pi, count)[:, None, None]
    slope = (angle.cos() * line[None, None, :] + angle.sin() * line[None, :, None])[:, None]
    share = (slope * uniform(0.4, 1.5, count, 1, 1, 1) + uniform(-0.4, 0.4, count, 1, 1, 1)) * 0.5 + 0.5
    return torch.lerp(torch.rand(count, 3, 1, 1), torch.rand(count, 3, 1, 1), share.clamp(0, 1))


def blobs(count: int, side: int) -> torch.Tensor:
    """Coarse noise, smooth or in blocks, around a colour."""
    parts, cells = [], np.random.randint(2, 14, size=max(1, count // 8 + 1))
    for part, cell in zip(torch.arange(count).tensor_split(len(cells)), cells, strict=True):
        mode = "nearest" if np.random.rand() < 0.3 else "bicubic"
        noise = torch.rand(len(part), 3, int(cell), int(cell)) if len(part) else torch.empty(0, 3, 2, 2)
        if len(part):
            parts.append(interpolate(noise, size=(side, side), mode=mode))
    noise = torch.cat(parts)
    return colours(count).lerp(noise, uniform(0.2, 1.0, count, 1, 1, 1))


def bands(count: int, side: int) -> torch.Tensor:
    """Hard-edged bands of two colours at any angle, straight, curved into rings, or crossed by others."""
    line = torch.linspace(-1, 1, side)
    centre = uniform(-1.2, 1.2, count, 2, 1, 1)
    x, y = line[None, None, :] - centre[:, 0], line[None, :, None] - centre[:, 1]
    angle, period = uniform(0, math.pi, count, 1, 1), uniform(0.1, 0.9, count, 1, 1)
    along = angle.cos() * x + angle.sin() * y
    along = torch.where(torch.rand(count, 1, 1) < 0.2, torch.hypot(x, y), along)
    share = (along / period % 1 < uniform(0.25, 0.75, count, 1, 1)).float()
    across = (angle.cos() * y - angle.sin() * x) / (period * uniform(0.7, 1.4, count, 1, 1)) % 1 < 0.5
    share = torch.where(torch.rand(count, 1, 1) < 0.35, (share - across.float()).abs(), share)[:, None]
    share = share * uniform(0.4, 1.0, count, 1, 1, 1)
    return torch.lerp(torch.rand(count, 3, 1, 1), torch.rand(count, 3, 1, 1), share)


def close_ups(emoji: Emoji, count: int, side: int) -> torch.Tensor:
    """Pieces of other emoji, much enlarged and therefore soft, on a colour."""
    chosen = emoji.small[torch.randint(len(emoji.small), (count,))].float() / 255
    theta = place_matrix(
        uniform(1.5, 5.0, count), torch.ones(count), uniform(-3.1, 3.1, count), uniform(-1.0, 1.0, count, 2)
    )
    warped = grid_sample(chosen, affine_grid(theta, [count, 4, side, side], align_corners=False), align_corners=False)
    return warped[:, :3] + colours(count) * (1 - warped[:, 3:])


def backgrounds(emoji: Emoji, count: int, side: int, clutter: float) -> torch.Tensor:
    ground = colours(count).expand(-1, -1, side, side).clone()
    kind = torch.rand(count) / clutter
    for low, high, make in (
        (0.0, 0.18, gradients),
        (0.18, 0.48, blobs),
        (0.48, 0.75, bands),
        (0.75, 1.0, lambda n, s: close_ups(emoji, n, s)),
    ):
        chosen = (kind >= low) & (kind < high)
        if chosen.any():
            ground[chosen] = make(int(chosen.sum()), side)
    return ground


def place_matrix(scale: torch.Tensor, stretch: torch.Tensor, tilt: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """(count, 2, 3) for affine_grid: where on the emoji each place of the canvas lies."""
    cos, sin = tilt.cos(), tilt.sin()
    x, y = 1 / (scale * stretch.sqrt()), stretch.sqrt() / scale
    rows = torch.stack([torch.stack([cos * x, sin * x], -1), torch.stack([-sin * y, cos * y], -1)], 1)
    return torch.cat([rows, -(rows @ centre[:, :, None])], -1)


def put(emoji: Emoji, files: torch.Tensor, scale: torch.Tensor, theta: torch.Tensor, side: int) -> torch.Tensor:
    """(count, 4, side, side), premultiplied; shrunken copies for small ones, so that nothing is aliased."""
    layer = torch.empty(len(files), 4, side, side)
    for chosen, source in ((scale * side <= 44, emoji.small), (scale * side > 44, emoji.pictures)):
        if chosen.any():
            grid = affine_grid(theta[chosen], [int(chosen.sum()), 4, side, side], align_corners=False)
            layer[chosen] = grid_sample(source[files[chosen]].float() / 255, grid, align_corners=False)
    return layer


def company(emoji: Emoji, canvas: torch.Tensor, chosen: torch.Tensor) -> None:
    """One or two far smaller emoji behind, at the rim."""
    count, side = int(chosen.sum()), canvas.shape[-1]
    for _ in range(2):
        scale, angle = uniform(0.12, 0.3, count), uniform(0, 2 * math.pi, count)
        centre = torch.stack([angle.cos(), angle.sin()], 1) * uniform(0.7, 1.1, count, 1)
        theta = place_matrix(scale, torch.ones(count), uniform(-0.3, 0.3, count), centre)
        layer = put(emoji, torch.randint(len(emoji.small), (count,)), scale, theta, side)
        canvas[chosen] = layer[:, :3] + canvas[chosen] * (1 - layer[:, 3:])


def light(canvas: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast, saturation and the lamp's colour change a little."""
    count = len(canvas)
    grey = canvas.mean((1, 2, 3), keepdim=True)
    canvas = torch.lerp(grey, canvas, uniform(0.65, 1.2, count, 1, 1, 1))
    canvas = torch.lerp(canvas.mean(1, keepdim=True), canvas, uniform(0.7, 1.25, count, 1, 1, 1))
    return (canvas * uniform(0.9, 1.08, count, 3, 1, 1) * uniform(0.8, 1.1, count, 1, 1, 1)).clamp_(0, 1)


def blur(canvas: torch.Tensor) -> torch.Tensor:
    """Seen at lower resolution and enlarged again."""
    side = canvas.shape[-1]
    low = int(side * uniform(0.4, 0.9, 1).item())
    small = interpolate(canvas, size=(low, low), mode="bilinear", antialias=True, align_corners=False)
    return interpolate(small, size=(side, side), mode="bicubic", align_corners=False).clamp_(0, 1)


def jpeg(canvas: torch.Tensor) -> torch.Tensor:
    rows = (canvas.permute(0, 2, 3, 1) * 255).to(torch.uint8).numpy()
    for place, row in enumerate(rows):
        buffer = io.BytesIO()
        Image.fromarray(row).save(buffer, "JPEG", quality=int(np.random.randint(25, 85)))
        rows[place] = np.asarray(Image.open(buffer))
    return torch.from_numpy(rows).permute(0, 3, 1, 2).float() / 255


def compose(emoji: Emoji, files: torch.Tensor, difficulty: Difficulty, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Canvases (count, 3, side, side) in 0-1 with one emoji each, and how far it covers each pixel (count, 1, ...)."""
    count, damage = len(files), difficulty.damage
    low, high = difficulty.scale
    scale = low + (high - low) * torch.rand(count) ** 1.3
    room = (1.02 - scale).abs()[:, None]
    centre = uniform(-1, 1, count, 2) * room
    tilt = (torch.randn(count) * 0.5).clamp(-1, 1) * math.radians(difficulty.tilt)
    stretch = torch.exp(uniform(-0.16, 0.16, count))
    layer = put(emoji, files, scale, place_matrix(scale, stretch, tilt, centre), side)
    canvas = backgrounds(emoji, count, side, difficulty.clutter)
    joined = torch.rand(count) < damage * 0.6
    if joined.any():
        company(emoji, canvas, joined)
    canvas = layer[:, :3] + canvas * (1 - layer[:, 3:])
    lit = torch.rand(count) < 0.6
    canvas[lit] = light(canvas[lit])
    for part in (torch.rand(count) < damage).nonzero()[:, 0].tensor_split(4):
        if len(part):
            canvas[part] = blur(canvas[part])
    noisy = torch.rand(count) < damage
    canvas[noisy] += torch.randn(int(noisy.sum()), 3, side, side) * uniform(0, 0.09, int(noisy.sum()), 1, 1, 1)
    squeezed = torch.rand(count) < damage * 0.6
    canvas = canvas.clamp_(0, 1)
    if squeezed.any():
        canvas[squeezed] = jpeg(canvas[squeezed])
    return canvas, layer[:, 3:]


def sample_sheet(canvas: torch.Tensor, columns: int = 12) -> Image.Image:
    """A contact sheet of canvases, to be looked at."""
    rows = (canvas[: len(canvas) // columns * columns].permute(0, 2, 3, 1) * 255).to(torch.uint8).numpy()
    side = rows.shape[1]
    grid = rows.reshape(-1, columns, side, side, 3).transpose(0, 2, 1, 3, 4).reshape(-1, columns * side, 3)
    return Image.fromarray(grid)
