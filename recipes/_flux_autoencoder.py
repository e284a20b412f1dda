"""The autoencoder of the small FLUX: 64 x 64 pixels to 8 x 8 places of 16 numbers and back, as FLUX.1's own does.

The latents leave the encoder with mean 0 and deviation 1 in every channel (a normalisation that is folded into its
last layer in the end), and the decoder learns from slightly noisy ones, because a transformer never hits them exactly.
"""

import copy
import math
from pathlib import Path

import torch
from torch.nn.functional import avg_pool2d, batch_norm, l1_loss, mse_loss

from recipes._emoji import Emoji
from recipes._training import Clock, save_checkpoint

SIDE, CHANNELS, NOISE = 64, 16, 0.15
# The share of the training after which pictures are shown whole.
WHOLE_FROM = 0.8


def new_autoencoder(widths: tuple[int, ...] = (24, 48, 96, 128)):
    """An AutoencoderKL from nothing; 8 times smaller on each side, 16 channels."""
    from diffusers import AutoencoderKL

    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=SIDE,
        scaling_factor=1.0,
        shift_factor=0.0,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        force_upcast=False,
    )
    return model.to(memory_format=torch.channels_last)


def on_white(pictures: torch.Tensor) -> torch.Tensor:
    """Premultiplied RGBA in 0-255, (count, 4, side, side), to RGB on white in -1 to 1."""
    values = pictures.float() / 255
    return ((values[:, :3] + 1 - values[:, 3:]) * 2 - 1).contiguous(memory_format=torch.channels_last)


def difference(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the pixels, of their edges, and of the pictures at half and quarter size.

    Red against green and yellow against blue count by themselves, small pictures most: colours differ less than light
    does, and a short training would leave red apples orange. The square of the small pictures' difference weighs the
    rare colours that are wholly wrong: absolute differences alone leave green things brown, for few are green.
    """
    total = l1_loss(made, wanted) + 3 * mse_loss(avg_pool2d(made, 4), avg_pool2d(wanted, 4))
    apart = made - wanted
    red, green, blue = apart.unbind(1)
    for colours in (red - green, (red + green) / 2 - blue):
        total = total + 0.4 * colours.abs().mean() + 0.8 * avg_pool2d(colours[:, None], 4).abs().mean()
    for axis in (2, 3):
        total = total + 0.5 * l1_loss(made.diff(dim=axis), wanted.diff(dim=axis))
    for _ in range(2):
        made, wanted = avg_pool2d(made, 2), avg_pool2d(wanted, 2)
        total = total + 0.25 * l1_loss(made, wanted)
    return total


def train_autoencoder(model, emoji: Emoji, minutes: float, checkpoint: Path, batch: int = 24, rate: float = 2.5e-3):
    """Trains in place for ``minutes``; goes on from ``checkpoint`` if there is one.

    Most of the time on quarters of pictures: four times as many steps teach more than four times as many pixels. Half
    of each batch is drawn by how wrong the picture's colours were when it was last seen.
    """
    mean, variance = torch.zeros(CHANNELS), torch.ones(CHANNELS)
    stepper = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    clock, step, running = Clock(minutes), 0, None
    if checkpoint.exists():
        state = torch.load(checkpoint)
        if state.get("finished"):
            model.load_state_dict(state["model"])
            return
        model.load_state_dict(state["model"])
        stepper.load_state_dict(state["optimizer"])
        mean, variance = state["mean"], state["variance"]
        clock, step = Clock(minutes, state["spent"]), state["step"]
    torch.manual_seed(step)
    saved, count = clock.spent, len(emoji.pictures)
    wrong = torch.ones(count)
    while clock.progress < 1:
        for group in stepper.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * falling(clock.progress)
        chosen = torch.cat([torch.randint(count, (batch // 2,)), torch.multinomial(wrong, batch // 2)])
        pixels = on_white(emoji.pictures[chosen])
        if clock.progress < WHOLE_FROM:
            top, left = (int(place) for place in torch.randint(SIDE // 16 + 1, (2,)) * 8)
            pixels = pixels[:, :, top : top + SIDE // 2, left : left + SIDE // 2]
        latents = batch_norm(model.encode(pixels).latent_dist.mean, mean, variance, training=True, momentum=0.02)
        noisy = latents + NOISE * torch.rand(batch, 1, 1, 1) * 2 * torch.randn_like(latents)
        made = model.decode(noisy).sample
        loss = difference(made, pixels)
        loss.backward()
        wrong[chosen] = avg_pool2d(made.detach() - pixels, 4).square().mean((1, 2, 3))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        stepper.step()
        stepper.zero_grad()
        step += 1
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0:
            print(f"{clock.spent:5.1f} min, autoencoder step {step}: {running:.4f}", flush=True)
        if clock.spent > saved + 2:
            saved = clock.spent
            state = {"model": model.state_dict(), "optimizer": stepper.state_dict(), "mean": mean}
            save_checkpoint(checkpoint, **state, variance=variance, spent=clock.spent, step=step)
    fold(model, mean, variance)
    save_checkpoint(checkpoint, model=model.state_dict(), finished=True)


def falling(progress: float) -> float:
    """Half a cosine from 1 down to 0.02."""
    return 0.02 + 0.49 * (1 + math.cos(math.pi * min(1.0, progress)))


def sharpen_decoder(model, emoji: Emoji, minutes: float, batch: int = 24, rate: float = 1.2e-3, average: float = 0.99):
    """Trains the decoder alone, in place, the encoder's latents being what the transformer has learned to make."""
    latents = encode_all(model, emoji.pictures)
    decoder = model.decoder
    kept = copy.deepcopy(decoder).requires_grad_(False)
    stepper = torch.optim.AdamW(decoder.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    clock, step, running = Clock(minutes), 0, 0.0
    while clock.progress < 1:
        for group in stepper.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * falling(clock.progress)
        chosen = torch.randint(len(latents), (batch,))
        noisy = latents[chosen] + NOISE * torch.rand(batch, 1, 1, 1) * 2 * torch.randn(batch, *latents.shape[1:])
        made = model.decode(noisy.contiguous(memory_format=torch.channels_last)).sample
        loss = difference(made, on_white(emoji.pictures[chosen]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        stepper.step()
        stepper.zero_grad()
        step += 1
        share = 1 - min(average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(kept.parameters()), list(decoder.parameters()), share)
        running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0:
            print(f"{clock.spent:5.1f} min, decoder step {step}: {running:.4f}", flush=True)
    decoder.load_state_dict(kept.state_dict())


@torch.no_grad()
def fold(model, mean: torch.Tensor, variance: torch.Tensor, eps: float = 1e-5) -> None:
    """Puts the normalisation of the latents into the encoder's last layer; the deviation it reports becomes small."""
    last, share = model.encoder.conv_out, 1 / (variance + eps).sqrt()
    last.weight[:CHANNELS] *= share[:, None, None, None]
    last.bias[:CHANNELS] = (last.bias[:CHANNELS] - mean) * share
    last.weight[CHANNELS:] = 0
    last.bias[CHANNELS:] = 2 * math.log(NOISE)


@torch.no_grad()
def encode_all(model, pictures: torch.Tensor, batch: int = 64) -> torch.Tensor:
    """(count, CHANNELS, 8, 8)"""
    parts = pictures.split(batch)
    return torch.cat([model.encode(on_white(part)).latent_dist.mean for part in parts]).contiguous()
