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
        name: The argument of the pipeline function; its label is the sentence "field.<name>".
        kind: "line", "text", "lines" (one text a line), "labels", "slider", "number" or "check".
        default: Its first value.
        bounds: (lowest, highest, step) of a slider.
        folded: Stands under Options.
    """

    name: str
    kind: str = "text"
    default: object = ""
    bounds: tuple[float, float, float] = (0, 1, 1)
    folded: bool = False


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
        Field("max_new_tokens", "slider", 40, (1, 200, 1), folded=True),
        Field("temperature", "slider", 0.8, (0, 2, 0.1), folded=True),
        Field("top_k", "slider", 50, (0, 200, 1), folded=True),
        Field("top_p", "slider", 0.95, (0.05, 1, 0.05), folded=True),
        Field("seed", "number", None, folded=True),
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
