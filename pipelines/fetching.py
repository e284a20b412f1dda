"""The process that downloads: brings files of one repository into the Hub's cache, whole and verified, or not at all.

`python -m pipelines.fetching` is started by pipelines.download. It reads one line of JSON from stdin (the order, with
the token, so that neither stands in the arguments or the environment) and writes lines of JSON:

    {"done": 1048576, "total": 268000000}      a few times a second
    {"wait": 3}                                the Hub asked for a moment
    {"error": "disk_full", "params": {...}}    or {"ok": true}, at the end

Stdin stays open as long as the app lives: when it ends, so does this process.

huggingface_hub 2.4 gives every temporary file a random name, so a download that was cut off begins anew. Here it is
called blobs/<etag>.incomplete and is taken up again; the cache's layout is otherwise the library's:
https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import hub_errors
from pipelines.errors import VisitorError
from pipelines.hub_requests import Access, patient

REPORT_S = 0.2
AT_ONCE = 3
PIECE = 1 << 20
REPEATS = 4  # broken connections in a row that bring less than a PIECE
RESERVE = 50_000_000  # bytes of disk left to everything else
LOOK_AT_DISK_EVERY = 8 << 20
LAST = (".safetensors", ".bin")
_NAME = re.compile(r"(?!.*\.\.)[\w][\w.+-]*(?:/[\w][\w.+-]*){0,3}", re.ASCII)


class _BrokenOff(Exception):
    """The body ended before all of it was there."""


@dataclass(frozen=True)
class _Head:
    """What a HEAD request tells of a file; its bytes go to blobs/<etag>."""

    name: str
    etag: str
    size: int
    commit: str


class Delivery:
    """Brings the files of one order.

    Args:
        order: {"model", "cache", "endpoint", "token", "timeout_s", "files": {name: bytes, 0 for unknown}}.
        say: Called with each message.
    """

    def __init__(self, order: dict[str, Any], say: Callable[[dict], None] = lambda message: None) -> None:
        self.model, self.files, self._say = order["model"], order["files"], say
        self.how = Access(order["endpoint"], order["timeout_s"], order["token"])
        self.folder = Path(order["cache"]) / f"models--{self.model.replace('/', '--')}"
        self.locks = Path(order["cache"]) / ".locks" / self.folder.name
        self.blobs = self.folder / "blobs"
        self.heads: list[_Head] = []
        self.done: dict[str, int] = {}
        self.total = sum(self.files.values())

    def bring(self) -> None:
        """Bring every file; the snapshot shows them only when all are here, the weights last.

        Raises:
            VisitorError: disk_full, download_corrupt, listing_differs. Otherwise what httpx2 raises.
        """
        for folder in (self.blobs, self.locks):
            folder.mkdir(parents=True, exist_ok=True)
        heads = self.heads = self._heads()
        self.total = sum(head.size for head in heads)
        self._check_disk(sum(head.size - self._here(head) for head in heads))
        self._at_once(self._bring, sorted(heads, key=lambda head: head.size))
        self._show(heads)

    def arrived(self) -> int:
        """Return the bytes that are here, those included that another program is just bringing."""
        return sum(self.done.get(head.name) or self._elsewhere(head) for head in self.heads)

    def _elsewhere(self, head: _Head) -> int:
        sizes = []
        for path in self.blobs.glob(f"{head.etag}*"):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:  # it has just been given its final name
                sizes.append(head.size)
        return min(max(sizes, default=0), head.size)

    def _heads(self) -> list[_Head]:
        """Ask for every file's hash and size; all of the commit that the first one is of."""
        first, *others = self.files
        head = self._head(first, "main")
        return [head, *self._at_once(lambda name: self._head(name, head.commit), others)]

    def _at_once(self, work: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        """Do the work for a few items at a time; the first fault is raised without waiting for the others."""
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            return [finished.result() for finished in as_completed([pool.submit(work, item) for item in items])]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _head(self, name: str, revision: str) -> _Head:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.errors import FileMetadataError

        if not _NAME.fullmatch(name):
            raise VisitorError("not_a_model", model=self.model)
        url = hf_hub_url(self.model, name, revision=revision, endpoint=self.how.endpoint)
        how = {"token": self.how.token or False, "timeout": self.how.timeout_s, "endpoint": self.how.endpoint}
        meta = patient(lambda: get_hf_file_metadata(url, **how), self._waits, broken=True)
        if not meta.commit_hash or not meta.etag or not re.fullmatch(r"[\w.-]{1,128}", meta.etag):
            raise FileMetadataError("no commit or no ETag")
        told = self.files[name]
        if told and meta.size is not None and meta.size != told:
            raise VisitorError("listing_differs", model=self.model)
        return _Head(name, meta.etag, told if meta.size is None else meta.size, meta.commit_hash)

    def _here(self, head: _Head) -> int:
        for path in (self.blobs / head.etag, self._partial(head)):
            if path.exists():
                return min(path.stat().st_size, head.size)
        return 0

    def _partial(self, head: _Head) -> Path:
        return self.blobs / f"{head.etag}.incomplete"

    def _bring(self, head: _Head) -> None:
        from huggingface_hub.utils import WeakFileLock

        blob, partial = self.blobs / head.etag, self._partial(head)
        # The library's own lock: another program may be after the same file.
        with WeakFileLock(self.locks / f"{head.etag}.lock"):
            if blob.exists() and blob.stat().st_size == head.size:
                self.done[head.name] = head.size
                return
            for _ in range(2):
                if self._receive(head, partial):
                    os.replace(partial, blob)
                    return
                partial.unlink()  # not what the Hub says it is: once more from the beginning
        raise VisitorError("download_corrupt", model=self.model, file=head.name)

    def _receive(self, head: _Head, partial: Path) -> bool:
        """Bring a file into `partial`, from where it ends; returns whether size and hash are what the Hub says."""
        import httpx2

        digest = _Digest(head)
        with partial.open("a+b", buffering=0) as file:
            self._read_again(head, file, digest)
            best, broken = digest.count, 0
            while digest.count < head.size:
                try:
                    self._stream(head, file, digest)
                except (httpx2.TransportError, _BrokenOff) as error:
                    if digest.count >= best + PIECE:
                        best, broken = digest.count, 0
                    broken += 1
                    slow = isinstance(error, httpx2.TimeoutException)
                    if broken > (1 if slow else REPEATS):
                        if slow and digest.count:
                            raise self._stalled() from error
                        if digest.count:
                            raise VisitorError("download_incomplete", model=self.model) from error
                        raise
                    time.sleep(0.0 if slow else 0.1 * 2 ** (broken - 1))
            os.fsync(file.fileno())
        return digest.count == head.size and digest.agrees()

    def _read_again(self, head: _Head, file: Any, digest: _Digest) -> None:
        file.seek(0)
        while piece := file.read(PIECE):
            digest.update(piece)
            self.done[head.name] = digest.count
        if digest.count > head.size:
            digest.restart(file)

    def _stream(self, head: _Head, file: Any, digest: _Digest) -> None:
        patient(lambda: self._stream_once(head, file, digest), self._waits)

    def _stream_once(self, head: _Head, file: Any, digest: _Digest) -> None:
        import httpx2
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import get_session, hf_raise_for_status

        start, looked_at = digest.count, digest.count
        # Asked of the Hub each time: the address it forwards to is signed for a while only. The token stays behind.
        url = hf_hub_url(self.model, head.name, revision=head.commit, endpoint=self.how.endpoint)
        headers = self.how.headers() | ({"range": f"bytes={start}-"} if start else {})
        # Half the time, so that a connection that fell silent is tried again once before the time is over.
        patience = httpx2.Timeout(self.how.timeout_s, read=self.how.timeout_s / 2)
        with get_session().stream("GET", url, headers=headers, timeout=patience) as response:
            if response.status_code == 416:
                digest.restart(file)
                raise _BrokenOff
            hf_raise_for_status(response)
            begins = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
            if start and (response.status_code != 206 or not begins or int(begins[1]) != start):
                digest.restart(file)  # this server knows no ranges
                looked_at = 0
                if response.status_code == 206:
                    raise _BrokenOff
            for piece in response.iter_bytes():
                rest = memoryview(piece)
                while rest:  # a disk that is nearly full takes a part
                    rest = rest[file.write(rest) :]
                digest.update(piece)
                self.done[head.name] = digest.count
                if digest.count > head.size:
                    return
                if digest.count - looked_at > LOOK_AT_DISK_EVERY:
                    looked_at = digest.count
                    self._check_disk(0)
        if digest.count < head.size:
            raise _BrokenOff

    def _stalled(self) -> VisitorError:
        done, total = (f"{count / 1e6:,.1f}" for count in (self.arrived(), self.total))
        return VisitorError("download_stalled", model=self.model, done_mb=done, total_mb=total)

    def _check_disk(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if needed + RESERVE > free and (needed or free < RESERVE // 2):
            left = needed or max(0, self.total - self.arrived())
            raise hub_errors.disk_full(self.model, left, max(0, free - RESERVE))

    def _waits(self, seconds: float) -> None:
        self._say({"wait": seconds})

    def _show(self, heads: list[_Head]) -> None:
        """Give the blobs their names in the snapshot, then make the snapshot that of `main`."""
        commit = heads[0].commit
        for head in sorted(heads, key=lambda head: head.name.endswith(LAST)):
            pointer = self.folder / "snapshots" / commit / head.name
            if pointer.exists():
                continue
            pointer.parent.mkdir(parents=True, exist_ok=True)
            pointer.unlink(missing_ok=True)  # a link to a blob that is gone
            try:
                pointer.symlink_to(os.path.relpath(self.blobs / head.etag, pointer.parent))
            except OSError:  # a file system or a Windows without links
                shutil.copyfile(self.blobs / head.etag, pointer)
        ref = self.folder / "refs" / "main"
        ref.parent.mkdir(parents=True, exist_ok=True)
        fresh = ref.with_name(f"main.{os.getpid()}")
        fresh.write_text(commit, "utf-8")
        os.replace(fresh, ref)


class _Digest:
    """A file's hash as its bytes arrive: SHA-256 of large files, git's SHA-1 of small ones, as the ETag is."""

    def __init__(self, head: _Head) -> None:
        self._etag, self._size = head.etag.lower(), head.size
        self._begin()

    def _begin(self) -> None:
        self.count = 0
        self._hash = {64: hashlib.sha256, 40: hashlib.sha1}.get(len(self._etag), hashlib.sha256)()
        if len(self._etag) == 40:
            self._hash.update(b"blob %d\0" % self._size)

    def update(self, piece: bytes) -> None:
        self._hash.update(piece)
        self.count += len(piece)

    def restart(self, file: Any) -> None:
        file.seek(0)
        file.truncate()
        self._begin()

    def agrees(self) -> bool:
        """Tell whether the bytes are the ETag's; an ETag that is no hash tells nothing."""
        return not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", self._etag) or self._hash.hexdigest() == self._etag


def main() -> None:
    # What libraries print must not get between the messages.
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_app, daemon=True).start()
    lock = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        with lock:
            print(json.dumps(message), file=messages, flush=True)

    delivery = Delivery(order, say)

    def report() -> None:
        while True:
            say({"done": delivery.arrived(), "total": delivery.total})
            time.sleep(REPORT_S)

    try:
        import huggingface_hub.file_download  # noqa: F401  (the clock of who waits starts after it)

        threading.Thread(target=report, daemon=True).start()
        delivery.bring()
        last: dict[str, Any] = {"ok": True}
    except BaseException as error:
        said = hub_errors.explain(error, delivery.model)
        if said.key == "disk_full" and not isinstance(error, VisitorError):
            left = delivery.total - delivery.arrived()
            said = hub_errors.disk_full(delivery.model, left, shutil.disk_usage(delivery.folder.parent).free)
        last = {"error": said.key, "params": said.params}
    try:
        say(last)
    finally:
        os._exit(0)  # threads that still wait for bytes are not waited for


def _end_with_the_app() -> None:
    while sys.stdin.read(4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
