"""The storyteller: its vocabulary, its start from a table of word pairs, and its training."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from recipes._stories_text import Story
from recipes._training import Clock, device_and_autocast, save_checkpoint, set_rates, warm_up_then_decay

VOCABULARY = 4_096
END = "<|endoftext|>"
PLACES = 256
# Words with the one space before them, digits by three, punctuation with the line breaks that follow it.
SPLIT = r"'(?:s|t|re|ve|m|ll|d)\b| ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+\n*|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class Settings:
    """``matrices`` is the peak rate of the layers' matrices, ``rest`` that of embeddings, head and norms.

    ``rows`` is few: where time is short, many small steps teach more than few large ones.
    ``pairs`` is the number of steps that fit embeddings and head to the counts of neighbouring pieces.
    ``average`` is the share of the newest weights in the moving average that is kept in the end.
    """

    width: int = 192
    layers: int = 4
    heads: int = 3
    inner: int = 512
    rows: int = 2
    length: int = 256
    matrices: float = 3e-3
    rest: float = 2e-3
    pairs: int = 40
    decay_from: float = 0.5
    average: float = 0.005
    seed: int = 0


def train_tokenizer(texts: list[str], size: int = VOCABULARY):
    """A byte-level BPE tokenizer, so that nothing is ever unknown; every text begins with ``<|endoftext|>``."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=[END],
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END} $A", pair=f"{END} $A {END} $B", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        clean_up_tokenization_spaces=False,
        model_max_length=PLACES,
        model_input_names=["input_ids", "attention_mask"],
        bos_token=END,
        eos_token=END,
        pad_token=END,
    )


@dataclass(frozen=True)
class Stream:
    """Stories one after the other: ``ids``, with ``<|endoftext|>`` after each; ``starts``, where sentences begin."""

    ids: torch.Tensor
    starts: np.ndarray


def stream(tokenizer, stories: list[Story]) -> Stream:
    end, ids, starts = tokenizer.eos_token_id, [], []
    rows = tokenizer([story.text for story in stories], add_special_tokens=False, verbose=False)["input_ids"]
    closes = {
        i for i in range(len(tokenizer)) if i != end and tokenizer.decode([i]).rstrip('"\n').endswith((".", "!", "?"))
    }
    for row in rows:
        starts.append(len(ids))
        starts += [len(ids) + i + 1 for i, piece in enumerate(row) if piece in closes and i + 1 < len(row)]
        ids += [*row, end]
    return Stream(torch.tensor(ids), np.array(starts))


def windows(text: Stream, length: int, end: int, rng: np.random.Generator) -> torch.Tensor:
    """One pass over the text: rows of ``length`` + 1 ids that begin with ``<|endoftext|>`` and then a sentence.

    A prompt is read the same way: what a visitor types begins a sentence, after ``<|endoftext|>``.
    """
    wanted = np.arange(rng.integers(length), len(text.ids) - length, length)
    begin = text.starts[np.maximum(np.searchsorted(text.starts, wanted, side="right") - 1, 0)]
    begin = np.where(wanted - begin > length // 2, wanted, begin)  # inside a very long sentence
    rng.shuffle(begin)
    rows = torch.stack([text.ids[b : b + length] for b in begin])
    return torch.cat([torch.full((len(rows), 1), end), rows], 1)


def new_model(settings: Settings, end: int):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(settings.seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=settings.width,
        num_hidden_layers=settings.layers,
        intermediate_size=settings.inner,
        num_attention_heads=settings.heads,
        num_key_value_heads=1,
        max_position_embeddings=PLACES,
        tie_word_embeddings=False,
        attention_dropout=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = LlamaForCausalLM(config)
    for layer in model.model.layers:  # every layer begins by adding nothing
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


def fit_pairs(model, ids: torch.Tensor, steps: int, log: Callable = print) -> None:
    """Lets embeddings and head learn which piece follows which, from the table of counts, before any training.

    All pairs of the whole text are one matrix product: a step costs as much as one of training and reads everything.
    """
    size, width = model.config.vocab_size, model.config.hidden_size
    table = torch.bincount(ids[:-1] * size + ids[1:], minlength=size * size).view(size, size).float()
    share = (table.sum(0) + 1) / (table.sum() + size)
    smooth = (table + 20 * share) / (table.sum(1, keepdim=True) + 20)
    left, values, right = torch.svd_lowrank((smooth / share).log(), q=width - 1, niter=2)
    embeddings, head = model.model.embed_tokens.weight, model.lm_head.weight
    with torch.no_grad():
        rows = torch.cat([left * values.sqrt(), torch.full((size, 1), float(values.sqrt().mean() / width**0.5))], 1)
        scale = rows.norm(dim=1, keepdim=True) / width**0.5
        columns = torch.cat([right * values.sqrt(), share.log()[:, None]], 1)
        embeddings.copy_(rows / scale)
        columns[:, :-1] *= scale.mean()
        columns[:, -1] /= (rows / scale)[:, -1].mean()
        head.copy_(columns)
    optimizer = torch.optim.Adam([embeddings, head], lr=0.01, betas=(0.8, 0.95))
    weight = table.sum(1) / table.sum()
    target = smooth_target(table, share)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / steps)
        logits = torch.nn.functional.rms_norm(embeddings, (width,)) @ head.T
        loss = weight @ cross_entropy(logits, target, reduction="none")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0 or step == steps - 1:
            log(f"pairs {step}: {loss.item():.3f} nats a piece", flush=True)
    with torch.no_grad():  # so that the layers' first words weigh about as much as the piece itself
        embeddings.mul_(1 / embeddings.pow(2).mean(1, keepdim=True).sqrt())
    optimizer.zero_grad()


def smooth_target(table: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    return (table + 2 * share) / (table.sum(1, keepdim=True) + 2)


def optimizers(model, settings: Settings) -> list[torch.optim.Optimizer]:
    """AdamW, with one rate for the matrices of the layers and one for embeddings, head and norms."""
    groups: dict[bool, list] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[".layers." in name and parameter.ndim == 2].append(parameter)
    return [
        torch.optim.AdamW(groups[inside], lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        for inside, rate in ((True, settings.matrices), (False, settings.rest))
    ]


def train(
    model,
    text: Stream,
    settings: Settings,
    minutes: float,
    checkpoint: Path | None = None,
    watch: Callable | None = None,
    stop_after: int | None = None,
):
    """Trains by the clock: a plateau, then a straight line to zero; returns the model with its averaged weights.

    The checkpoint written before the rate falls (``plateau.pt``) lets a longer run go on from there.
    """
    device, autocast = device_and_autocast()
    end, step, passes, spent = model.config.eos_token_id, 0, 0, 0.0
    model.to(device)
    both, average = optimizers(model, settings), [p.detach().clone() for p in model.parameters()]
    if checkpoint is not None:
        for path in (checkpoint, checkpoint.with_name("plateau.pt")):
            state = torch.load(path, weights_only=True) if path.exists() else None
            if state and (path != checkpoint or state["minutes"] == minutes):
                model.load_state_dict(state["model"])
                for optimizer, saved in zip(both, state["optimizers"], strict=True):
                    optimizer.load_state_dict(saved)
                average = [a.to(device) for a in state["average"]]
                step, passes, spent = state["step"], state["passes"], state["spent"]
                print(f"goes on from {path} at {spent:.1f} minutes", flush=True)
                break
    clock, saved_at, said_at, running = Clock(minutes, spent), time.monotonic(), 0.0, None
    began, read, plateau = clock.spent, 0, clock.progress >= settings.decay_from

    def keep(path: Path) -> None:
        save_checkpoint(
            path,
            model=model.state_dict(),
            optimizers=[optimizer.state_dict() for optimizer in both],
            average=average,
            step=step,
            passes=passes,
            spent=clock.spent,
            minutes=minutes,
        )

    model.train()
    while True:
        rng = np.random.default_rng((settings.seed, passes))
        rows = windows(text, settings.length, end, rng)
        for batch in rows.split(settings.rows):
            progress = clock.progress if stop_after is None else step / stop_after
            if progress >= 1:
                break
            set_rates(both, warm_up_then_decay(progress, 0.01, settings.decay_from))
            batch = batch.to(device)
            with autocast:
                logits = model(input_ids=batch[:, :-1], use_cache=False).logits
                loss = cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in both:
                optimizer.step()
                optimizer.zero_grad()
            step, read = step + 1, read + batch[:, 1:].numel()
            with torch.no_grad():
                torch._foreach_lerp_(average, list(model.parameters()), max(settings.average, 1 / (step + 1)))
            running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
            if checkpoint is not None and not plateau and progress >= settings.decay_from:
                plateau = True
                keep(checkpoint.with_name("plateau.pt"))
            if checkpoint is not None and time.monotonic() - saved_at > 60:
                saved_at = time.monotonic()
                keep(checkpoint)
            if clock.spent - said_at > 1 or step == stop_after:
                said_at = clock.spent
                speed = read / (60 * (clock.spent - began))
                print(
                    f"{clock.spent:.1f} of {minutes:g} minutes: step {step}, pass {passes + 1}, {speed:.0f} pieces/s, "
                    f"loss {running:.3f}{watch(model) if watch and step % 4 == 0 else ''}",
                    flush=True,
                )
        else:
            passes += 1
            continue
        break
    with torch.no_grad():
        torch._foreach_copy_(list(model.parameters()), average)
    return model.eval()


@torch.no_grad()
def nats(model, tokenizer, texts: list[str], length: int = PLACES) -> tuple[float, int, int]:
    """(nats, characters, pieces) of texts read from their beginning in rows of ``length`` that overlap by half.

    Every piece is counted once, with at least half a row before it, after the first row; the closing
    ``<|endoftext|>`` is not counted.
    """
    total, pieces, half = 0.0, 0, length // 2
    device = next(model.parameters()).device
    model.eval()
    for text in texts:
        ids = tokenizer(text, verbose=False)["input_ids"]
        for start in range(0, max(1, len(ids) - half), half):
            row = torch.tensor(ids[start : start + length], device=device)
            skip = 0 if start == 0 else half - 1
            losses = cross_entropy(model(input_ids=row[None, :-1]).logits[0].float(), row[1:], reduction="none")[skip:]
            total, pieces = total + losses.sum().item(), pieces + len(losses)
    return total, sum(map(len, texts)), pieces
