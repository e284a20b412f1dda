"""The small tagger: its counted word vectors, and its two training stages.

1. ``pretrain``: say of every piece its part of speech, with some words hidden; the marked sentences say their tags too.
2. ``finetune``: the tags of the marked sentences, with names swapped, words spelt and pieces hidden.
"""

import random
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import ModernBertConfig, ModernBertForTokenClassification

from recipes._entity_text import SPEECHES, TAG, TAGS, UNKNOWN, Marked, Swapper
from recipes._entity_tokenizer import Pieces
from recipes._korean_body import neighbours
from recipes._korean_corpus import CLS, MASK, PAD, SEP, SPECIAL_TOKENS
from recipes._training import (
    Clock,
    Rates,
    batches,
    device_and_autocast,
    optimizers,
    save_checkpoint,
    set_rates,
    warm_up_then_decay,
)

WIDTH, LAYERS, LENGTH = 192, 3, 512


def config(size: int, dropout: float = 0.0) -> ModernBertConfig:
    return ModernBertConfig(
        vocab_size=size,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=6,
        max_position_embeddings=LENGTH,
        global_attn_every_n_layers=1,
        embedding_dropout=dropout,
        mlp_dropout=dropout,
        classifier_dropout=dropout,
        pad_token_id=PAD,
        cls_token_id=CLS,
        sep_token_id=SEP,
        bos_token_id=CLS,
        eos_token_id=SEP,
        id2label=dict(enumerate(TAGS)),
        label2id=TAG,
    )


def counted_vectors(rows: list[np.ndarray], size: int) -> np.ndarray:
    """Word vectors counted rather than trained: shape (size, WIDTH), standard deviation 0.05.

    A truncated SVD of the positive pointwise mutual information between a piece and its neighbours up to four apart,
    those before and those after it counted apart (Levy & Goldberg 2014).
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    pairs = neighbours(rows, size)
    table = sparse.hstack([pairs, pairs.T]).tocoo()
    row = np.asarray(table.sum(axis=1)).ravel() + 1e-6
    column = (np.asarray(table.sum(axis=0)).ravel() + 1e-6) ** 0.75
    mutual = np.log(table.data * column.sum() / (row[table.row] * column[table.col]))
    keep = mutual > 0
    matrix = sparse.csr_matrix((mutual[keep], (table.row[keep], table.col[keep])), shape=table.shape)
    left, values, _ = randomized_svd(matrix.astype(np.float32), WIDTH, n_iter=3, random_state=0)
    vectors = left * np.sqrt(values)
    return (0.05 * vectors / vectors.std()).astype(np.float32)


class Tagger(torch.nn.Module):
    """A ModernBERT with two heads: the tags, and the parts of speech (dropped after training)."""

    def __init__(self, size: int, dropout: float = 0.0):
        super().__init__()
        self.tagger = ModernBertForTokenClassification(config(size, dropout))
        self.speech = torch.nn.Linear(WIDTH, SPEECHES)

    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """(rows, length) -> (rows, length, WIDTH)"""
        return self.tagger.model(input_ids=ids, attention_mask=(ids != PAD).long()).last_hidden_state

    def tags(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.tagger.classifier(self.tagger.drop(self.tagger.head(hidden)))


def pad(rows: list[np.ndarray], fill: int, ends: tuple[int, int] | None = None) -> torch.Tensor:
    """Rows of numbers as one tensor, with a place before and after each for [CLS] and [SEP]."""
    table = np.full((len(rows), max(map(len, rows)) + 2), fill, dtype=np.int64)
    for line, row in zip(table, rows, strict=True):
        line[1 : len(row) + 1] = row
        if ends:
            line[0], line[len(row) + 1] = ends
    return torch.from_numpy(table)


def hide_words(ids: torch.Tensor, continues: torch.Tensor, share: float) -> torch.Tensor:
    """Of about ``share`` of the words 80 % become [MASK], 10 % other pieces, 10 % stay."""
    word = (~continues[ids]).cumsum(1)
    chosen = (torch.rand(len(ids), int(word.max()) + 1) < share).gather(1, word) & (ids >= len(SPECIAL_TOKENS))
    dice = torch.rand(ids.shape)
    masked = ids.masked_fill(chosen & (dice < 0.8), MASK)
    return torch.where(chosen & (dice > 0.9), torch.randint(len(SPECIAL_TOKENS), len(continues), ids.shape), masked)


def pretrain(
    pieces: Pieces, silver: list[Marked], gold: list[Marked], work: Path, minutes: float, watch, tokens: int = 2500
) -> Tagger:
    """Trains for ``minutes``, the marked sentences four times as often; an interrupted run goes on."""
    done, checkpoint = work / "pretrained.pt", work / "pretrain.checkpoint.pt"
    size = len(pieces.vocabulary)
    device, autocast = device_and_autocast()
    torch.manual_seed(0)
    model = Tagger(size).to(device)
    if done.exists():
        model.load_state_dict(torch.load(done, map_location=device))
        return model
    texts = silver + gold * 4
    steppers, clock, first = optimizers(model, Rates(matrices=0.015, rest=0.002), ".layers."), Clock(minutes), 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        for stepper, saved in zip(steppers, state["optimizers"], strict=True):
            stepper.load_state_dict(saved)
        clock, first = Clock(minutes, state["spent"]), state["pass"] + 1
    continues = torch.tensor([piece.startswith("##") for piece in pieces.vocabulary])
    next_watch = clock.spent
    for number in range(first, 1000):
        rng = np.random.default_rng([0, number])
        encoded = pieces.encode([each.text for each in texts], 0.2, rng)
        if number == 0:
            vectors = torch.from_numpy(counted_vectors([ids for ids, _ in encoded], size))
            model.tagger.model.embeddings.tok_embeddings.weight.data.copy_(vectors)
            clock = Clock(minutes)
        lengths = np.array([len(ids) + 2 for ids, _ in encoded])
        for indices in batches(lengths, tokens, rng):
            ids = pad([encoded[i][0] for i in indices], PAD, (CLS, SEP))
            speech = pad([texts[i].speech[encoded[i][1]] for i in indices], UNKNOWN).to(device)
            tags = pad([_tags(texts[i], encoded[i][1]) for i in indices], UNKNOWN).to(device)
            with autocast:
                hidden = model.hidden(hide_words(ids, continues, 0.1).to(device))
                heard, marked = speech != UNKNOWN, tags != UNKNOWN
                loss = cross_entropy(model.speech(hidden[heard]), speech[heard])
                if bool(marked.any()):
                    share = 3 * marked.sum() / heard.sum()
                    loss = loss + share * cross_entropy(model.tags(hidden[marked]), tags[marked])
            loss.backward()
            _step(model, steppers, warm_up_then_decay(clock.progress))
            if clock.spent >= next_watch or clock.progress >= 1:
                print(f"pretrain {clock.spent:5.1f} min, pass {number}: {loss.item():.3f} | {watch(model)}", flush=True)
                next_watch = clock.spent + minutes / 6
            if clock.progress >= 1:
                torch.save(model.state_dict(), done)
                return model
        save_checkpoint(
            checkpoint,
            model=model.state_dict(),
            spent=clock.spent,
            optimizers=[stepper.state_dict() for stepper in steppers],
            **{"pass": number},
        )
    return model


def _tags(each: Marked, starts: np.ndarray) -> np.ndarray:
    if each.tags is None:
        return np.full(len(starts), UNKNOWN)
    return np.array([TAG[each.tags[i]] for i in starts])


def _step(model: torch.nn.Module, steppers: list[torch.optim.Optimizer], rate: float) -> None:
    set_rates(steppers, rate)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for stepper in steppers:
        stepper.step()
        stepper.zero_grad()


def finetune(
    model: Tagger,
    pieces: Pieces,
    gold: list[Marked],
    swap: Swapper,
    minutes: float,
    seed: int,
    watch,
    tokens: int = 1600,
) -> Tagger:
    """Trains for ``minutes`` on the marked sentences, other names and other spellings in every pass.

    What comes back is a running mean of the weights, in place of the last.
    """
    device, autocast = device_and_autocast()
    torch.manual_seed(seed)
    tuned = Tagger(len(pieces.vocabulary), dropout=0.1).to(device)
    tuned.load_state_dict(model.state_dict())
    mean = {name: value.clone() for name, value in tuned.state_dict().items()}
    steppers, clock, steps = optimizers(tuned, Rates(matrices=0.006, rest=0.0008), ".layers."), Clock(minutes), 0
    tuned.train()
    for number in range(10_000):
        rng, dice = np.random.default_rng([seed, number]), random.Random(f"{seed} {number}")
        swapped = [swap(each, 0.3, dice) for each in gold]
        encoded = pieces.encode([text for text, _, _ in swapped], 0.2, rng)
        lengths = np.array([len(ids) + 2 for ids, _ in encoded])
        for indices in batches(lengths, 1600, rng):
            ids = pad([encoded[i][0] for i in indices], PAD, (CLS, SEP))
            tags = pad([swapped[i][1][encoded[i][1]] for i in indices], UNKNOWN).to(device)
            speech = pad([swapped[i][2][encoded[i][1]] for i in indices], UNKNOWN).to(device)
            seen = ids.masked_fill((torch.rand(ids.shape) < 0.06) & (ids >= len(SPECIAL_TOKENS)), MASK)
            with autocast:
                hidden = tuned.hidden(seen.to(device))
                heard, marked = speech != UNKNOWN, tags != UNKNOWN
                loss = cross_entropy(tuned.tags(hidden[marked]), tags[marked], label_smoothing=0.05)
                loss = loss + 0.3 * cross_entropy(tuned.speech(hidden[heard]), speech[heard])
            loss.backward()
            _step(tuned, steppers, warm_up_then_decay(clock.progress, decay_from=0.2))
            steps += 1
            for name, value in tuned.state_dict().items():
                mean[name].lerp_(value, 1 - min(0.99, (1 + steps) / (10 + steps)))
            if clock.progress >= 1:
                tuned.load_state_dict(mean)
                tuned.eval()
                print(f"finetune {seed}, {number + 1} passes: {watch(tuned)}", flush=True)
                return tuned
    return tuned
