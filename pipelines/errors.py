"""The one error a visitor sees."""

from __future__ import annotations


class VisitorError(Exception):
    """Something the visitor can understand and act on; shown in their language, never as a traceback.

    Args:
        key: Name of the sentence in assets/i18n, without the leading "error.".
        params: Values for the placeholders of the sentence.

    Example:
        >>> raise VisitorError("text_too_long", limit=20000)
    """

    def __init__(self, key: str, **params: object) -> None:
        super().__init__(key, params)
        self.key = key
        self.params = params

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.key}({details})"
