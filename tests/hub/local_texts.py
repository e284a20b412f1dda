"""What the local provider answers to requests for text, in the providers' own shapes.

POST /router/hf-inference/models/{id}                               the model's task, as its offer says
POST /router/hf-inference/models/{id}/pipeline/feature-extraction   vectors
POST /router/{provider}/…/chat/completions                          a chat, streamed as server-sent events
POST /router/{provider}/…/completions                               a continuation
POST /router/{provider}/…/embeddings                                vectors
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

REPLY = ("Once", " upon", " a", " time", ".")
TAGS = {"conversational": "text-generation", "feature-extraction": "sentence-similarity"}


def vector(text: str) -> list[float]:
    """Return eight numbers that depend on the letters of a text."""
    counts = [float(sum(ord(char) % 8 == place for char in text)) for place in range(8)]
    return [count + 0.25 for count in counts]


def sse(*events: Any) -> bytes:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode() + b"data: [DONE]\n\n"


def chat(pieces: tuple[str, ...] = REPLY, chances: bool = True) -> bytes:
    """Return a chat as server-sent events: the role, the pieces, the end, the usage."""

    def event(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"role": "assistant"} | delta, "finish_reason": None} | more
        return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    events = [event({"content": ""})]
    for piece in pieces:
        told = {"token": piece, "logprob": math.log(0.5), "bytes": list(piece.encode())}
        told["top_logprobs"] = [{"token": piece, "logprob": math.log(0.5)}, {"token": " other", "logprob": -2.0}]
        events.append(event({"content": piece}, **({"logprobs": {"content": [told]}} if chances else {})))
    events.append(event({}, finish_reason="stop"))
    usage = {"prompt_tokens": 3, "completion_tokens": len(pieces), "total_tokens": 3 + len(pieces)}
    return sse(*events, {**event({}), "choices": [], "usage": usage})


def answer(path: str, body: dict[str, Any], task: str | None) -> bytes:
    """Return the answer to a good request.

    Args:
        path: Of the POST.
        body: Its JSON.
        task: That the model is offered for.
    """
    if path.endswith("/chat/completions"):
        return chat(chances=bool(body.get("logprobs")))
    if path.endswith("/completions"):
        return _json({"choices": [{"text": " upon a time.", "finish_reason": "length"}]})
    if path.endswith("/embeddings"):
        return _json({"data": [{"index": i, "embedding": vector(text)} for i, text in enumerate(body["input"])]})
    if path.endswith("/pipeline/feature-extraction"):
        return _json([vector(text) for text in body["inputs"]])
    return _json(_TASKS[task](body["inputs"], body.get("parameters") or {}))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _classes(text: str, wished: dict[str, Any]) -> Any:
    good = 0.9 if "good" in text or "lovely" in text else 0.2
    rows = [{"label": "POSITIVE", "score": good}, {"label": "NEGATIVE", "score": 1 - good}]
    return [sorted(rows, key=lambda row: -row["score"])[: wished.get("top_k")]]


def _labels(text: str, wished: dict[str, Any]) -> Any:
    names = wished["candidate_labels"]
    if wished["multi_label"]:
        return [{"label": name, "score": 0.8 - i / 10} for i, name in enumerate(names)]
    whole = sum(range(1, len(names) + 1))
    return [{"label": name, "score": (len(names) - i) / whole} for i, name in enumerate(names)]


def _names(text: str, wished: dict[str, Any]) -> Any:
    return [
        {"entity_group": "PER", "score": 0.75, "word": m[0].lower(), "start": m.start(), "end": m.end()}
        for m in re.finditer(r"\b[A-Z]\w+", text)
    ]


def _answers(asked: dict[str, str], wished: dict[str, Any]) -> Any:
    found = re.search(r"\d+", asked["context"])
    if found is None:
        return {"answer": "", "score": 0.5, "start": 0, "end": 0}
    return {"answer": found[0], "score": 0.625, "start": found.start(), "end": found.end()}


def _masked(text: str, wished: dict[str, Any]) -> Any:
    words = ("good", "new", "##s")[: wished["top_k"]]
    return [
        {"token": i, "token_str": word, "score": 0.5 / (i + 1), "sequence": text.lower()}
        for i, word in enumerate(words)
    ]


_TASKS = {
    "text-classification": _classes,
    "zero-shot-classification": _labels,
    "token-classification": _names,
    "question-answering": _answers,
    "fill-mask": _masked,
    "summarization": lambda text, wished: [{"summary_text": "It is short. It is new. It ends."}],
    "translation": lambda text, wished: [{"translation_text": f"<{text}>"}],
    "text-generation": lambda text, wished: [{"generated_text": " upon a time."}],
}
