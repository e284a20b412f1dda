"""How the local Hub fails on demand: as the real one does, and as the networks between do."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

# Answered in place of what was asked for.
REFUSALS = {
    "missing", "gated", "rate_limited", "unavailable", "broken", "disabled", "forbidden", "bad_token", "web_page",
    "redirects", "stalled",
}  # fmt: skip
# What happens to the body of a file.
SPOILT = {"cut_off", "stalled", "drips", "no_ranges", "wrong_range", "corrupt", "too_short", "too_long"}
FAILURES = {*REFUSALS, *SPOILT, "no_etag", "false_sizes"}


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
                Retry-After), "unavailable" (503), "broken" (500), "disabled" and "forbidden" (403), "bad_token" (401
                for a token that is none), "web_page" (the login page of a Wi-Fi), "redirects" (without end), "stalled"
                (nothing comes any more).
                With the body of a file: "cut_off", "stalled", "drips" (10 bytes a second), "no_ranges" (always the
                whole file), "wrong_range" (not the part that was asked for), "corrupt" (a bit is turned over),
                "too_short" and "too_long" (its length is not the one that HEAD told).
                Of the facts: "no_etag"; "false_sizes" (the listing gives each file ten bytes).
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
    elif failure.kind == "unavailable":
        handler._send(503, b"Service Unavailable")
    elif failure.kind == "broken":
        handler._send(500, b"Internal Server Error")
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
        return False
    return True
