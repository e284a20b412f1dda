"""The forms of the text tab: which fields each task asks for. A table, no behaviour."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

from settings import ROOT


@dataclass(frozen=True)
class Field:
    """One field of a form.

    Attributes:
        name: The argument of the pipeline function.
        kind: "line", "text", "lines" (one text a line), "labels", "slider", "seed", "check" or "choice".
        default: Its first value.
        bounds: (lowest, highest, step) of a slider.
        folded: Stands under Options.
        words: Its label is the sentence "<words>.<name>"; all but "field" have "<words>.<name>_info" below it.
        choices: Of a choice; each is the sentence "<words>.<choice>".
        only: Under which choices of the form's method it has an effect, and is shown; () under all.
    """

    name: str
    kind: str = "text"
    default: object = ""
    bounds: tuple[float, float, float] = (0, 1, 1)
    folded: bool = False
    words: str = "field"
    choices: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


METHODS = ("sample", "greedy", "beam")


def _writing(name: str, kind: str, default: object, bounds: tuple[float, float, float], *only: str) -> Field:
    return Field(name, kind, default, bounds, folded=True, words="write", only=only)


_TOP_K = Field("top_k", "slider", 5, (1, 20, 1), folded=True)

FORMS: dict[str, tuple[Field, ...]] = {
    "sentiment": (Field("texts", "lines"),),
    "zero_shot": (
        Field("text"),
        Field("labels", "labels"),
        Field("multi_label", "check", False, folded=True),
        Field("template", "line", folded=True),
    ),
    "entities": (Field("text"),),
    "answer": (Field("question", "line"), Field("context")),
    "fill_mask": (Field("text"), _TOP_K),
    "generate": (
        Field("prompt"),
        Field("method", "choice", "sample", folded=True, words="write", choices=METHODS),
        _writing("max_new_tokens", "slider", 40, (1, 200, 1)),
        _writing("temperature", "slider", 0.8, (0.1, 2, 0.1), "sample"),
        _writing("top_k", "slider", 50, (0, 200, 1), "sample"),
        _writing("top_p", "slider", 0.95, (0.05, 1, 0.05), "sample"),
        _writing("num_beams", "slider", 3, (2, 5, 1), "beam"),
        _writing("repetition_penalty", "slider", 1, (1, 2, 0.05)),
        _writing("seed", "seed", "", (0, 0, 1), "sample"),
    ),
    "summarize": (Field("text"), Field("max_sentences", "slider", 3, (1, 10, 1), folded=True)),
    "translate": (Field("text"),),
    "similarity": (Field("texts", "lines"),),
    "keywords": (Field("text"), _TOP_K),
    "entail": (Field("premise", "line"), Field("hypothesis", "line")),
}


def elem_id(task: str, field: str) -> str:
    """Return the id of a field in the page; links and examples find it by this."""
    return f"mc-text_tasks-{task}-{field}"


@lru_cache(maxsize=1)
def examples() -> dict[str, list[dict]]:
    """Return {task: [{"lang", "name", "values": {field: text}}]} from assets/examples."""
    return json.loads((ROOT / "assets" / "examples" / "text_tasks.json").read_text("utf-8"))
