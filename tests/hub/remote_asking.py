"""What the tests of text tasks at a provider ask for, and how."""

from __future__ import annotations

from pipelines.errors import VisitorError
from pipelines.remote_texts import answer_remotely
from pipelines.run import Run
from tests.hub.local_provider import offer
from tests.hub.token_watch import TOKEN, fault_of

MODEL = "owner/reader"
TEXT = "Ada lives in Seoul since 1815. It is a lovely town. Bo came later."
# {task: (arguments, the providers' name for the task)}
REQUESTS = {
    "sentiment": ({"texts": ["a good film", "bad"]}, "text-classification"),
    "zero_shot": ({"text": TEXT, "labels": ["news", "sport"], "template": "It is {} {x}."}, "zero-shot-classification"),
    "entities": ({"text": TEXT}, "token-classification"),
    "answer": ({"question": "When?", "context": TEXT}, "question-answering"),
    "fill_mask": ({"text": "A [MASK] day.", "top_k": 3}, "fill-mask"),
    "generate": ({"prompt": "Tell a story.", "max_new_tokens": 9, "seed": 3, "top_p": 0.9}, "conversational"),
    "summarize": ({"text": TEXT, "max_sentences": 2}, "summarization"),
    "translate": ({"text": "hello"}, "translation"),
    "similarity": ({"texts": ["a cat", "a kitten", "xyz"]}, "sentence-similarity"),
    "keywords": ({"text": "Photosynthesis makes sugar from sunlight.", "top_k": 2}, "feature-extraction"),
    "entail": ({"premise": "It rains.", "hypothesis": "It is wet."}, "zero-shot-classification"),
}


def ran(task: str, provider=None, token: str | None = TOKEN, model: str = MODEL, **changes) -> Run:
    arguments, _ = REQUESTS[task]
    *_, last = answer_remotely(task, arguments | changes, token, model, provider)
    assert isinstance(last, Run)
    return last


def fault(task: str = "sentiment", **options) -> VisitorError:
    return fault_of(lambda: ran(task, **options))


def offered(server, task: str, name: str = "hf-inference", kind: str | None = None) -> None:
    server.offers[MODEL] = offer(name, task=kind or REQUESTS[task][1])
