"""A text written token by token: the loop that model.generate() hides, with what the model might have said instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines import batching
from pipelines.errors import VisitorError
from pipelines.run import Stopwatch

if TYPE_CHECKING:
    from pipelines.loading import Loaded

ALTERNATIVES = 5


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the names and meanings are those of model.generate().

    Attributes:
        max_new_tokens: Most tokens to write.
        temperature: Divides the logits; 0 always takes the most probable token.
        top_k: Draw from the k most probable tokens only; 0 draws from all.
        top_p: Draw from the smallest set of tokens that holds this much probability.
        seed: Same seed, same prompt, same text.
    """

    max_new_tokens: int = 50
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    seed: int = 0

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def kwargs(self) -> dict[str, Any]:
        """Return the arguments that say the same to model.generate()."""
        if self.greedy:
            return {"max_new_tokens": self.max_new_tokens, "do_sample": False, "num_beams": 1}
        return {
            "max_new_tokens": self.max_new_tokens,
            "do_sample": True,
            "num_beams": 1,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
        }


@dataclass(frozen=True)
class Written:
    """The text so far: the prompt as it was typed and what came after it, and one entry per new token."""

    text: str
    tokens: list[dict[str, Any]]
    cut: bool


def write(
    loaded: Loaded,
    prompt: str,
    sampling: Sampling,
    watch: Stopwatch,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Written]:
    """Yield the text after each new token, until the model ends it, the limit is reached, or `stop` says so.

    The model's lock is taken for one token at a time and never held while the caller has the text: a class whose
    thirty students write at once takes turns, and a reader who goes away leaves nothing locked. (A generator may be
    resumed on another thread, so a lock could not be held across a yield anyway.)

    Args:
        loaded: A causal language model.
        prompt: The beginning; cut from the left when prompt and new tokens do not fit the model together.
        sampling: How tokens are chosen.
        watch: Gets "tokenize" and "model".
        stop: Asked before each token.

    Yields:
        Written, with tokens [{token, id, probability, alternatives: [{token, probability}]}]. Probabilities are those
        that the choice was made with: after temperature, top-k and top-p.
    """
    import torch

    model, tokenizer = loaded.pipe.model, loaded.pipe.tokenizer
    with watch("tokenize"), loaded.lock:
        begun, cut = prompt_ids(loaded.pipe, prompt, sampling.max_new_tokens)
        start = tokenizer.decode(begun, skip_special_tokens=True)
    input_ids = torch.tensor([begun], device=model.device)
    config, processors = _library_parts(model, input_ids, sampling)
    ends = set(_as_list(config.eos_token_id))
    random = torch.Generator().manual_seed(sampling.seed)
    room = min(sampling.max_new_tokens, batching.max_length(loaded.pipe) - len(begun) + 1)
    tokens: list[dict[str, Any]] = []
    past, step, new_ids = None, input_ids, []
    for _ in range(room):
        if stop is not None and stop():
            return
        with loaded.lock, torch.inference_mode(), watch("model"):
            output = model(input_ids=step, past_key_values=past, use_cache=True)
            scores = processors(input_ids, output.logits[:, -1].float())
            probabilities = scores.softmax(dim=-1)[0].cpu()
            chosen = int(probabilities.argmax() if sampling.greedy else _draw(probabilities, random))
            past = output.past_key_values
            step = torch.tensor([[chosen]], device=model.device)
            input_ids = torch.cat([input_ids, step], dim=-1)
            new_ids.append(chosen)
            tokens.append(_describe(tokenizer, chosen, probabilities))
            whole = tokenizer.decode(begun + new_ids, skip_special_tokens=True)
        # A token may end inside a character; show it when the rest has come.
        yield Written(prompt + whole[len(start) :].rstrip("\ufffd"), list(tokens), cut)
        if chosen in ends:
            return


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
    longest = batching.max_length(pipe)
    room = max(longest - max_new_tokens, longest // 2)
    return ids[-room:], len(ids) > room


def _library_parts(model: Any, input_ids: Any, sampling: Sampling) -> tuple[Any, Any]:
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


def _describe(tokenizer: Any, chosen: int, probabilities: Any) -> dict[str, Any]:
    best = probabilities.topk(min(ALTERNATIVES, len(probabilities)))
    return {
        "token": tokenizer.decode([chosen]),
        "id": chosen,
        "probability": float(probabilities[chosen]),
        "alternatives": [
            {"token": tokenizer.decode([index]), "probability": value}
            for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            if value > 0
        ],
    }


def _as_list(value: Any) -> list[int]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
