"""The small Korean encoder: how its embeddings begin, and its two training stages.

1. ``pretrain``: guess masked pieces and the review's rating at once (one forward pass serves both losses).
2. ``finetune``: whole reviews and everyday sentences, negative / neutral / positive.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, scaled_dot_product_attention
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

from recipes._korean_corpus import NEGATIVE, PAD, POSITIVE, classes
from recipes._korean_examples import MAX_LENGTH, NO_RATING, Examples, mask_words
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

LABELS = {0: "negative", 1: "neutral", 2: "positive"}


def config(vocab_size: int) -> BertConfig:
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=MAX_LENGTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=PAD,
        id2label=LABELS,
        label2id={name: i for i, name in LABELS.items()},
    )


def neighbours(rows: list[np.ndarray], size: int):
    """How often a piece (row) stands up to four places before another (column), nearer ones counting more.

    A sparse matrix, (size, size).
    """
    from scipy import sparse

    stream = np.concatenate([np.append(row, -1) for row in rows])
    pairs = sparse.csr_matrix((size, size), dtype=np.float32)
    for distance in range(1, 5):
        left, right = stream[:-distance], stream[distance:]
        together = (left >= 0) & (right >= 0)
        for nearer in range(1, distance):
            together &= stream[nearer : len(stream) - distance + nearer] >= 0
        ones = np.full(int(together.sum()), 1.0 / distance, dtype=np.float32)
        pairs = pairs + sparse.csr_matrix((ones, (left[together], right[together])), shape=(size, size))
    return pairs


def starting_embeddings(rows: list[np.ndarray], ratings: np.ndarray, size: int, width: int) -> np.ndarray:
    """Word vectors counted rather than trained: shape (size, width), standard deviation 0.05.

    All but three columns are a truncated SVD of positive pointwise mutual information between pieces up to four
    apart (Levy & Goldberg 2014); three say how much more often a piece stands in negative, neutral, positive reviews.
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    pairs = neighbours(rows, size)
    pairs = (pairs + pairs.T).tocoo()
    count = np.asarray(pairs.sum(axis=1)).ravel() + 1e-6
    smoothed = count**0.75
    mutual = np.log(pairs.data * smoothed.sum() / (count[pairs.row] * smoothed[pairs.col]))
    keep = mutual > 0
    matrix = sparse.csr_matrix((mutual[keep], (pairs.row[keep], pairs.col[keep])), shape=(size, size))
    left, values, _ = randomized_svd(matrix.astype(np.float32), width - 3, n_iter=3, random_state=0)
    vectors = left * np.sqrt(values)

    label = np.repeat(classes(ratings), [len(row) for row in rows])
    table = np.stack([np.bincount(np.concatenate(rows)[label == c], minlength=size) for c in range(3)], 1) + 5.0
    polarity = np.log(table / table.sum(0)) - np.log(table.sum(1, keepdims=True) / table.sum())
    result = np.concatenate([vectors / vectors.std(), 2 * polarity / polarity.std()], axis=1)
    return (0.05 * result).astype(np.float32)


class TwoTasks(torch.nn.Module):
    """One body with three heads: masked pieces, the three classes, and the rating (dropped after training)."""

    def __init__(self, kinds: torch.Tensor):
        super().__init__()
        vocab_size = len(kinds)
        self.kinds = kinds
        self.classifier = BertForSequenceClassification(config(vocab_size))
        self.masked = BertForMaskedLM(config(vocab_size))
        self.masked.bert = self.classifier.bert
        self.masked.tie_weights()
        self.rating = torch.nn.Linear(self.classifier.config.hidden_size, 10)

    def start_from(self, embeddings: np.ndarray, counts: np.ndarray) -> None:
        """Counted vectors for the pieces, and their frequency as the masked head's bias."""
        with torch.no_grad():
            self.classifier.bert.embeddings.word_embeddings.weight.copy_(torch.from_numpy(embeddings))
            self.masked.cls.predictions.bias.copy_(torch.from_numpy(np.log((counts + 1) / counts.sum())))

    def forward(self, ids: torch.Tensor, chosen: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """What the losses need and no more: the last layer is worked out for [CLS] and the ``chosen`` places alone.

        Args:
            ids: pieces, (rows, length).
            chosen: places whose piece is to be guessed, bool (rows, length).

        Returns:
            The pooled [CLS], (rows, 256), and the hidden states of the chosen places, (number, 256).
        """
        bert, rows = self.classifier.bert, len(ids)
        mask = (ids != PAD)[:, None, None, :] if bool((ids == PAD).any()) else None
        hidden = bert.embeddings(ids)
        for layer in bert.encoder.layer[:-1]:
            hidden = layer(hidden, mask)
        last = bert.encoder.layer[-1]
        if chosen is None:
            top = last.feed_forward_chunk(first_attends(last.attention, hidden, mask))
        else:
            attended = last.attention(hidden, mask)[0]
            top = last.feed_forward_chunk(torch.cat([attended[:, 0], attended[chosen]]))
        return torch.tanh(bert.pooler.dense(top[:rows])), top[rows:]


def first_attends(attention: torch.nn.Module, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """BertAttention for the first place of every row only: (rows, length, width) -> (rows, width)."""

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (attention.self.num_attention_heads, -1)).transpose(1, 2)

    here = attention.self
    first = hidden[:, :1]
    context = scaled_dot_product_attention(
        heads(here.query(first)), heads(here.key(hidden)), heads(here.value(hidden)), attn_mask=mask
    )
    return attention.output(context.transpose(1, 2).flatten(2), first)[:, 0]


@dataclass(frozen=True)
class Stage:
    """``mask`` is the share of words hidden; ``weights`` those of the three classes in the loss."""

    name: str
    minutes: float
    rates: Rates
    weights: tuple[float, float, float]
    mask: float = 0.0
    tokens: int = 4096
    micro_batches: int = 2
    seed: int = 0


def losses(model: TwoTasks, examples: Examples, indices: np.ndarray, stage: Stage, device) -> dict[str, torch.Tensor]:
    ids = examples.pad(indices)
    seen, chosen = mask_words(ids, model.kinds, stage.mask) if stage.mask else (ids, None)
    pooled, hidden = model(seen.to(device), None if chosen is None else chosen.to(device))
    labels = torch.from_numpy(examples.labels[indices]).to(device)
    ratings = torch.from_numpy(examples.ratings[indices]).to(device)
    weights = torch.tensor(stage.weights, device=device)
    logits = model.classifier.classifier(pooled)
    result = {"class": cross_entropy(logits, labels, weights, label_smoothing=0.05)}
    teacher = torch.from_numpy(examples.teacher[indices]).to(device)
    heard = ~teacher.isnan()
    if bool(heard.any()):
        odds = (logits[:, POSITIVE] - logits[:, NEGATIVE])[heard]
        result["teacher"] = binary_cross_entropy_with_logits(odds, teacher[heard].sigmoid())
    if bool((ratings != NO_RATING).any()):
        result["rating"] = cross_entropy(model.rating(pooled), ratings.where(ratings == NO_RATING, ratings - 1))
    if chosen is not None and bool(chosen.any()):
        result["masked"] = cross_entropy(model.masked.cls(hidden), ids[chosen].to(device))
    return result


LOSS_SHARE = {"class": 1.0, "teacher": 1.0, "rating": 0.4, "masked": 0.5}


def train(model: TwoTasks, stage: Stage, examples_of_pass, checkpoint: Path, watch) -> None:
    """Trains for ``stage.minutes``; an interrupted run goes on from ``checkpoint``.

    Args:
        examples_of_pass: called with a random generator at the start of each pass; returns its ``Examples``.
        watch: called with the model every tenth of the time; returns a line of progress to print.
    """
    device, autocast = device_and_autocast()
    model.to(device).train()
    steppers, clock, first_pass, tokens = optimizers(model, stage.rates), Clock(stage.minutes), 0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        for stepper, saved in zip(steppers, state["optimizers"], strict=True):
            stepper.load_state_dict(saved)
        clock, first_pass, tokens = Clock(stage.minutes, state["spent"]), state["pass"] + 1, state["tokens"]
    next_watch, running, micro = clock.spent, {}, 0
    for number in range(first_pass, 1000):
        rng = np.random.default_rng([stage.seed, number])
        torch.manual_seed(number)
        examples = examples_of_pass(rng)
        lengths = np.array([len(row) + 2 for row in examples.rows])
        for indices in batches(lengths, stage.tokens, rng):
            with autocast:
                parts = losses(model, examples, indices, stage, device)
            (sum(LOSS_SHARE[k] * v for k, v in parts.items()) / stage.micro_batches).backward()
            tokens += int(lengths[indices].sum())
            running |= {k: 0.99 * running.get(k, v.item()) + 0.01 * v.item() for k, v in parts.items()}
            micro += 1
            if micro % stage.micro_batches == 0:
                set_rates(steppers, warm_up_then_decay(clock.progress))
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                for stepper in steppers:
                    stepper.step()
                    stepper.zero_grad()
            if clock.spent >= next_watch or clock.progress >= 1:
                means = " ".join(f"{k} {v:.3f}" for k, v in running.items())
                model.eval()
                print(
                    f"{stage.name} {clock.spent:5.1f} min, pass {number}, {tokens / 1e6:.2f} M tokens: {means}"
                    f" | {watch(model)}",
                    flush=True,
                )
                model.train()
                next_watch = clock.spent + stage.minutes / 12
                save_checkpoint(
                    checkpoint,
                    model=model.state_dict(),
                    spent=clock.spent,
                    tokens=tokens,
                    optimizers=[s.state_dict() for s in steppers],
                    **{"pass": number},
                )
            if clock.progress >= 1:
                model.eval()
                return
