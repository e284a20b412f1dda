"""The headers of every answer: what a browser may run, load and tell on this page's behalf.

Gradio compiles the js= of its events, so 'unsafe-eval' stays; inline scripts run by their hash alone, so that markup
which slipped into the page, an onerror= or a <script>, would not run. Styles are inline throughout gradio.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Any

INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
FRAMES = "'self' https://huggingface.co https://*.hf.space"
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'{hashes}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        f"frame-ancestors {FRAMES}",
    )
)
# A visitor's file, opened by its address: shown, never run.
OF_FILES = f"default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox; frame-ancestors {FRAMES}"
CAMERA_ONLY = "camera=(self), microphone=(), geolocation=(), payment=(), usb=(), midi=(), serial=()"
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", CAMERA_ONLY.encode()),
)


def policy(html: bytes = b"", more: Iterable[str] = ()) -> bytes:
    """Return the Content-Security-Policy of a page: its own inline scripts may run, and those of `more`, by hash.

    Args:
        html: The page.
        more: Scripts that gradio's own script puts into the page later.
    """
    scripts = [found.group(1) for found in INLINE.finditer(html)] + [script.encode() for script in more]
    # HTML reads \r\n as \n before the browser hashes.
    digests = dict.fromkeys(hashlib.sha256(script.replace(b"\r\n", b"\n")).digest() for script in scripts)
    return POLICY.format(hashes="".join(f" 'sha256-{base64.b64encode(d).decode()}'" for d in digests)).encode()


_PLAIN = policy()


def secured(path: str, send: Any) -> Any:
    """Wrap an ASGI send so that what it starts carries the headers; a policy that is there already stays."""

    async def with_headers(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            wanted = [*ALWAYS, (b"content-security-policy", OF_FILES.encode() if "/file=" in path else _PLAIN)]
            message = message | {"headers": [*headers, *(pair for pair in wanted if pair[0] not in there)]}
        await send(message)

    return with_headers
