"""A stranger's chat template, rendered in transformers' sandbox in a process of its own.

The sandbox keeps a template from the machine, but not from counting to the end of time or from multiplying a string
until the memory is full; a process can be given limits, and ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from pipelines.errors import VisitorError
from settings import ROOT

# What ends a template is its own computing time; the clock also runs while a busy machine starts the process.
CPU_S, LONGEST_S, MEMORY, MOST_CHARS = 2, 120.0, 2_000_000_000, 1_000_000


def render(tokenizer: Any, name: str, messages: list[dict[str, str]], prompt: bool) -> str:
    """Return what `tokenizer.apply_chat_template` would, without trusting the template.

    Args:
        tokenizer: A transformers tokenizer.
        name: Its id, for the error.

    Raises:
        VisitorError: template_too_long, chat_template_failed.
    """
    order = {"template": tokenizer.get_chat_template(), "messages": messages, "prompt": prompt}
    order["special"] = dict(tokenizer.special_tokens_map)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.chat_templates"], input=json.dumps(order, default=str), text=True,
            cwd=ROOT, capture_output=True, encoding="utf-8", timeout=LONGEST_S, env=os.environ | {"USE_TORCH": "0"},
        )  # fmt: skip
        said = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise VisitorError("template_too_long", tokenizer=name) from error
    if "text" in said:
        return said["text"]
    raise VisitorError("chat_template_failed", tokenizer=name, reason=said["error"])


def main() -> None:
    order = json.loads(sys.stdin.read())
    from transformers.utils.chat_template_utils import render_jinja_template

    _limit()
    try:
        rendered = render_jinja_template(
            [order["messages"]], chat_template=order["template"], add_generation_prompt=order["prompt"],
            **order["special"],
        )  # fmt: skip
        text = rendered[0][0] if isinstance(rendered, tuple) else rendered[0]
    except MemoryError:
        return
    except Exception as error:
        print(json.dumps({"error": str(error)[:200] or type(error).__name__}))
        return
    if len(text) <= MOST_CHARS:
        print(json.dumps({"text": text}))


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows: the time is limited all the same
        return
    most = int(time.process_time()) + 1 + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main()
