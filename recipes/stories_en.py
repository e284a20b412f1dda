"""Trains pocket/stories-en: a small Llama that tells stories, on children's classics of Project Gutenberg.

    python -m recipes.stories_en --data DIR              train, measure, write the card
    python -m recipes.stories_en --data DIR --evaluate   only measure: reproduces every figure of the card

DIR holds ``stories.txt.gz``: books one after the other, each after a line "# title". Stop it whenever you like: the
same command goes on from the last checkpoint. More ``--minutes`` than before go on from where the rate began to fall;
``--from FOLDER`` goes on from finished weights.
"""

import argparse
import math
import os
import tempfile
from collections import defaultdict
from pathlib import Path

import torch

from recipes._cards import write_card
from recipes._stories_body import Settings, fit_pairs, nats, new_model, stream, train, train_tokenizer
from recipes._stories_text import Story, read_stories, split, unfit, unfit_words
from recipes._training import publish, write_json

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "assets" / "pocket" / "stories-en"
# What model.generate() does unless it is told otherwise.
WRITING = {"temperature": 0.7, "top_p": 0.9, "top_k": 0, "repetition_penalty": 1.1}
SAMPLES = 20
PROMPTS = ("Once upon a time", "The little fox", "Alice opened the door and", "In the garden there was")


def tokenizer_of(folder: Path, stories: list[Story]):
    from transformers import AutoTokenizer

    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        tokenizer = train_tokenizer(["\n\n".join(part) for story in stories for part in story.parts])
        with tempfile.TemporaryDirectory(dir=folder.parent) as part:
            tokenizer.save_pretrained(Path(part) / "tokenizer")
            (Path(part) / "tokenizer").rename(folder)
    return AutoTokenizer.from_pretrained(folder)


def start(work: Path, settings: Settings, text, end: int):
    """A new model whose embeddings and head know pairs of pieces already."""
    path, model = work / "pairs.pt", new_model(settings, end)
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
    else:
        fit_pairs(model, text.ids, settings.pairs)
        torch.save(model.state_dict(), path)
    return model


def banned(tokenizer) -> list[list[int]]:
    """Ids that must not follow one another: the words of the list, inside a sentence and at its beginning.

    What is a single piece stays allowed: it is there because it begins innocent words ("jew" in "jewels").
    """
    words, beginnings, _ = unfit_words()
    listed = sorted({*words, *beginnings})
    written = [form for word in listed for form in (f" {word}", f" {word.capitalize()}", word, word.capitalize())]
    rows = tokenizer(written, add_special_tokens=False)["input_ids"]
    return [row for row in rows if len(row) > 1]


def save(model, tokenizer, folder: Path) -> None:
    """A folder that from_pretrained loads: float16 weights, how to write with them, the tokenizer."""
    from transformers import GenerationConfig

    folder.parent.mkdir(parents=True, exist_ok=True)
    end = tokenizer.eos_token_id
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        target = Path(part) / folder.name
        model.generation_config = GenerationConfig(
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
            bad_words_ids=banned(tokenizer),
            do_sample=True,
            max_new_tokens=100,
            **WRITING,
        )
        model.half().save_pretrained(target)
        tokenizer.save_pretrained(target)
        (target / "README.md").unlink(missing_ok=True)
        publish(target, folder)


def load(folder: Path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def evaluate(folder: Path, held_out: list[Story]) -> dict:
    """Perplexity of stories that were not trained on, and twenty samples read for unfit words."""
    model, tokenizer = load(folder)
    books = defaultdict(list)
    for story in held_out:
        books[story.book].append(story.text)
    measured = {book: nats(model, tokenizer, texts) for book, texts in books.items()}
    total, characters, pieces = (sum(column) for column in zip(*measured.values(), strict=True))
    samples = []
    for seed in range(SAMPLES // len(PROMPTS)):
        for prompt in PROMPTS:
            torch.manual_seed(seed)
            ids = tokenizer(prompt, return_tensors="pt")
            written = model.generate(**ids, max_new_tokens=80)[0]
            samples.append(tokenizer.decode(written, skip_special_tokens=True))
    return {
        "nats_per_character": round(total / characters, 4),
        "bits_per_character": round(total / characters / math.log(2), 4),
        "perplexity_per_character": round(math.exp(total / characters), 4),
        "nats_per_piece": round(total / pieces, 4),
        "characters": characters,
        "characters_per_piece": round(characters / pieces, 3),
        "stories": len(held_out),
        "by_book": {book: round(n / c, 4) for book, (n, c, _) in measured.items()},
        "samples_with_unfit_words": sum(unfit(sample) is not None for sample in samples),
        "samples_read": len(samples),
        "samples": samples[: len(PROMPTS)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60, help="of training, after the first five minutes")
    parser.add_argument("--work", type=Path, default=Path("build/stories-en"), help="tokenizer, checkpoints")
    parser.add_argument("--from", dest="begin", type=Path, help="finished weights to go on from, a folder")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    to_read, held_out = split(read_stories(options.data / "stories.txt.gz"))
    if not options.evaluate:
        settings, tokenizer = Settings(), tokenizer_of(options.begin or options.work / "tokenizer", to_read)
        text = stream(tokenizer, to_read)
        begun = options.begin and load(options.begin)[0]
        model = begun or start(options.work, settings, text, tokenizer.eos_token_id)
        train(model, text, settings, options.minutes, options.work / "training.pt")
        save(model, tokenizer, options.output)
    figures = evaluate(options.output, held_out)
    write_json(options.output / "metrics.json", figures)
    write_card(options.output)
    print(figures)


if __name__ == "__main__":
    main()
