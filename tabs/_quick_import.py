"""Import gradio for the first time in two thirds of the time.

At every start gradio parses the source of each of its components and renders a type stub beside it, for editors.
"""

from __future__ import annotations

import inspect


def gradio() -> None:
    """Import gradio; its stubs stay as they were installed."""
    getfile = inspect.getfile

    def nowhere(thing: object) -> str:
        # How gradio knows a component that has no file, and so no stub.
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError("stubs are for editors")
        return getfile(thing)

    inspect.getfile = nowhere
    try:
        import gradio  # noqa: F401
    finally:
        inspect.getfile = getfile
