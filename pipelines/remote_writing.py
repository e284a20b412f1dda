"""Text that a provider's model writes: a chat model's answer, piece by piece, or a continuation as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipelines import inputs, remote, remote_checks, remote_snippets, text_tasks
from pipelines.errors import VisitorError
from pipelines.generation import ALTERNATIVES, Sampling
from pipelines.literals import literal
from pipelines.outcome import Outcome
from pipelines.remote_call import Call, Plan

MOST_WRITTEN = 40_000
MOST_PIECES = 4_000
# Not every provider knows them, and a request with an unknown option is refused.
NOT_SENT = ("top_k", "repetition_penalty")


def plan(
    prompt: object,
    max_new_tokens: object = 50,
    temperature: object = 1.0,
    top_p: object = 1.0,
    seed: object = None,
    num_beams: object = 1,
) -> Plan:
    """Return the plan of "generate".

    Raises:
        VisitorError: as `text_tasks.sampling`; remote_no_beam.
    """
    clean = inputs.text(prompt, what="prompt")
    how = text_tasks.sampling(max_new_tokens, temperature, 0, top_p, seed, None, num_beams)
    if how.num_beams > 1:
        raise VisitorError("remote_no_beam")

    def ask(call: Call) -> Iterator[Outcome]:
        yield from _chat(call, clean, how) if call.at.task == "conversational" else _continued(call, clean, how)

    def code(at: remote.Route) -> str:
        chat = at.task == "conversational"
        settings = _chat_settings(how) if chat else _settings(how, at)
        return remote_snippets.write(
            at,
            remote_snippets.CHAT if chat else remote_snippets.WRITE,
            prompt=literal(clean),
            settings=remote_snippets.arguments(settings),
        )

    return Plan(("conversational", "text-generation"), [clean], ask, code)


def _chat_settings(how: Sampling) -> dict[str, Any]:
    drawn = {"top_p": how.top_p, "seed": how.seed} if how.drawn else {}
    return {"max_tokens": how.max_new_tokens, "temperature": how.temperature, **drawn}


def _settings(how: Sampling, at: remote.Route) -> dict[str, Any]:
    given: dict[str, Any] = {"max_new_tokens": how.max_new_tokens}
    if at.provider == "hf-inference":
        given |= {"do_sample": how.drawn, "return_full_text": False}
    if how.drawn:
        given |= {"temperature": how.temperature, "seed": how.seed} | ({"top_p": how.top_p} if how.top_p < 1 else {})
    return given


def _chat(call: Call, prompt: str, how: Sampling) -> Iterator[Outcome]:
    """Yield the answer after each piece; with the chances of its tokens, where the provider tells them."""
    result: dict[str, Any] = {"text": prompt, "tokens": []}
    with remote.client(call.at, call.secret, call.stop, call_bytes(how)) as client:
        settings = {"model": call.at.model, "stream": True, **_chat_settings(how)}

        def ask(**more: Any) -> Any:
            said = [{"role": "user", "content": prompt}]
            return remote.patiently(lambda: client.chat_completion(said, **settings, **more), call.stop, call.tell)

        try:
            chunks = ask(logprobs=True, top_logprobs=ALTERNATIVES)
        except Exception as error:
            if remote.status(error) not in (400, 422):
                raise
            chunks = ask()  # a provider that does not tell chances refuses to be asked for them
        for chunk in chunks:
            pieces = _pieces(chunk)
            if not pieces:
                continue
            tokens = [*result["tokens"], *pieces]
            text = "".join(each["token"] for each in tokens)
            if len(tokens) > MOST_PIECES or len(text) > MOST_WRITTEN:
                raise remote_checks.odd("size")
            result = {"text": f"{prompt}\n\n{text}", "tokens": tokens}
            yield Outcome(result, "method.remote_chat")
    if not result["tokens"]:
        raise VisitorError("remote_no_text", model=call.at.model, tokens=how.max_new_tokens)


def call_bytes(how: Sampling) -> int:
    """Return how long a streamed answer may be: each token comes in an envelope, with its alternatives."""
    return 200_000 + 4_000 * how.max_new_tokens


def _pieces(chunk: Any) -> list[dict[str, Any]]:
    """Return the entries of a chunk of a chat: its tokens, or what it holds as one piece of unknown probability."""
    choices = _of(chunk, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    content = _of(_of(choice, "delta"), "content")
    if content is None or content == "":
        return []
    text = remote_checks.words(content, MOST_WRITTEN, "text")
    told = _of(_of(choice, "logprobs"), "content")
    entries = [_entry(each) for each in told] if isinstance(told, list) and len(told) <= MOST_PIECES else []
    if "".join(each["token"] for each in entries) == text and all(each["token"] for each in entries):
        return entries
    return [_piece(text)]


def _entry(told: Any) -> dict[str, Any]:
    """Return the entry of a token; an empty one, when it is not told as it should be."""
    token, chance = _of(told, "token"), remote_checks.logarithm(_of(told, "logprob"))
    others = _of(told, "top_logprobs")
    alternatives = [
        {"token": name, "id": None, "probability": share}
        for name, share in (
            (_of(each, "token"), remote_checks.logarithm(_of(each, "logprob")))
            for each in (others if isinstance(others, list) else [])[:ALTERNATIVES]
        )
        if isinstance(name, str) and 0 < len(name) < 200 and share
    ]
    if not isinstance(token, str) or len(token) > 200 or chance is None:
        return {**_piece(""), "alternatives": []}
    return {"token": token, "id": None, "probability": chance, "alternatives": alternatives}


def _piece(text: str) -> dict[str, Any]:
    return {"token": text, "id": None, "probability": None, "alternatives": []}


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _continued(call: Call, prompt: str, how: Sampling) -> Iterator[Outcome]:
    """Yield the text as a whole: of this task the library reads a stream from one kind of server only."""
    written = call.ask("text_generation", prompt, **_settings(how, call.at))
    text = remote_checks.words(written, MOST_WRITTEN, "text")
    if text.startswith(prompt):  # some give the beginning back
        text = text[len(prompt) :]
    if not text:
        raise VisitorError("remote_no_text", model=call.at.model, tokens=how.max_new_tokens)
    yield Outcome({"text": prompt + text, "tokens": [_piece(text)]})
