"""How the page looks: theme, styles, scripts and translations, for the whole page and for a tab that runs alone."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio.routes import App
from starlette.middleware import Middleware

from settings import ROOT, SETTINGS
from tabs._front_page import FrontPage
from tabs._guard import MB, Guard
from tabs._i18n import LANGUAGES, page_translations, say
from tabs._kept_files import KeptFiles
from tabs._streams import Streams
from tabs._upload_folder import Room
from tabs._wrong_calls import InWords

ASSETS = ROOT / "assets"
LANGUAGE = "language.js"
MODELS = "models"  # the path of the page of models
SANS = ("Pretendard", "Noto Sans KR", "Apple SD Gothic Neo", "Malgun Gothic", "system-ui", "sans-serif")
MONO = ("D2Coding", "Noto Sans Mono CJK KR", "monospace")
ROOM = Room(SETTINGS.max_uploads_mb * MB)


@contextmanager
def no_servers() -> Iterator[None]:
    """Build Blocks without a web server for each.

    Gradio makes three for every Blocks (when it is begun, ended, and given a queue), a third of our start; the one
    that serves is made by launch().
    """
    create = App.__dict__["create_app"]
    App.create_app = staticmethod(lambda *_, **__: None)
    try:
        yield
    finally:
        App.create_app = create


def options() -> dict[str, Any]:
    """Return the arguments of launch() that make the look; call it when all components are built."""
    scripts = sorted(path for path in ASSETS.glob("*.js") if path.name != LANGUAGE)
    head = _longest() + _connection() + "".join(f"<script>{path.read_text('utf-8')}</script>" for path in scripts)
    return {
        "theme": theme(),
        "css_paths": sorted(ASSETS.glob("*.css"), key=lambda path: path.name != "style.css"),
        "head": head,
        "app_kwargs": {
            "middleware": [
                Middleware(Guard, room=ROOM),
                Middleware(KeptFiles),
                Middleware(FrontPage, paths=("", MODELS), head=head),
                Middleware(InWords),
                Middleware(Streams),
            ]
        },
        "i18n": page_translations(),
    }


def _longest() -> str:
    """What fields.js must know: the longest text that any field takes, and what to say of a longer one."""
    blanks = {"length": "{length}", "limit": "{limit}"}
    said = " ".join(f'data-{lang}="{html.escape(say(lang, "error.text_too_long", **blanks))}"' for lang in LANGUAGES)
    return f'<meta name="mc-longest" content="{SETTINGS.max_chars}" {said}>'


def _connection() -> str:
    """What connection.js says when the connection is gone, and of a run that broke off with it."""
    said = " ".join(
        f'data-{name}-{lang}="{html.escape(say(lang, f"connection.{name}"))}"'
        for name in ("lost", "broke_off")
        for lang in LANGUAGES
    )
    return f'<meta name="mc-connection" {said}>'


def theme() -> gr.themes.Base:
    """Return gradio's theme in our colours and fonts; the rest is in style.css."""
    accent, accent_dark = "#3056d3", "#8ea8ff"
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        text_size=gr.themes.sizes.text_lg,
        font=SANS,
        font_mono=MONO,
    ).set(
        button_primary_background_fill=accent,
        button_primary_background_fill_hover="#2446b8",
        button_primary_background_fill_dark=accent_dark,
        button_primary_background_fill_hover_dark="#b3c3ff",
        button_primary_text_color_dark="#10131a",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
        input_border_width="1px",
        block_border_width="0px",
        block_shadow="none",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        color_accent=accent,
        border_color_accent=accent,
    )
