"""Trains pocket/clip-emoji: a small CLIP that knows 1,679 emoji by their English and Korean names, from nothing.

    python -m recipes.clip_emoji --data DIR               train, measure, write the card
    python -m recipes.clip_emoji --data DIR --minutes 10  a short training, for a lesson
    python -m recipes.clip_emoji --data DIR --evaluate    only measure: reproduces every figure of the card

DIR holds ``emoji_128.zip`` and ``emoji_labels.json``. An interrupted run goes on where it stopped (checkpoints lie in
``--work``, beside a sheet of what the model is shown). CLIP: Radford et al. 2021, https://arxiv.org/abs/2103.00020
"""

import argparse
import os
import tempfile
from pathlib import Path

import torch

from recipes import _emoji_body as body
from recipes._cards import write_card
from recipes._emoji import Emoji, Wordings, read_emoji, train_tokenizer
from recipes._emoji_canvas import Difficulty, compose, sample_sheet
from recipes._emoji_evaluation import evaluate
from recipes._training import publish, write_json

FOLDER = Path(__file__).parent.parent / "assets" / "pocket" / "clip-emoji"


def tokenizer_of(emoji: Emoji, work: Path):
    """Trained once, then read from ``work``: the pieces' numbers belong to the checkpoint."""
    from transformers import AutoTokenizer

    folder = work / "tokenizer"
    if not folder.exists():
        train_tokenizer(Wordings(emoji).all_texts()).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def processor_of(tokenizer):
    """Pictures are squeezed to a square rather than cropped, for an emoji may stand at the rim."""
    from transformers import CLIPImageProcessor, CLIPProcessor

    side = {"height": body.SIDE, "width": body.SIDE}
    half = [0.5, 0.5, 0.5]
    pictures = CLIPImageProcessor(size=side, do_center_crop=False, crop_size=side, image_mean=half, image_std=half)
    return CLIPProcessor(image_processor=pictures, tokenizer=tokenizer)


def save(model, tokenizer, folder: Path) -> None:
    """An ordinary CLIPModel folder in float16, moved into place file by file."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        target = Path(part) / folder.name
        half = type(model)(model.config).half()
        half.load_state_dict(model.state_dict())
        half.save_pretrained(target)
        processor_of(tokenizer).save_pretrained(target)
        publish(target, folder)


def watcher(emoji: Emoji, tokenizer):
    """Names found on 300 canvases of the hardest sort, as training shows them."""
    words = Wordings(emoji)
    own = torch.tensor(emoji.by_concept()[0])

    @torch.no_grad()
    def watch(model) -> str:
        with torch.random.fork_rng():
            chosen = torch.randint(len(own), (300,))
            canvas, _ = compose(emoji, own[chosen], Difficulty.at(1.0), body.SIDE)
        vectors, lines = body.see(model, canvas), []
        for language, names in words.names.items():
            best = (vectors @ body.read_all(model, tokenizer, names).T).topk(5).indices == chosen[:, None]
            lines.append(f"{language} {best[:, 0].float().mean():.3f}, among five {best.any(1).float().mean():.3f}")
        return "; ".join(lines)

    return watch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/clip-emoji"), help="checkpoint, tokenizer, sheet")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--minutes", type=float, default=90.0, help="of training, all runs together")
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.evaluate:
        options.work.mkdir(parents=True, exist_ok=True)
        emoji = read_emoji(options.data)
        tokenizer = tokenizer_of(emoji, options.work)
        torch.manual_seed(0)
        model = body.new_clip(tokenizer)
        shown, _ = compose(emoji, torch.randint(len(emoji.files), (240,)), Difficulty.at(1.0), body.SIDE)
        sample_sheet(shown).save(options.work / "sheet.png")
        body.whiten(model, shown)
        checkpoint, watch = options.work / "checkpoint.pt", watcher(emoji, tokenizer)
        learner = body.train(model, tokenizer, emoji, body.Plan(0.92 * options.minutes), checkpoint, watch)
        body.finish_texts(learner.clip, tokenizer, emoji, learner.concepts, 0.08 * options.minutes)
        save(learner.clip, tokenizer, options.output)
    figures, confused = evaluate(options.output, options.data)
    write_json(options.output / "metrics.json", figures)
    write_card(options.output)
    for language in ("en", "ko"):
        print(language, figures[language])
    print(*(f"{count} x {pair}" for pair, count in confused), sep="\n")


if __name__ == "__main__":
    main()
