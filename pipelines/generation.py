"""A text written token by token: the loop that model.generate() hides, with what the model might have said instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines import batching
from pipelines.errors import VisitorError
from pipelines.run import Stopwatch

if TYPE_CHECKING:
    from pipelines.loading import Loaded

ALTERNATIVES = 5
MOST_BEGUN = 10_000


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the names and meanings are those of model.generate().

    Attributes:
        max_new_tokens: Most tokens to write.
        temperature: Divides the logits; 0 always takes the most probable token.
        top_k: Draw from the k most probable tokens only; 0 draws from all.
        top_p: Draw from the smallest set of tokens that holds this much probability.
        seed: Same seed, same prompt, same text.
        repetition_penalty: Above 1 makes tokens that the text already holds less likely; None keeps the model's own.
        num_beams: 1 writes one text; more is beam search, where nothing is drawn: temperature, top_k, top_p and seed
            have no effect.
    """

    max_new_tokens: int = 50
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    seed: int = 0
    repetition_penalty: float | None = None
    num_beams: int = 1

    @property
    def drawn(self) -> bool:
        """Whether chance, and so the seed, has a part in it."""
        return self.temperature > 0 and self.num_beams == 1

    def kwargs(self) -> dict[str, Any]:
        """Return the arguments that say the same to model.generate()."""
        said = {"max_new_tokens": self.max_new_tokens, "do_sample": self.drawn, "num_beams": self.num_beams}
        if self.drawn:
            said |= {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}
        if self.repetition_penalty is not None:
            said["repetition_penalty"] = self.repetition_penalty
        return said


@dataclass(frozen=True)
class Written:
    """The text so far: the prompt as it was typed and what came after it, and one entry per new token.

    `beams` are the beginnings that a beam search weighs against each other while it is under way.
    """

    text: str
    tokens: list[dict[str, Any]]
    cut: bool
    beams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Start:
    """What a text is written on from.

    Attributes:
        typed: The prompt as it was typed.
        head: Ids that the prompt is shown by, its own ones; `text` takes off what they decode to.
        kept: Ids after the prompt that stand already.
        fed: Ids that the model reads: head and kept, as many of the last ones as fit it.
        cut: Whether some did not.
        room: How many tokens may be added.
    """

    typed: str
    head: list[int]
    kept: list[int]
    fed: list[int]
    cut: bool
    room: int

    def text(self, tokenizer: Any, new: list[int]) -> str:
        """Return the whole text with `new` ids at its end."""
        begun = tokenizer.decode(self.head, skip_special_tokens=True)
        whole = tokenizer.decode(self.head + self.kept + new, skip_special_tokens=True)
        # A token may end inside a character; show it when the rest has come.
        return self.typed + whole[len(begun) :].rstrip("\ufffd")


def entries(begun: object) -> list[dict[str, Any]]:
    """Return the entries of the tokens that a text begins with.

    Raises:
        VisitorError: no_alternative, when they are not what a result's tokens are.
    """
    if not isinstance(begun, (list, tuple)) or len(begun) > MOST_BEGUN:
        raise VisitorError("no_alternative")
    for each in begun:
        number = each.get("id") if isinstance(each, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise VisitorError("no_alternative")
    return list(begun)


def instead(tokens: Sequence[dict[str, Any]], place: object, chosen: object) -> list[dict[str, Any]]:
    """Return the beginning of a text up to `place`, with one of that place's alternatives as its last token.

    Args:
        tokens: The entries of a text, as `write` yields them.
        place: Which of them, from 0.
        chosen: Id of the alternative.

    Raises:
        VisitorError: no_alternative.
    """
    if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(tokens):
        raise VisitorError("no_alternative")
    other = next((each for each in tokens[place]["alternatives"] if each["id"] == chosen), None)
    if other is None:
        raise VisitorError("no_alternative")
    return [*tokens[:place], {**tokens[place], **other}]


def write(
    loaded: Loaded,
    prompt: str,
    sampling: Sampling,
    watch: Stopwatch,
    stop: Callable[[], bool] | None = None,
    begun: Sequence[dict[str, Any]] = (),
) -> Iterator[Written]:
    """Yield the text after each new token, until the model ends it, the limit is reached, or `stop` says so.

    The model's lock is taken for one token at a time and never held while the caller has the text: a class whose
    thirty students write at once takes turns, and a reader who goes away leaves nothing locked. (A generator may be
    resumed on another thread, so a lock could not be held across a yield anyway.)

    Args:
        loaded: A causal language model.
        prompt: The beginning; cut from the left when prompt and new tokens do not fit the model together.
        sampling: How tokens are chosen; `num_beams` is for pipelines.beams.
        watch: Gets "tokenize" and "model".
        stop: Asked before each token.
        begun: Entries of an earlier text that stay as they are, by their ids; `sampling` is for what follows them, the
            seed as at the start of a text. When there are any, they are yielded first.

    Yields:
        Written, with tokens [{token, id, probability, alternatives: [{token, id, probability}]}]. Probabilities are
        those that the choice was made with: after temperature, top-k and top-p.
    """
    import torch

    model, tokenizer = loaded.pipe.model, loaded.pipe.tokenizer
    start = starting(loaded, prompt, sampling, watch, begun)
    tokens = list(begun)
    if tokens:
        with loaded.lock:
            text = start.text(tokenizer, [])
        yield Written(text, list(tokens), start.cut)
    input_ids = torch.tensor([start.fed], device=model.device)
    config, processors = library_parts(model, input_ids, sampling)
    ends = end_ids(config)
    if start.kept and start.kept[-1] in ends:
        return
    random = torch.Generator().manual_seed(sampling.seed)
    past, step, new_ids = None, input_ids, []
    for _ in range(start.room):
        if stop is not None and stop():
            return
        with loaded.lock, torch.inference_mode(), watch("model"):
            output = model(input_ids=step, past_key_values=past, use_cache=True)
            scores = processors(input_ids, output.logits[:, -1].float())
            probabilities = scores.softmax(dim=-1)[0].cpu()
            chosen = int(_draw(probabilities, random) if sampling.drawn else probabilities.argmax())
            past = output.past_key_values
            step = torch.tensor([[chosen]], device=model.device)
            input_ids = torch.cat([input_ids, step], dim=-1)
            new_ids.append(chosen)
            tokens.append(describe(tokenizer, chosen, probabilities))
            text = start.text(tokenizer, new_ids)
        yield Written(text, list(tokens), start.cut)
        if chosen in ends:
            return


def starting(
    loaded: Loaded, prompt: str, sampling: Sampling, watch: Stopwatch, begun: Sequence[dict[str, Any]] = ()
) -> Start:
    """Return what the model reads before it writes.

    Raises:
        VisitorError: empty_prompt, when the tokenizer leaves nothing of it; no_alternative, for ids that are none of
            the model's.
    """
    kept = [each["id"] for each in begun]
    if any(not 0 <= each < loaded.pipe.model.config.vocab_size for each in kept):
        raise VisitorError("no_alternative")
    with watch("tokenize"), loaded.lock:
        head, cut = prompt_ids(loaded.pipe, prompt, sampling.max_new_tokens)
    fed = _last(loaded.pipe, head + kept, sampling.max_new_tokens)
    room = min(sampling.max_new_tokens, batching.max_length(loaded.pipe) - len(fed) + 1)
    return Start(prompt, head, kept, fed, cut or len(fed) < len(head) + len(kept), room)


def prompt_ids(pipe: Any, prompt: str, max_new_tokens: int) -> tuple[list[int], bool]:
    """Return the ids a causal model reads of a prompt, and whether its beginning had to be cut to leave room.

    Raises:
        VisitorError: empty_prompt, when the tokenizer leaves nothing of it.
    """
    tokenizer = pipe.tokenizer
    ids = tokenizer(prompt, verbose=False)["input_ids"]
    # An end-of-text that the tokenizer adds would close the text before it began.
    while len(ids) > 1 and ids[-1] in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        ids = ids[:-1]
    if not ids:
        raise VisitorError("empty_prompt")
    last = _last(pipe, ids, max_new_tokens)
    return last, len(ids) > len(last)


def _last(pipe: Any, ids: list[int], max_new_tokens: int) -> list[int]:
    """Return as many of the last ids as leave room for the new ones, at least half of what the model can read."""
    longest = batching.max_length(pipe)
    return ids[-max(longest - max_new_tokens, longest // 2) :]


def library_parts(model: Any, input_ids: Any, sampling: Sampling) -> tuple[Any, Any]:
    """Return the generation config and the logits processors that model.generate() would use for the same call.

    These are methods of transformers' GenerationMixin that generate() itself calls; going through them keeps whatever
    the model's own generation_config.json asks for (repetition penalty, suppressed tokens, ...).
    """
    config, _ = model._prepare_generation_config(None, **sampling.kwargs())
    model._prepare_special_tokens(config, kwargs_has_attention_mask=True, device=input_ids.device)
    length = input_ids.shape[1]
    config.max_length = length + sampling.max_new_tokens
    processors = model._get_logits_processor(
        generation_config=config, input_ids_seq_length=length, encoder_input_ids=input_ids, device=input_ids.device
    )
    return config, processors


def _draw(probabilities: Any, random: Any) -> Any:
    import torch

    return torch.multinomial(probabilities, num_samples=1, generator=random)


def describe(tokenizer: Any, chosen: int, probabilities: Any) -> dict[str, Any]:
    """Return the entry of a token: what it is, how likely it was, and what else might have stood there."""
    best = probabilities.topk(min(ALTERNATIVES, len(probabilities)))
    return {
        "token": tokenizer.decode([chosen]),
        "id": chosen,
        "probability": float(probabilities[chosen]),
        "alternatives": [
            {"token": tokenizer.decode([index]), "id": index, "probability": value}
            for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            if value > 0
        ],
    }


def end_ids(config: Any) -> set[int]:
    """Return the ids with which a model says that its text is over."""
    value = config.eos_token_id
    return set() if value is None else set(value) if isinstance(value, (list, tuple)) else {value}
