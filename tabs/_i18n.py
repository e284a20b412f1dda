"""The page's two languages: one table in assets/i18n, for the browser and for what Python computes.

Labels of components are gradio I18nData, translated in the browser. Fixed HTML carries both languages and style.css
shows one. Answers and errors are written in the language of the request.
"""

from __future__ import annotations

import html
import json
from functools import lru_cache

import gradio as gr

from pipelines.catalog import IMAGE_TASKS, TASKS
from pipelines.errors import VisitorError
from settings import ROOT

LANGUAGES = ("ko", "en")
COOKIE = "classroom_lang"
LONGEST_NAME = 200
NAMED = (*TASKS, *IMAGE_TASKS, "object_detection")
_used: set[str] = set()


@lru_cache(maxsize=2)
def table(language: str) -> dict[str, str]:
    """Return {key: sentence} of one language."""
    return json.loads((ROOT / "assets" / "i18n" / f"{language}.json").read_text("utf-8"))


def label(key: str) -> gr.i18n.I18nData:
    """Return a component's label, translated in the browser.

    Raises:
        KeyError: when the table lacks the key.
    """
    table("en")[key]
    _used.add(key)
    return gr.i18n.I18nData(key)


def page_translations() -> gr.I18n:
    """Return the table for launch(i18n=...): only what the built page's labels use."""
    return gr.I18n(**{language: {key: table(language)[key] for key in sorted(_used)} for language in LANGUAGES})


def say(language: str, key: str, **params: object) -> str:
    """Return one sentence as plain text (not escaped)."""
    return table(language)[key].format(**params)


def both(key: str, tag: str = "span") -> str:
    """Return a fixed sentence as HTML in both languages, of which style.css shows one."""
    return "".join(f'<{tag} lang="{lang}">{html.escape(table(lang)[key])}</{tag}>' for lang in LANGUAGES)


def _short(value: object) -> object:
    """Return what a sentence names, cut where it would bury it: visitors send anything as the name of a model."""
    if isinstance(value, (int, float)):
        return value
    text = str(value)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"


def sentence(error: VisitorError, language: str) -> str:
    """Return what an error says in a language, as plain text."""
    params = {name: _short(value) for name, value in error.params.items()}
    for name in ("task", "made_for"):
        if params.get(name) in NAMED:
            params[name] = say(language, f"task.{params[name]}")
    return say(language, f"error.{error.key}", **params)


def language(request: gr.Request | None) -> str:
    """Return the language of a request: the switch's cookie, else the browser's first of ours, else English."""
    if request is None:
        return "en"
    chosen = (request.cookies or {}).get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    for part in (request.headers or {}).get("accept-language", "").lower().split(","):
        if part.strip()[:2] in LANGUAGES:
            return part.strip()[:2]
    return "en"
