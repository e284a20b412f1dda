"""The first stage of sentiment-en: two adapters, trained on labels alone with different settings, and their mean.

LoRA: Hu et al. 2021, https://arxiv.org/abs/2106.09685
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from recipes._english_adapter import adapted, base_folder, mix, save
from recipes._english_text import in_phrase, read_lexicon, variant
from recipes._training import batches, device_and_autocast, set_rates, warm_up_then_decay

LABELS = {0: "NEGATIVE", 1: "POSITIVE"}


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
        print(f"pass {number + 1} of {settings.passes}: loss {running:.3f}", flush=True)
    with torch.no_grad():
        torch._foreach_copy_(trained, average)
    return model, tokenizer


def start(work: Path, sst2: list[tuple[str, int]], everyday: list[tuple[str, int]]) -> Path:
    """The folder with the mean of the members; those that ``work`` holds are not trained again."""
    folder = work / "start"
    if not folder.exists():
        members = [work / f"member-{number}" for number in range(len(MEMBERS))]
        for member, settings in zip(members, MEMBERS, strict=True):
            if not member.exists():
                save(*train(settings, sst2, everyday, read_lexicon()), member)
        mix(members, folder)
    return folder
