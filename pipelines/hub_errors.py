"""What goes wrong between here and the Hub, in one sentence that names the cause and the next step."""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from pipelines.errors import VisitorError

FULL = (errno.ENOSPC, errno.EDQUOT)
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
UNKNOWN_WAIT_S = 60


class NotTheHub(Exception):
    """The answer is none that a Hub gives: a login page, a filter, or a wrong HF_ENDPOINT answered in its place."""


def explain(error: BaseException, model_id: str) -> VisitorError:
    """Return the sentence for what huggingface_hub, httpx2 or the operating system raised."""
    chain = _causes(error)
    for explained in (_by_type, _by_status, _by_connection, _by_system):
        for cause in chain:
            said = explained(cause, model_id)
            if said is not None:
                return said
    return VisitorError("load_failed", model=model_id, reason=type(error).__name__)


def retry_after(response: Any) -> int:
    """Return the seconds that a 429 asks to wait, from Retry-After (seconds or a date) or RateLimit; 60 for none."""
    from huggingface_hub.utils import parse_ratelimit_headers

    said = response.headers.get("Retry-After", "").strip()
    if said.isdigit():
        return int(said)
    try:
        return max(0, round((parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()))
    except (ValueError, TypeError):  # no date, or one without a time zone
        limit = parse_ratelimit_headers(response.headers)
        return UNKNOWN_WAIT_S if limit is None else limit.reset_in_seconds


def _by_type(cause: BaseException, model_id: str) -> VisitorError | None:
    import httpx2
    from huggingface_hub import errors

    if isinstance(cause, VisitorError):
        return cause
    if isinstance(cause, errors.GatedRepoError):  # before its parent, RepositoryNotFoundError
        return VisitorError("gated", model=model_id)
    if isinstance(cause, errors.DisabledRepoError):
        return VisitorError("hub_forbidden", model=model_id)
    if isinstance(cause, errors.RepositoryNotFoundError):
        return VisitorError("unknown_model", model=model_id)
    if isinstance(cause, errors.LocalEntryNotFoundError):  # its own cause tells more
        return None
    if isinstance(cause, (errors.EntryNotFoundError, errors.RevisionNotFoundError)):
        return VisitorError("not_a_model", model=model_id)
    if isinstance(cause, errors.HFValidationError):
        return VisitorError("bad_model_id", model=model_id[:80])
    if isinstance(cause, (NotTheHub, errors.FileMetadataError, httpx2.TooManyRedirects)):
        return VisitorError("hub_elsewhere", model=model_id, host=host())
    return None


def _by_status(cause: BaseException, model_id: str) -> VisitorError | None:
    response: Any = getattr(cause, "response", None)
    status = getattr(response, "status_code", None)
    if status is None:
        return None
    if status == 429:
        return VisitorError("hub_too_many", model=model_id, seconds=retry_after(response))
    if status >= 500:
        return VisitorError("hub_down", model=model_id, status=status)
    if status == 401:
        sent = "authorization" in response.request.headers
        return VisitorError("hub_token" if sent else "gated", model=model_id)
    if status == 403:
        return VisitorError("hub_forbidden", model=model_id)
    return VisitorError("hub_odd", model=model_id, status=status)


def _by_connection(cause: BaseException, model_id: str) -> VisitorError | None:
    import httpx2

    if isinstance(cause, socket.gaierror):
        # "Try again" is what a machine without a network gets; "unknown name" means that the name server answered.
        key = "no_network" if cause.errno == socket.EAI_AGAIN else "hub_no_name"
        return VisitorError(key, model=model_id, host=host())
    if isinstance(cause, ssl.SSLCertVerificationError):
        return VisitorError("hub_certificate", model=model_id, host=host())
    if isinstance(cause, ConnectionRefusedError) or getattr(cause, "errno", None) == errno.ECONNREFUSED:
        return VisitorError("hub_refused", model=model_id, host=host())
    if isinstance(cause, httpx2.ProxyError):
        return VisitorError("hub_proxy", model=model_id)
    if isinstance(cause, (httpx2.TimeoutException, TimeoutError)):
        return VisitorError("hub_slow", model=model_id)
    if isinstance(cause, (httpx2.RemoteProtocolError, httpx2.ReadError, ConnectionResetError)):
        return VisitorError("download_incomplete", model=model_id)
    return None


def _by_system(cause: BaseException, model_id: str) -> VisitorError | None:
    import httpx2
    from huggingface_hub import errors

    if isinstance(cause, OSError) and cause.errno in FULL:
        return disk_full(model_id, needed=0, free=0)
    if isinstance(cause, OSError) and cause.errno in READ_ONLY:
        return VisitorError("cache_read_only", model=model_id)
    if isinstance(cause, MemoryError):
        return VisitorError("out_of_memory", model=model_id)
    if isinstance(cause, (httpx2.HTTPError, ConnectionError, errors.LocalEntryNotFoundError)):
        return VisitorError("no_network", model=model_id, host=host())
    return None


def disk_full(model_id: str, needed: int, free: int) -> VisitorError:
    """Return the error for a disk with `free` bytes where `needed` are to be written."""
    needed_mb, free_mb = f"{max(1, -(-needed // 1_000_000)):,}", f"{free // 1_000_000:,}"
    return VisitorError("disk_full", model=model_id, needed_mb=needed_mb, free_mb=free_mb)


def host() -> str:
    """Return the name of the machine that HF_ENDPOINT points at."""
    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT).hostname or constants.ENDPOINT


def _causes(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain
