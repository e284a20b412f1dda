"""How the local Hub fails on demand: as the real one does, and as the networks between do."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

# A bare status, as gateways, proxies and courts give them.
STATUSES = {
    "bad_request": 400, "payment": 402, "proxy_login": 407, "request_timeout": 408, "gone": 410, "court_order": 451,
    "broken": 500, "bad_gateway": 502, "unavailable": 503, "gateway_timeout": 504,
}  # fmt: skip
# Answered in place of what was asked for.
REFUSALS = {
    *STATUSES, "missing", "gated", "rate_limited", "rate_limited_until", "disabled", "forbidden", "bad_token",
    "web_page", "redirects", "redirects_away", "stalled", "reset", "hangs_up", "garbage", "huge_header",
    "drips_headers", "empty", "half_json", "deep_json", "endless",
}  # fmt: skip
# What happens to the body of a file.
SPOILT = {
    "cut_off", "reset_midway", "stalled", "drips", "no_ranges", "wrong_range", "never_a_range", "corrupt", "zeros",
    "zipped", "no_length", "too_short", "too_long",
}  # fmt: skip
# What is told of a file, or of all.
FACTS = {"no_etag", "weak_etag", "odd_etag", "no_commit", "false_sizes", "no_sizes"}
FAILURES = {*REFUSALS, *SPOILT, *FACTS}


@dataclass(frozen=True)
class Failure:
    kind: str
    file: str | None
    retry_after: int
    after: int
    times: list[int]

    def strikes(self) -> bool:
        """Count one use; tell whether the failure still lasted for it."""
        self.times[0] -= 1
        return self.times[0] >= 0


class Faults:
    """What goes wrong for which model; LocalHub is one."""

    def __init__(self) -> None:
        self._failures: dict[str, list[Failure]] = {}
        self._released = threading.Event()

    def fail(
        self, model_id: str, kind: str, file: str | None = None, *, retry_after: int = 60, after: int = 0,
        times: int = 10**6,
    ) -> None:  # fmt: skip
        """Answer wrongly for a model ("*" for all), or for one of its files only.

        Args:
            model_id: owner/name, or "*".
            kind: Instead of an answer: "missing" (401 as for an unknown or private repository; of a file: 404
                EntryNotFound), "gated" (403 GatedRepo; file lists stay readable), "rate_limited" (429 with
                Retry-After; "rate_limited_until": a date), "disabled" and "forbidden" (403), "bad_token" (401 for a
                token that is none), a key of STATUSES, "web_page" (the login page of a Wi-Fi), "redirects" (without
                end), "redirects_away" (to where nothing listens), "stalled" (nothing comes any more), "reset" (the
                connection), "hangs_up" (without a word), "garbage" (no HTTP), "huge_header", "drips_headers" (two
                bytes a second), "empty", "half_json", "deep_json", "endless" (spaces for ever).
                With the body of a file: "cut_off", "reset_midway", "stalled", "drips" (10 bytes a second), "no_ranges"
                (always the whole file), "wrong_range" (not the part that was asked for), "never_a_range" (416),
                "corrupt" (a bit is turned over), "zeros", "zipped" (though nobody asked for it), "no_length",
                "too_short" and "too_long" (its length is not the one that HEAD told).
                Of the facts: "no_etag", "weak_etag", "odd_etag" (a path), "no_commit"; "false_sizes" (the listing
                gives each file ten bytes) and "no_sizes".
            file: Only this file of the repository; None for everything.
            retry_after: Seconds that a 429 asks for.
            after: Bytes of the body that a cut-off or stalled file still sends.
            times: How many requests fail; then all is well again.
        """
        assert kind in FAILURES, kind
        self._failures.setdefault(model_id, []).append(Failure(kind, file, retry_after, after, [times]))

    def mend(self) -> None:
        """Answer rightly again; requests that were stalled end."""
        self._failures.clear()
        self._released.set()
        self._released = threading.Event()

    def failure(self, model_id: str, file: str | None) -> Failure | None:
        for failure in (*self._failures.get(model_id, ()), *self._failures.get("*", ())):
            if failure.times[0] > 0 and failure.file in (None, file):
                return failure
        return None

    def stall(self, seconds: float = 120) -> None:
        self._released.wait(seconds)


def refuse(handler: Any, failure: Failure, is_file: bool) -> bool:
    """Answer as a failing Hub does; returns whether it answered."""
    if not failure.strikes():
        return False
    if failure.kind == "missing":
        if is_file and failure.file:
            handler._send(404, b"Entry not found", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "0" * 40})
        else:
            handler._missing()
    elif failure.kind == "gated":
        message = "Access to model is restricted. You must be authenticated to access it."
        handler._send(403, message.encode(), {"X-Error-Code": "GatedRepo", "X-Error-Message": message})
    elif failure.kind == "disabled":
        handler._send(403, b"disabled", {"X-Error-Message": "Access to this resource is disabled."})
    elif failure.kind == "rate_limited":
        handler._send(429, b"Too Many Requests", {"Retry-After": str(failure.retry_after)})
    elif failure.kind == "rate_limited_until":
        then = datetime.now(UTC) + timedelta(seconds=failure.retry_after)
        handler._send(429, b"Too Many Requests", {"Retry-After": format_datetime(then, usegmt=True)})
    elif failure.kind in STATUSES:
        handler._send(STATUSES[failure.kind], b"<html>not now</html>")
    elif failure.kind == "forbidden":
        handler._send(403, b"Forbidden")
    elif failure.kind == "bad_token":
        handler._send(401, b"{}", {"X-Error-Message": "Invalid credentials in Authorization header"})
    elif failure.kind == "web_page":
        handler._send(200, b"<!doctype html><title>Welcome to this Wi-Fi</title>", {"Content-Type": "text/html"})
    elif failure.kind == "redirects":
        handler._send(302, b"", {"Location": handler.path})
    elif failure.kind == "stalled":
        handler._log(0)
        handler.server.hub.stall()
        handler.close_connection = True
    else:
        return _odd(handler, failure.kind)
    return True


def _odd(handler: Any, kind: str) -> bool:
    """Answer with what is no answer; returns whether it did."""
    json_type = {"Content-Type": "application/json"}
    if kind == "redirects_away":
        handler._send(302, b"", {"Location": "http://127.0.0.1:9/elsewhere"})
    elif kind == "empty":
        handler._send(200, b"", json_type)
    elif kind == "half_json":
        handler._send(200, b'{"id": "someone/raw", "siblings": [{"rfilen', json_type)
    elif kind == "deep_json":
        handler._send(200, b"[" * 200_000 + b"]" * 200_000, json_type)
    elif kind == "huge_header":
        handler._send(200, b"{}", {"X-Story": "x" * 300_000})
    elif kind == "reset":
        handler._log(0)
        reset(handler)
    else:
        raw = {"hangs_up": [b""], "garbage": [b"220 smtp.example.com ready\r\n\r\n"]}
        raw["drips_headers"] = ([b"HTTP/1.1 200 OK\r\nX-Slow: "] + [b"zz"] * 120) if kind == "drips_headers" else []
        raw["endless"] = [b"HTTP/1.1 200 OK\r\n\r\n"] + [b" " * 65_536] * 10_000 if kind == "endless" else []
        if not raw.get(kind):
            return False
        handler._log(0)
        for piece in raw[kind]:
            handler.wfile.write(piece)
            if kind == "drips_headers":
                handler.server.hub.stall(1.0)
        handler.close_connection = True
    return True


def reset(handler: Any) -> None:
    """End a connection as a crash does: the other side reads an error, not an end."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.2)  # what was sent before arrives
    os.close(handler.connection.detach())
    handler.close_connection = True
