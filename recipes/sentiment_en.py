"""Trains pocket/sentiment-en: all-MiniLM-L6-v2 with a LoRA adapter, on SST-2, everyday sentences and a lexicon.

Two adapters are trained with different settings, and their mean is kept: it is better than either.

    python -m recipes.sentiment_en --data DIR              train, measure, write the card
    python -m recipes.sentiment_en --data DIR --evaluate   only measure: reproduces every figure of the card

DIR holds ``sst2_train.tsv`` and ``sst2_dev.tsv``. LoRA: Hu et al. 2021, https://arxiv.org/abs/2106.09685
"""

import argparse
import os
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from recipes._cards import write_card
from recipes._english_adapter import adapted, base_folder, merged, mix, save
from recipes._english_text import in_phrase, read_labelled, read_lexicon, read_sst2, untokenize, variant
from recipes._training import accuracy, batches, device_and_autocast, set_rates, warm_up_then_decay, write_json

LABELS = {0: "NEGATIVE", 1: "POSITIVE"}
ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "assets" / "pocket" / "sentiment-en"
EVERYDAY_TRAIN = Path(__file__).parent / "everyday_en_train.tsv"
EVERYDAY_TEST = ROOT / "tests" / "models" / "everyday_en.tsv"


@dataclass(frozen=True)
class Settings:
    """``everyday`` is how often each everyday sentence is read in one pass over SST-2.

    ``blank`` is the share of pieces hidden behind [MASK] in training, so that no verdict hangs on one word.
    The weights of all steps after ``average_from`` (a share of the training) are averaged.
    ``words`` is the share of the lexicon's words that one pass reads, alone or in a short phrase.
    ``seed`` changes the order of the sentences, not the start, so that members can be averaged.
    """

    rank: int = 32
    passes: int = 4
    rate: float = 8e-4
    everyday: int = 3
    blank: float = 0.04
    average_from: float = 0.6
    batch_tokens: int = 900
    words: float = 0.0
    seed: int = 0


MEMBERS = (
    Settings(passes=5, blank=0.0, average_from=0.7, seed=3),
    Settings(words=0.7, seed=5),
)


def base_model():
    return AutoModelForSequenceClassification.from_pretrained(
        base_folder(), num_labels=2, id2label=LABELS, label2id={name: i for i, name in LABELS.items()}
    )


def with_adapter(settings: Settings):
    """The body with LoRA on every linear layer; pooler and classifier are trained whole.

    The body was tuned for mean pooling and its pooler decayed to almost zero, so the pooler begins afresh.
    """
    model = base_model()
    torch.nn.init.orthogonal_(model.bert.pooler.dense.weight, gain=0.5)
    torch.nn.init.zeros_(model.bert.pooler.dense.bias)
    return adapted(model, "SEQ_CLS", settings.rank, lora_dropout=0.1, modules_to_save=["pooler", "classifier"])


def train(
    settings: Settings,
    sst2: list[tuple[str, int]],
    everyday: list[tuple[str, int]],
    lexicon: list[tuple[str, int]],
    watch,
):
    device, autocast = device_and_autocast()
    torch.manual_seed(0)
    tokenizer, model = AutoTokenizer.from_pretrained(base_folder()), with_adapter(settings).to(device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=0.02)
    average, averaged = [torch.zeros_like(p) for p in trained], 0
    for number in range(settings.passes):
        order = number + 100 * settings.seed
        chance, rng, running = random.Random(order), np.random.default_rng(order), 0.7
        pairs = [(variant(text, chance), label) for text, label in sst2] + everyday * settings.everyday
        pairs += [(in_phrase(word, chance), label) for word, label in lexicon if chance.random() < settings.words]
        rows = tokenizer([text for text, _ in pairs], truncation=True, max_length=96)["input_ids"]
        plan = list(batches(np.array([len(row) for row in rows]), settings.batch_tokens, rng))
        model.train()
        for step, indices in enumerate(plan):
            progress = (number + step / len(plan)) / settings.passes
            set_rates([optimizer], min(progress / 0.06, max(0.15, warm_up_then_decay(progress, 0.0, 0.2))))
            inputs = tokenizer.pad({"input_ids": [rows[i] for i in indices]}, return_tensors="pt").to(device)
            inner = (inputs["input_ids"] != tokenizer.cls_token_id) & inputs["attention_mask"].bool()
            hidden = inner & (torch.rand(inner.shape, device=device) < settings.blank)
            inputs["input_ids"] = inputs["input_ids"].masked_fill(hidden, tokenizer.mask_token_id)
            labels = torch.tensor([pairs[i][1] for i in indices], device=device)
            with autocast:
                loss = cross_entropy(model(**inputs).logits.float(), labels, label_smoothing=0.05)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            running = 0.98 * running + 0.02 * loss.item()
            if progress >= settings.average_from:
                averaged += 1
                torch._foreach_lerp_(average, [p.detach() for p in trained], 1 / averaged)
        print(f"pass {number + 1} of {settings.passes}: loss {running:.3f} | {watch(model, tokenizer)}", flush=True)
    with torch.no_grad():
        torch._foreach_copy_(trained, average)
    return model, tokenizer


@torch.no_grad()
def predict(model, tokenizer, texts: list[str]) -> np.ndarray:
    """0 or 1 for every text."""
    model.eval()
    answers = []
    for start in range(0, len(texts), 32):
        inputs = tokenizer(
            texts[start : start + 32], padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        answers.append(model(**inputs.to(next(model.parameters()).device)).logits.argmax(-1).cpu().numpy())
    return np.concatenate(answers)


def right(model, tokenizer, pairs: list[tuple[str, int]]) -> np.ndarray:
    return predict(model, tokenizer, [text for text, _ in pairs]) == np.array([label for _, label in pairs])


def watcher(dev: list[tuple[str, int]]):
    return lambda model, tokenizer: f"SST-2 dev {right(model, tokenizer, dev).mean():.4f}"


def load(folder: Path):
    return merged(base_model(), folder), AutoTokenizer.from_pretrained(folder)


def evaluate(folder: Path, dev: list[tuple[str, int]]) -> dict:
    model, tokenizer = load(folder)
    written = [(untokenize(text), label) for text, label in dev]
    return {
        "sst2_dev": accuracy(right(model, tokenizer, dev)),
        "sst2_dev_as_written": accuracy(right(model, tokenizer, written)),
        "everyday": accuracy(right(model, tokenizer, read_labelled(EVERYDAY_TEST))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/sentiment-en"), help="the members, once trained")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dev = read_sst2(options.data / "sst2_dev.tsv")
    if not options.evaluate:
        texts = read_sst2(options.data / "sst2_train.tsv"), read_labelled(EVERYDAY_TRAIN), read_lexicon()
        members = [options.work / f"member-{number}" for number in range(len(MEMBERS))]
        for member, settings in zip(members, MEMBERS, strict=True):
            if not member.exists():
                options.work.mkdir(parents=True, exist_ok=True)
                save(*train(settings, *texts, watcher(dev)), member)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        mix(members, options.output)
    figures = evaluate(options.output, dev)
    write_json(options.output / "metrics.json", figures)
    write_card(options.output)
    print(figures)


if __name__ == "__main__":
    main()
