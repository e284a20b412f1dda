"""Trains pocket/flux-emoji: a small FLUX that draws emoji from English and Korean words.

    python -m recipes.flux_emoji --data DIR                        train, measure, write the card
    python -m recipes.flux_emoji --data DIR --minutes 20           a short training, for a lesson
    python -m recipes.flux_emoji --data DIR --from FOLDER          go on from the weights of a finished folder
    python -m recipes.flux_emoji --data DIR --evaluate             only measure: reproduces every figure of the card

DIR holds ``emoji_128.zip`` and ``emoji_labels.json``; pocket/clip-emoji must be there, for its text tower and as the
judge. An interrupted run goes on where it stopped: checkpoints lie in ``--work``, with a sheet of samples that is drawn
anew every few minutes. ``--minutes`` are shared out: a fifth for the autoencoder, a tenth to sharpen its decoder.
"""

import argparse
import json
import os
import random
import tempfile
from pathlib import Path

import torch

from recipes import _flux_autoencoder as autoencoder
from recipes import _flux_body as body
from recipes._cards import write_card
from recipes._emoji import read_emoji
from recipes._flux_evaluation import evaluate, sheet
from recipes._training import compact, write_json

POCKET = Path(__file__).parent.parent / "assets" / "pocket"
SHOWN = (
    "red apple", "빨간 사과", "pizza", "고양이 얼굴", "rocket", "초록색 하트", "hamburger", "자동차",
    "penguin", "해바라기", "octopus", "우산", "guitar", "무지개", "snowman", "바나나",
    "grinning face", "축구공", "house", "나비", "key", "로봇", "fire", "케이크",
)  # fmt: skip


def save(pipe, folder: Path) -> None:
    """An ordinary FluxPipeline folder in float16; files that are there already are replaced one by one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        pipe.save_pretrained(part)
        small = type(pipe).from_pretrained(part, torch_dtype=torch.float16)
        small.save_pretrained(part)
        for file in sorted(Path(part).rglob("*")):
            if file.is_file():
                if file.suffix == ".json":
                    forget_place(file)
                compact(file)
                target = folder / file.relative_to(part)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.chmod(0o644)
                os.replace(file, target)


def forget_place(file: Path) -> None:
    """diffusers writes where a part was loaded from; that folder means nothing to anyone else."""
    value = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(value, dict) and value.pop("_name_or_path", None) is not None:
        write_json(file, value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/flux-emoji"), help="checkpoints and sheets")
    parser.add_argument("--output", type=Path, default=POCKET / "flux-emoji")
    parser.add_argument("--clip", type=Path, default=POCKET / "clip-emoji")
    parser.add_argument("--minutes", type=float, default=300.0, help="of training, all runs together")
    parser.add_argument("--from", dest="begin", type=Path, help="a finished folder whose weights to begin with")
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    emoji = read_emoji(options.data, (autoencoder.SIDE, autoencoder.SIDE // 2))
    if not options.evaluate:
        train(options, emoji)
    figures = evaluate(options.output, options.clip, emoji)
    write_json(options.output / "metrics.json", figures)
    write_card(options.output)
    for language in ("en", "ko"):
        print(language, figures[language])


def train(options: argparse.Namespace, emoji) -> None:
    from diffusers import FluxPipeline

    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    random.seed(0)
    if options.begin:
        old = FluxPipeline.from_pretrained(options.begin, torch_dtype=torch.float32)
        coder, parts = old.vae.to(memory_format=torch.channels_last), body.parts_of(old)
        minutes = 0.9 * options.minutes  # the transformer knows this encoder's latents: it stays as it is
    else:
        coder, parts = autoencoder.new_autoencoder(), body.new_parts(emoji, options.clip)
        autoencoder.train_autoencoder(coder, emoji, 0.2 * options.minutes, options.work / "autoencoder.pt")
        minutes = 0.7 * options.minutes
    own = torch.tensor(emoji.by_concept()[0])
    latents = autoencoder.encode_all(coder.eval(), emoji.pictures[own])

    def watch(now: body.Parts) -> None:
        sheet(body.pipeline(now, coder), list(SHOWN)).save(options.work / "sheet.png")

    parts = body.train(parts, latents, emoji, body.Plan(minutes), options.work / "transformer.pt", watch)
    autoencoder.sharpen_decoder(coder, emoji, 0.1 * options.minutes)
    save(body.pipeline(parts, coder), options.output)


if __name__ == "__main__":
    main()
