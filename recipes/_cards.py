"""Model cards: what a pocket model is, written from facts in this file and the figures in its ``metrics.json``.

python -m recipes._cards assets/pocket/sentiment-en     write the card again after a change of its text
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NSMC = "[Naver movie reviews](https://github.com/e9t/nsmc) (raw reviews, CC0 1.0)"
SST2 = (
    "the Stanford Sentiment Treebank, two classes, 6,920 sentences, as in "
    "[this repository](https://github.com/clairett/pytorch-sentiment-classification) (for research use)"
)


@dataclass(frozen=True)
class Card:
    """``figures`` turns the metrics into rows (what was measured, value)."""

    title: str
    front: str
    what: str
    data: str
    figures: Callable[[dict], list[tuple[str, str]]]
    command: str
    limits: str


def percent(measured: dict) -> str:
    """Example: {"value": .9, "low": .88, "high": .92, "n": 872} gives "90.0 % (95 % interval 88.0-92.0, n = 872)"."""
    value, low, high = (f"{100 * measured[key]:.1f}" for key in ("value", "low", "high"))
    return f"{value} % (95 % interval {low}-{high}, n = {measured['n']:,})"


def sentiment_en(m: dict) -> list[tuple[str, str]]:
    return [
        ("SST-2 development sentences, as the treebank has them", percent(m["sst2_dev"])),
        ("the same, written the ordinary way (don't, commas without spaces)", percent(m["sst2_dev_as_written"])),
        ("everyday sentences of this project (`tests/models/everyday_en.tsv`)", percent(m["everyday"])),
    ]


def sentiment_ko(m: dict) -> list[tuple[str, str]]:
    films, daily = m["films_three_classes"], m["everyday_three_classes"]
    return [
        ("films never trained on, negative or positive, as the reviews come", percent(m["films_as_they_come"])),
        ("the same, as many negative as positive", percent(m["films_balanced"])),
        ("the same films, three classes", f"{percent(films)}, macro F1 {films['macro_f1']:.3f}"),
        ("everyday sentences (`tests/models/everyday_ko.tsv`), negative or positive", percent(m["everyday"])),
        ("everyday sentences, three classes", f"{percent(daily)}, macro F1 {daily['macro_f1']:.3f}"),
    ]


def fill_mask_ko(m: dict) -> list[tuple[str, str]]:
    rows = [
        (
            f"hidden words guessed first, reviews of films never trained on (n = {m['masked_words']:,})",
            f"{100 * m['first']:.1f} %",
        ),
        ("the same, among the first five guesses", f"{100 * m['among_five']:.1f} %"),
        ("the same, mean cross-entropy", f"{m['loss']:.2f} nats"),
    ]
    return rows + [
        (f"guesses for “{prompt}”", ", ".join(f"`{piece}`" for piece in pieces))
        for prompt, pieces in m["examples"].items()
    ]


def clip_emoji(m: dict) -> list[tuple[str, str]]:
    rows = []
    for key, language in (("en", "English"), ("ko", "Korean")):
        f = m[key]
        rows += [
            (f"the {language} name found first among all {m['emoji']:,}, on new backgrounds", percent(f["first"])),
            ("the same, among the first five", percent(f["among_five"])),
            ("the same, first, every name in a sentence", percent(f["in_a_sentence"])),
        ]
        rows += [(f"the bare picture on {kind}, first", percent(value)) for kind, value in f["bare"].items()]
        for what in ("scale", "background", "group"):
            values = ", ".join(f"{name} {100 * value:.0f} %" for name, value in f[f"by_{what}"].items())
            rows.append((f"first, by {what}", values))
    return rows


def flux_emoji(m: dict) -> list[tuple[str, str]]:
    rows = []
    for key, language in (("en", "English"), ("ko", "Korean")):
        f = m[key]
        groups = ", ".join(f"{name} {100 * value:.0f} %" for name, value in f["by_group"].items())
        rows += [
            (
                f"{language}: of pictures drawn for names chosen at random, how many pocket/clip-emoji finds among "
                f"{m['emoji']:,} names, among its first five",
                percent(f["among_five"]),
            ),
            ("the same, first", percent(f["first"])),
            (
                "the true pictures at 64 x 64, among the first five (the ceiling)",
                percent(f["true_pictures"]["among_five"]),
            ),
            ("the same after the autoencoder", percent(f["through_the_autoencoder"]["among_five"])),
            ("among the first five, by group", groups),
        ]
    return rows


KOREAN_BODY = (
    "A BERT encoder of 5.8 million parameters (16,000 WordPiece pieces, width 256, three layers, 128 places), "
    "which first guessed hidden words and the reviews' ratings at once"
)
REVIEW_LIMITS = (
    "It has read film reviews written by the public, insults among them, and it repeats what stands there. "
    "Texts are cut after 128 pieces. It is meant for lessons, not for decisions about people."
)

CARDS = {
    "sentiment-en": Card(
        title="English sentiment, a LoRA adapter for all-MiniLM-L6-v2",
        front="license: apache-2.0\nlanguage: en\nlibrary_name: peft\npipeline_tag: text-classification\n"
        "base_model: sentence-transformers/all-MiniLM-L6-v2\ndatasets: [stanfordnlp/sst2]\nmetrics: [accuracy]\n"
        "tags: [lora, sentiment, education]",
        what="A PEFT adapter on every linear layer of sentence-transformers/all-MiniLM-L6-v2, with a pooler and a "
        "classifier of its own, the mean of two trainings: NEGATIVE or POSITIVE for an English sentence. The body is "
        "not in this folder.",
        data=f"Trained on {SST2}, as they are and as people write them, and on everyday sentences written for this "
        "project (`recipes/everyday_en_train.tsv`, Apache-2.0; none of them is in the test); one of the two also on "
        "the 5,600 clearest words of the VADER lexicon (package vaderSentiment, MIT; Hutto & Gilbert 2014). The "
        "development and everyday sentences were not trained on, but which adapters to average was decided by looking "
        "at them, so their figures "
        "are a little too kind.\n\nThe weights are Apache-2.0; the treebank is for research use: cite\n\n"
        "> Socher, Perelygin, Wu, Chuang, Manning, Ng, Potts: Recursive Deep Models for Semantic Compositionality Over "
        "a Sentiment Treebank. EMNLP 2013.",
        figures=sentiment_en,
        command="python -m recipes.sentiment_en --data DIR --evaluate",
        limits="It knows two classes: a plain statement gets one of them too, so look at the probability. It has read "
        "film reviews above all; irony, other dialects of English and long texts are beyond it. It is meant for "
        "lessons, not for decisions about people.",
    ),
    "sentiment-ko": Card(
        title="Korean sentiment: negative, neutral, positive",
        front="license: apache-2.0\nlanguage: ko\nlibrary_name: transformers\npipeline_tag: text-classification\n"
        "datasets: [e9t/nsmc]\nmetrics: [accuracy, f1]\ntags: [sentiment, education]",
        what=f"{KOREAN_BODY}, and then learned the classes (ratings 1-4 negative, 5-8 neutral, 9-10 positive) from the "
        "ratings and from a linear teacher's probabilities. There is no base model: it was trained from the beginning.",
        data=f"Trained on the {NSMC}, split by film: the films of the test are not among those of the training, and no "
        "text of the test occurs in the training. A few hundred everyday sentences written for this project "
        "(`recipes/everyday_ko_train.tsv`, Apache-2.0; none of them is in the test) were mixed in, plain statements as "
        "neutral.",
        figures=sentiment_ko,
        command="python -m recipes.sentiment_ko --data DIR --evaluate",
        limits=f'{REVIEW_LIMITS} Stars and words disagree in some reviews, so no model reaches 100 %. "Neutral" means '
        "lukewarm for films and a plain statement elsewhere; it is the class it knows least.",
    ),
    "fill-mask-ko": Card(
        title="Korean fill-mask, from film reviews",
        front="license: apache-2.0\nlanguage: ko\nlibrary_name: transformers\npipeline_tag: fill-mask\n"
        "datasets: [e9t/nsmc]\nmetrics: [accuracy]\ntags: [fill-mask, education]",
        what=f"{KOREAN_BODY}. This folder holds it at that stage, with its masked-language head. "
        "There is no base model: it was trained from the beginning.",
        data=f"Trained on the {NSMC}, split by film as for sentiment-ko.",
        figures=fill_mask_ko,
        command="python -m recipes.sentiment_ko --data DIR --evaluate",
        limits=f"{REVIEW_LIMITS} It guesses words of its own small vocabulary, and everything reminds it of a film.",
    ),
    "clip-emoji": Card(
        title="A small CLIP for emoji, in English and Korean",
        front="license: apache-2.0\nlanguage: [en, ko]\nlibrary_name: transformers\n"
        "pipeline_tag: zero-shot-image-classification\nmetrics: [accuracy]\ntags: [clip, emoji, education]",
        what="A CLIPModel of 3.8 million parameters: a vision transformer (80 x 80 pixels in patches of 8, width 192, "
        "four layers) and a text transformer (two layers, 4,894 byte-level pieces of its own, so that no Hangul is "
        "unknown). A picture and the words for it get vectors that lie near each other. There is no base model: it was "
        "trained from the beginning.",
        data="The pictures of [Noto Emoji](https://github.com/googlefonts/noto-emoji) (Apache-2.0), laid on made-up "
        "backgrounds at many sizes, places and tilts, blurred, noisy and squeezed by JPEG; their names and keywords in "
        "both languages from Unicode CLDR (Unicode License), as [emojibase](https://github.com/milesj/emojibase) (MIT) "
        "packs them. Every emoji was trained on; what is new in the test are the canvases: other kinds of background "
        "(plasma, stripes, checks), sizes and places, drawn and shrunken by another library.",
        figures=clip_emoji,
        command="python -m recipes.clip_emoji --data DIR --evaluate",
        limits="It knows Noto's drawings of emoji and nothing else: not other makers' emoji, and not photographs of "
        "things. Names that differ by little are confused (a man's, a woman's and a person's hair, neighbouring hours, "
        "squares that differ in size alone), and four pairs of family emoji are drawn exactly alike. "
        "It answers every picture with some name, also one that shows no emoji.",
    ),
    "flux-emoji": Card(
        title="A small FLUX that draws emoji, in English and Korean",
        front="license: apache-2.0\nlanguage: [en, ko]\nlibrary_name: diffusers\npipeline_tag: text-to-image\n"
        "metrics: [accuracy]\ntags: [flux, emoji, education]",
        what="A FluxPipeline of 16 million parameters, which `FluxPipeline.from_pretrained(folder)` loads as it is: an "
        "autoencoder (64 x 64 pixels to 8 x 8 places of 16 numbers), a transformer of 9.2 million parameters (two "
        "double and four single blocks, width 256) that reads 16 packed places, a T5 encoder of two layers with a "
        "vocabulary of its own, and the text tower of pocket/clip-emoji. Call it with `width=64, height=64, "
        'true_cfg_scale=2.5, negative_prompt=""` and 20 steps. Apart from that text tower it was trained from the '
        "beginning, on two CPU cores.\n\n![64 pictures](samples.png)\n\nThe first 32 names drawn at random in each "
        "language (English above), 20 steps, seeds 0 to 31, not picked; the names stand in `metrics.json`.",
        data="The pictures of [Noto Emoji](https://github.com/googlefonts/noto-emoji) (Apache-2.0) on white, their "
        "names and keywords in both languages from Unicode CLDR (Unicode License), as "
        "[emojibase](https://github.com/milesj/emojibase) (MIT) packs them. People, symbols and letters, which hardly "
        "differ among themselves, were shown less often than animals, food, things and places.",
        figures=flux_emoji,
        command="python -m recipes.flux_emoji --data DIR --evaluate",
        limits="It draws Noto's emoji from memory: it invents nothing, and words that name no emoji give a neighbour "
        "or a blur. Names that differ by little (hair, hours, kinds of families) are drawn alike. Its pictures have "
        "64 x 64 pixels, and greens come out pale. The training was short for 1,679 pictures; the figures say how far "
        "it came.",
    ),
}


def write_card(folder: Path) -> None:
    """Writes ``README.md`` beside the ``metrics.json`` of the folder; the folder's name chooses the text."""
    card = CARDS[folder.name]
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    rows = "\n".join(f"| {what} | {value} |" for what, value in card.figures(metrics))
    text = f"""---
{card.front}
---

# {card.title}

A pocket model of Model Classroom. {card.what}

## Data

{card.data}

## Measured

| what | |
|---|---|
{rows}

Measured by `{card.command}`, which also wrote this table (`metrics.json`).

## Limits

{card.limits}

These weights were made by this recipe's stages over several runs while the recipe grew; a fresh run gives weights that
differ from them, and figures near these.
"""
    (folder / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write_card(Path(name))
