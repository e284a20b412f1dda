"""Values as Python source, and templates that they are put into."""

from __future__ import annotations

import re
from typing import Any


def fill(template: str, /, **values: str) -> str:
    """Put values into <<name>> in one pass, so that a value that holds <<name>> stays what it is."""
    return re.sub(r"<<(\w+)>>", lambda match: values[match[1]], template)


def literal(value: Any) -> str:
    """Return plain data as a Python expression; repr() escapes whatever could end a string."""
    if isinstance(value, list):
        inner = [literal(each) for each in value]
        if sum(map(len, inner)) > 90:
            return "[\n" + "".join(f"    {each},\n" for each in inner) + "]"
        return f"[{', '.join(inner)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    if value is None or isinstance(value, (bool, int)):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if value - value == 0 else f'float("{value}")'
    text = repr(str(value))
    # Double quotes as in the rest of the code, where the text has none of its own.
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text and "\\'" not in text else text
