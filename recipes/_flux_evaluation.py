"""Whether the small FLUX draws what it is told: its pictures are shown to the emoji CLIP, which knows no FLUX.

The CLIP learned from emoji on made-up backgrounds, apart from any picture that a FLUX made; its text tower was where
the FLUX's own began. How often it knows the true pictures, and those that went through the autoencoder, is the
measure's ceiling.
"""

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize

from recipes import _flux_autoencoder as autoencoder
from recipes._emoji import Emoji
from recipes._training import accuracy

ASKED, SHOWN = 200, 32
STEPS, GUIDANCE, PLACES = 20, 2.5, 16
LANGUAGES = ("en", "ko")


def draw(pipe, prompts: list[str], seed: int = 0, batch: int = 50) -> list[Image.Image]:
    """One picture for each prompt, number n with the seed + n, as the app draws them."""
    pipe.set_progress_bar_config(disable=True)
    made = []
    for start in range(0, len(prompts), batch):
        some = prompts[start : start + batch]
        made += pipe(
            some,
            negative_prompt=[""] * len(some),
            true_cfg_scale=GUIDANCE,
            num_inference_steps=STEPS,
            width=autoencoder.SIDE,
            height=autoencoder.SIDE,
            max_sequence_length=PLACES,
            generator=[torch.Generator().manual_seed(seed + start + n) for n in range(len(some))],
        ).images
    return made


def sheet(pipe, prompts: list[str], columns: int = 8, side: int = 128) -> Image.Image:
    return pasted(draw(pipe, prompts), columns, side)


def pasted(pictures: list[Image.Image], columns: int = 8, side: int = 128) -> Image.Image:
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * side, rows * side), "white")
    for place, picture in enumerate(pictures):
        large = picture.resize((side, side), Image.Resampling.LANCZOS)
        whole.paste(large, (place % columns * side, place // columns * side))
    return whole


class Judge:
    """pocket/clip-emoji: is the right name among the first that it would give to a picture?"""

    def __init__(self, folder: Path, emoji: Emoji):
        from transformers import AutoProcessor, CLIPModel

        self.model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = AutoProcessor.from_pretrained(folder)
        self.names = {language: [row[language] for row in emoji.concepts] for language in LANGUAGES}
        self.texts = {language: self._read(names) for language, names in self.names.items()}

    @torch.no_grad()
    def _read(self, names: list[str]) -> torch.Tensor:
        inputs = self.processor(text=names, padding=True, truncation=True, return_tensors="pt")
        return normalize(self.model.text_projection(self.model.text_model(**inputs).pooler_output), dim=-1)

    @torch.no_grad()
    def right(self, pictures: list[Image.Image], concepts: list[int], language: str) -> dict[str, dict]:
        inputs = self.processor(images=pictures, return_tensors="pt")
        seen = self.model.visual_projection(self.model.vision_model(**inputs).pooler_output)
        order = (normalize(seen, dim=-1) @ self.texts[language].T).topk(5).indices.numpy()
        names = np.array(self.names[language])
        hit = names[order] == names[concepts][:, None]  # four pairs of emoji share a name with another
        return {"first": accuracy(hit[:, 0]), "among_five": accuracy(hit.any(1))}


def evaluate(folder: Path, clip: Path, emoji: Emoji) -> dict:
    """Writes ``samples.png`` beside the model (32 names in each language, not picked) and returns the figures."""
    from diffusers import FluxPipeline

    pipe = FluxPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    judge, rng = Judge(clip, emoji), random.Random(2026)
    own = torch.tensor(emoji.by_concept()[0])
    figures: dict = {"emoji": len(emoji.concepts), "steps": STEPS, "guidance": GUIDANCE}
    shown: list[Image.Image] = []
    captions: dict[str, list[str]] = {}
    for language in LANGUAGES:
        chosen = rng.sample(range(len(emoji.concepts)), ASKED)
        prompts = [emoji.concepts[concept][language] for concept in chosen]
        made = draw(pipe, prompts)
        true = emoji.pictures[own[torch.tensor(chosen)]]
        with torch.no_grad():
            back = pipe.vae.decode(autoencoder.encode_all(pipe.vae, true)).sample
        measured = judge.right(made, chosen, language)
        measured["true_pictures"] = judge.right(as_pictures(autoencoder.on_white(true)), chosen, language)
        measured["through_the_autoencoder"] = judge.right(as_pictures(back), chosen, language)
        groups: dict[str, list[int]] = {}
        for place, concept in enumerate(chosen):
            groups.setdefault(emoji.concepts[concept]["group"] or "letters", []).append(place)
        measured["by_group"] = {
            group: judge.right([made[n] for n in places], [chosen[n] for n in places], language)["among_five"]["value"]
            for group, places in sorted(groups.items())
        }
        figures[language] = measured
        shown += made[:SHOWN]
        captions[language] = prompts[:SHOWN]
    figures["sheet"] = captions
    pasted(shown).save(folder / "samples.png", optimize=True)
    return figures


def as_pictures(values: torch.Tensor) -> list[Image.Image]:
    rows = ((values.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(np.ascontiguousarray(row)) for row in rows]
