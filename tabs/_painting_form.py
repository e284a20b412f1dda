"""The picture tab's form: filled from a model's habits, a link or a picture, and read out as a wish.

The fields, in order: prompt, model, size, steps, guidance, seed, count, negative prompt.
"""

from __future__ import annotations

import math
from typing import Any

import gradio as gr

from pipelines import hub, painters, picture_files, remote_pictures
from pipelines.errors import VisitorError

FIELDS = 8


def sizes(habits: painters.Habits, chosen: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return a model's sizes as a choice, with one more where a picture had another."""
    chosen = chosen or habits.sizes[0]
    offered = list(dict.fromkeys([*habits.sizes, chosen]))
    choices = [(f"{width} × {height}", f"{width}x{height}") for width, height in offered]
    return {"choices": choices, "value": f"{chosen[0]}x{chosen[1]}", "visible": len(offered) > 1}


def habits_or_default(model: str | None) -> painters.Habits:
    """Return how a model is used, for what is not a model's id the default model's habits."""
    try:
        return painters.habits(hub.check_id(model or painters.default_model()))
    except VisitorError:  # whoever runs it is told; until then the form need not be right
        return painters.habits(painters.default_model())


def of_model(model: str | None) -> list[Any]:
    """Set the options to a model's habits; the seed and the number of pictures are the visitor's."""
    habits = habits_or_default(model)
    return [
        gr.update(**sizes(habits)),
        gr.update(maximum=habits.most_steps, value=habits.steps),
        gr.update(maximum=habits.most_guidance, value=habits.guidance),
        gr.skip(),
        gr.skip(),
        gr.update(visible=habits.negative_prompt),
    ]


def at_provider(model: str | None) -> list[Any]:
    """Return the model and its options once a provider paints: a model of this machine alone gives way to another."""
    if model and not model.strip().startswith("pocket/"):
        return [gr.skip()] * (FIELDS - 1)
    return [remote_pictures.DEFAULT, *of_model(remote_pictures.DEFAULT)]


def filled(found: dict[str, Any]) -> list[Any]:
    """Return the error line, emptied, and the form with values found somewhere; those of a wrong type stay out."""

    def fitting(name: str) -> Any:
        value, types = found.get(name), picture_files.FIELDS[name]
        fits = isinstance(value, types) and not isinstance(value, bool)
        return value if fits and (isinstance(value, str) or math.isfinite(value)) else None

    words = {name: value for name in ("prompt", "model") if (value := fitting(name)) is not None}
    form = [words.get("prompt", gr.skip()), words.get("model", gr.skip())]
    form += of_model(words["model"]) if "model" in words else [gr.skip()] * 6
    width, height = fitting("width"), fitting("height")
    if width and height:
        form[2] = gr.update(**sizes(habits_or_default(words.get("model")), (width, height)))
    for place, name in ((3, "steps"), (4, "guidance"), (5, "seed"), (6, "count"), (7, "negative_prompt")):
        if (value := fitting(name)) is not None:
            form[place] = gr.update(**(form[place] if isinstance(form[place], dict) else {}) | {"value": value})
    return ["", *form]


def arguments(values: tuple[Any, ...]) -> dict[str, Any]:
    prompt, model, size, steps, guidance, seed, count, negative = values
    width, _, height = str(size or "").partition("x")
    side = {"width": int(width), "height": int(height)} if width.isdecimal() and height.isdecimal() else {}
    model = (model or "").strip() or None
    uses = habits_or_default(model).negative_prompt  # what was written for another model is hidden, and not meant
    asked = {"prompt": prompt, "model": model, "steps": steps, "guidance": guidance, "seed": seed, "count": count}
    return asked | side | {"negative_prompt": (negative or "").strip() if uses else ""}
