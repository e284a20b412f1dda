"""Emoji as data: pictures in memory, the wordings that name them in English and Korean, and their tokenizer.

Pictures and labels: `emoji_128.zip` (Noto Emoji, Apache-2.0) and `emoji_labels.json` (CLDR names and keywords).
"""

import io
import json
import random
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

TONES = ("1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff")
TEMPLATES = {
    "en": (
        "a {}",
        "the {}",
        "{} emoji",
        "a photo of {}",
        "a photo of a {}",
        "this is a photo of {}.",
        "a picture of {}",
        "a picture of a {}",
        "an image of {}",
        "an emoji of {}",
        "a drawing of {}",
        "this is {}.",
    ),
    "ko": (
        "{} 그림",
        "{} 사진",
        "{} 이모지",
        "{}의 그림",
        "{}의 사진",
        "{} 이미지",
        "{}입니다",
        "이것은 {}",
        "이것은 {} 사진입니다.",
        "this is a photo of {}.",
        "a photo of {}",
    ),
}


@dataclass(frozen=True)
class Emoji:
    """``pictures`` are premultiplied RGBA, (files, 4, side, side) in 0-255; ``concept`` is the row of ``concepts``.

    Skin-tone variants are further pictures of the concept without a tone.
    """

    concepts: list[dict]
    files: list[dict]
    concept: np.ndarray
    pictures: torch.Tensor
    small: torch.Tensor

    def by_concept(self) -> tuple[list[int], list[list[int]]]:
        """For every concept, its own file and those of its variants."""
        own, variants = [0] * len(self.concepts), [[] for _ in self.concepts]
        for number, (row, concept) in enumerate(zip(self.files, self.concept, strict=True)):
            if row["base"]:
                own[concept] = number
            else:
                variants[concept].append(number)
        return own, variants


def without_tone(file: str) -> str:
    """Example: "emoji_u1f9d1_1f3ff_200d_1f52c.png" gives "emoji_u1f9d1_200d_1f52c.png"."""
    stem = file.removeprefix("emoji_u").removesuffix(".png")
    parts = [part for part in stem.split("_") if part not in TONES and part != "fe0f"]
    return f"emoji_u{'_'.join(parts)}.png"


def read_emoji(folder: Path, sides: tuple[int, int] = (96, 48)) -> Emoji:
    """Every labelled picture that is a concept or a tone of one, shrunk to two sizes."""
    rows = json.loads((folder / "emoji_labels.json").read_text(encoding="utf-8"))
    concepts = [row for row in rows if row["base"]]
    places = {without_tone(row["file"]): place for place, row in enumerate(concepts)}
    files = [row for row in rows if row["base"] or without_tone(row["file"]) in places]
    number = {row["file"]: place for place, row in enumerate(concepts)}
    concept = [number.get(row["file"], places.get(without_tone(row["file"]), -1)) for row in files]
    stacks = [np.empty((len(files), side, side, 4), np.uint8) for side in sides]
    with zipfile.ZipFile(folder / "emoji_128.zip") as archive:
        inside = {Path(name).name: name for name in archive.namelist()}
        for place, row in enumerate(files):
            picture = premultiplied(Image.open(io.BytesIO(archive.read(inside[row["file"]]))))
            for stack, side in zip(stacks, sides, strict=True):
                stack[place] = np.asarray(picture.resize((side, side), Image.Resampling.BOX))
    pictures, small = (torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous() for stack in stacks)
    return Emoji(concepts, files, np.array(concept), pictures, small)


def premultiplied(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture.convert("RGBA")).astype(np.float32)
    values[..., :3] *= values[..., 3:] / 255
    return Image.fromarray(values.round().astype(np.uint8), "RGBA")


class Wordings:
    """The texts of every concept. A keyword belongs to several concepts; a name to one alone.

    ``sample(concept)`` draws (language, text, name or keyword); ``owners`` says which concepts a text means.
    """

    def __init__(self, emoji: Emoji):
        self.names = {language: [row[language] for row in emoji.concepts] for language in ("en", "ko")}
        self.owners: dict[str, list[int]] = {}
        self._keywords = {language: [] for language in ("en", "ko")}
        keyword_owners = defaultdict(set)
        for place, row in enumerate(emoji.concepts):
            for language in ("en", "ko"):
                self.owners[row[language].lower()] = [place]
                self._keywords[language].append(row[f"{language}_tags"])
                for keyword in row[f"{language}_tags"]:
                    keyword_owners[keyword.lower()].add(place)
        self._variants = {language: [[] for _ in emoji.concepts] for language in ("en", "ko")}
        for row, place in zip(emoji.files, emoji.concept, strict=True):
            for language in ("en", "ko"):
                if not row["base"] and row[language]:
                    self._variants[language][place].append(row[language])
                    self.owners.setdefault(row[language].lower(), [int(place)])
        for keyword, places in keyword_owners.items():
            self.owners.setdefault(keyword, sorted(places))

    def sample(self, concept: int, chance: random.Random) -> tuple[str, list[int]]:
        """A text for the concept, in a sentence or bare, and the concepts that it means."""
        language = chance.choice(("en", "ko"))
        kind, text = chance.random(), self.names[language][concept]
        keywords, variants = self._keywords[language][concept], self._variants[language][concept]
        if kind < 0.2 and keywords:
            text = chance.choice(keywords)
        elif kind < 0.27 and variants:
            text = chance.choice(variants)
        elif kind < 0.35 and keywords:
            return f"{text}, {chance.choice(keywords)}", [concept]
        owners = self.owners[text.lower()]
        if chance.random() < 0.5:
            text = chance.choice(TEMPLATES[language]).format(text)
        return text, owners

    def all_texts(self) -> list[str]:
        sentences = [template.format("") for texts in TEMPLATES.values() for template in texts]
        return list(self.owners) + self.names["en"] * 3 + self.names["ko"] * 3 + sentences * 40


def train_tokenizer(texts: list[str], pieces: int = 5000, length: int = 64):
    """A CLIPTokenizer of its own: byte-level pairs, so that no Hangul and no sign is unknown.

    Every byte also stands in the table as the end of a word, seen in the texts or not.
    """
    from tokenizers import pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    start, end, padding = "<|startoftext|>", "<|endoftext|>", "<|pad|>"
    blank = CLIPTokenizer(vocab={padding: 0, start: 1, end: 2}, merges=[], pad_token=padding).backend_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=pieces - 256,
        special_tokens=[padding],
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        min_frequency=2,
        show_progress=False,
    )
    blank.train_from_iterator(texts, trainer)
    learned = json.loads(blank.to_str())["model"]
    vocabulary = {piece: place for piece, place in learned["vocab"].items() if piece not in (start, end)}
    order = sorted(vocabulary, key=vocabulary.get)
    order += [f"{sign}</w>" for sign in alphabet if f"{sign}</w>" not in vocabulary] + [start, end]
    vocabulary = {piece: place for place, piece in enumerate(order)}
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in learned["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=padding, model_max_length=length)
