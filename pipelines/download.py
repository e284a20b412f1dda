"""Fetching files from the Hub: patient with a slow line, not with a silent one; every fault in one plain sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import VisitorError

POLL_S = 0.1
_under_way: dict[str, int] = {}


def progress() -> dict[str, tuple[int, int]]:
    """Return {model id: (bytes here, bytes in all)} of the downloads under way."""
    return {model_id: (min(_bytes_here(model_id), total), total) for model_id, total in dict(_under_way).items()}


def fetch(model_id: str, sizes: dict[str, int], token: bool | None, timeout_s: float) -> None:
    """Bring files of a repository into the Hub's cache, going on where an earlier try stopped.

    Args:
        model_id: Hub id.
        sizes: {file name: bytes} of the files to bring.
        token: False sends none; None the owner's.
        timeout_s: Longest time without an answer or a byte.

    Raises:
        VisitorError: hub_slow, when no byte came for so long. Otherwise what huggingface_hub raises.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, snapshot_download

    # snapshot_download repeats a failed request for minutes. Asked for once before, a file's fault shows at once.
    largest = max(sizes, key=lambda name: sizes[name])
    get_hf_file_metadata(hf_hub_url(model_id, largest), timeout=timeout_s, token=token)

    outcome: list[BaseException | None] = []

    def work() -> None:
        try:
            snapshot_download(model_id, allow_patterns=list(sizes), token=token)
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)

    # In a thread of its own, because a stalled connection can only be left behind, not interrupted.
    worker = threading.Thread(target=work, name=f"download {model_id}", daemon=True)
    _under_way[model_id] = sum(sizes.values())
    try:
        worker.start()
        _wait(worker, model_id, timeout_s)
    finally:
        _under_way.pop(model_id, None)
    if outcome[0] is not None:
        raise outcome[0]


def _wait(worker: threading.Thread, model_id: str, timeout_s: float) -> None:
    seen, since = -1, time.monotonic()
    while worker.is_alive():
        worker.join(POLL_S)
        here = _bytes_here(model_id)
        if here != seen:
            seen, since = here, time.monotonic()
        elif worker.is_alive() and time.monotonic() - since > timeout_s:
            raise VisitorError("hub_slow", model=model_id)


def _bytes_here(model_id: str) -> int:
    """Bytes of a repository in the cache, files still arriving included."""
    from huggingface_hub import constants

    blobs = Path(constants.HF_HUB_CACHE) / f"models--{model_id.replace('/', '--')}" / "blobs"
    total = 0
    for path in blobs.glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # it has just been given its final name
            continue
    return total


@contextmanager
def plain(model_id: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into one sentence that names the cause."""
    try:
        yield
    except VisitorError:
        raise
    except Exception as error:
        raise _explain(error, model_id) from error


def _explain(error: Exception, model_id: str) -> VisitorError:
    import httpx2
    from huggingface_hub import errors

    chain = _causes(error)
    for cause in chain:
        said = _explain_one(cause, model_id)
        if said is not None:
            return said
    if any(isinstance(cause, (httpx2.HTTPError, ConnectionError, errors.LocalEntryNotFoundError)) for cause in chain):
        return VisitorError("no_network", model=model_id)
    return VisitorError("load_failed", model=model_id, reason=type(error).__name__)


def _explain_one(cause: BaseException, model_id: str) -> VisitorError | None:
    import httpx2
    from huggingface_hub import errors

    response: Any = getattr(cause, "response", None)
    status = getattr(response, "status_code", None)
    missing = (errors.EntryNotFoundError, errors.RevisionNotFoundError)
    if isinstance(cause, errors.GatedRepoError):  # before its parent, RepositoryNotFoundError
        return VisitorError("gated", model=model_id)
    if isinstance(cause, errors.RepositoryNotFoundError):
        return VisitorError("unknown_model", model=model_id)
    if isinstance(cause, missing) and not isinstance(cause, errors.LocalEntryNotFoundError):
        return VisitorError("not_a_model", model=model_id)
    if status == 429:
        wait = response.headers.get("Retry-After", "")
        return VisitorError("hub_too_many", model=model_id, seconds=wait if wait.isdigit() else "60")
    if status is not None and status >= 500:
        return VisitorError("hub_down", model=model_id, status=status)
    if status in (401, 403):
        return VisitorError("gated", model=model_id)
    if isinstance(cause, errors.HFValidationError):
        return VisitorError("bad_model_id", model=model_id[:80])
    if isinstance(cause, httpx2.TimeoutException):
        return VisitorError("hub_slow", model=model_id)
    if isinstance(cause, httpx2.RemoteProtocolError):
        return VisitorError("download_incomplete", model=model_id)
    if isinstance(cause, OSError) and cause.errno == 28:
        return VisitorError("disk_full", model=model_id)
    return None


def _causes(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain
