"""A Hub on 127.0.0.1 that serves folders, so that loading by id is tested without the internet.

Speaks what huggingface_hub asks for when it looks a model up and downloads it, and fails on demand. A folder
`root/owner/name` is the model `owner/name`, whose only branch is `main`. Its facts (size, licence, parameters) are read
from the files, unless `root/owner/name.json` overrides them.

Example:
    >>> with LocalHub(folder) as hub:
    ...     hub.fail("owner/name", "gated")
    ...     os.environ["HF_ENDPOINT"] = hub.url      # before huggingface_hub is imported
    ...     hub.requests                             # [Request(method="GET", path="/api/models/owner/name", ...)]
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

FAILURES = ("missing", "gated", "rate_limited", "unavailable", "cut_off", "stalled", "disabled")
LFS = (".bin", ".safetensors", ".model", ".spm", ".h5", ".onnx", ".msgpack")
API = re.compile(
    r"^/api/models/(?P<id>[^/]+/[^/]+)(?:/(?P<what>revision|tree|paths-info)/(?P<rev>[^/]+)(?P<rest>/.*)?)?$"
)
RESOLVE = re.compile(r"^/(?P<id>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<file>.+)$")


@dataclass(frozen=True)
class Request:
    """One request that arrived.

    Attributes:
        method: HEAD, GET or POST.
        path: Path without the query, percent-decoded.
        authorization: The Authorization header, or None.
        status: The status that was answered.
    """

    method: str
    path: str
    authorization: str | None
    status: int


@dataclass(frozen=True)
class _Failure:
    kind: str
    file: str | None
    retry_after: int
    after: int


class LocalHub:
    """A local Hub; a context manager.

    Args:
        root: Folder of `owner/name` folders.

    Attributes:
        url: What HF_ENDPOINT is set to.
        requests: Every request that arrived, in order.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.requests: list[Request] = []
        self._failures: dict[str, list[_Failure]] = {}
        self._hashes: dict[tuple[Path, int, int], str] = {}
        self._released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> LocalHub:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, model_id: str, kind: str, file: str | None = None, *, retry_after: int = 60, after: int = 0) -> None:
        """Answer wrongly for a model ("*" for all), or for one of its files only.

        Args:
            model_id: owner/name, or "*".
            kind: "missing" (401 as for an unknown or private repository; of a file: 404 EntryNotFound), "gated" (403
                GatedRepo; file lists stay readable), "rate_limited" (429 with Retry-After), "unavailable" (503),
                "cut_off" (the body of a file ends early), "stalled" (nothing comes any more), "disabled" (403).
            file: Only this file of the repository; None for everything.
            retry_after: Seconds that a 429 asks for.
            after: Bytes of the body that a cut-off or stalled file still sends.
        """
        assert kind in FAILURES, kind
        self._failures.setdefault(model_id, []).append(_Failure(kind, file, retry_after, after))

    def mend(self) -> None:
        """Answer rightly again; requests that were stalled end."""
        self._failures.clear()
        self._released.set()
        self._released = threading.Event()

    def paths(self) -> list[str]:
        """Return "METHOD path" of each request."""
        return [f"{request.method} {request.path}" for request in self.requests]

    def failure(self, model_id: str, file: str | None) -> _Failure | None:
        for failure in (*self._failures.get(model_id, ()), *self._failures.get("*", ())):
            if failure.file is None or failure.file == file:
                return failure
        return None

    def stall(self, seconds: float = 120) -> None:
        self._released.wait(seconds)

    def files(self, model_id: str) -> list[Path] | None:
        folder = self.root / model_id
        if ".." in model_id.split("/") or not folder.is_dir():
            return None
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def digest(self, path: Path, kind: str) -> str:
        """Return a file's sha256, or its git blob id (sha1)."""
        data = path.read_bytes()
        return hashlib.sha256(data).hexdigest() if kind == "sha256" else _blob_id(data)

    def commit(self, model_id: str) -> str:
        """Return the 40 hex digits of `main`: they change when the files do."""
        files = self.files(model_id) or []
        stats = [(path.as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        return hashlib.sha1(repr(stats).encode()).hexdigest()

    def entries(self, model_id: str) -> list[dict]:
        """Return the repository's files as the tree listing names them."""
        entries = []
        for path in self.files(model_id) or []:
            size = path.stat().st_size
            entry = {"type": "file", "oid": self.digest(path, "git"), "size": size}
            entry["path"] = path.relative_to(self.root / model_id).as_posix()
            if path.suffix in LFS:
                entry["lfs"] = {"oid": self.digest(path, "sha256"), "size": size, "pointerSize": 134}
            entries.append(entry)
        return entries

    def info(self, model_id: str, blobs: bool) -> dict:
        """Return a model's facts as GET /api/models/{id} gives them."""
        siblings = []
        for entry in self.entries(model_id):
            sibling: dict[str, object] = {"rfilename": entry["path"]}
            if blobs:
                sibling |= {"size": entry["size"], "blobId": entry["oid"]}
                if "lfs" in entry:
                    lfs = entry["lfs"]
                    sibling["lfs"] = {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": lfs["pointerSize"]}
            siblings.append(sibling)
        config = _json(self.root / model_id / "config.json")
        info = {
            "_id": "0", "id": model_id, "modelId": model_id, "sha": self.commit(model_id), "private": False,
            "gated": False, "disabled": False, "downloads": 1, "likes": 0, "library_name": "transformers",
            "author": model_id.split("/")[0], "lastModified": "2024-01-01T00:00:00.000Z", "tags": ["transformers"],
            "cardData": {"license": "apache-2.0"}, "siblings": siblings, "spaces": [],
            "config": {key: config[key] for key in ("architectures", "model_type", "auto_map") if key in config},
        }  # fmt: skip
        weights = self.root / model_id / "model.safetensors"
        if weights.is_file():
            counts = _parameters(weights)
            info["safetensors"] = {"parameters": counts, "total": sum(counts.values())}
            info["tags"] = ["transformers", "safetensors"]
        return info | _json(self.root / f"{model_id}.json")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: LocalHub

    def handle_error(self, request: socket.socket, client_address: object) -> None:
        """Stay silent when a client leaves: tests do that on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        # Owner and name may come with an encoded slash in a revision ("refs%2Fpr%2F1"), so decode after splitting.
        path = url.path
        if match := RESOLVE.match(path):
            self._file(unquote(match["id"]), unquote(match["rev"]), unquote(match["file"]))
        elif match := API.match(path):
            self._api(match, parse_qs(url.query))
        else:
            self._send(404, b'{"error":"Not Found"}')

    def _api(self, match: re.Match, query: dict[str, list[str]]) -> None:
        hub, model_id = self.server.hub, unquote(match["id"])
        failure = hub.failure(model_id, None)
        # The real Hub lists the files of a gated repository to everybody.
        if failure and failure.kind not in ("gated", "cut_off") and self._fails(failure, is_file=False):
            return
        if hub.files(model_id) is None:
            return self._missing()
        if match["rev"] and unquote(match["rev"]) not in ("main", hub.commit(model_id)):
            return self._send(404, b'{"error":"Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"})
        if match["what"] == "tree":
            rest = unquote(match["rest"] or "").strip("/")
            entries = [entry for entry in hub.entries(model_id) if not rest or entry["path"].startswith(rest + "/")]
            if rest and not entries:
                return self._send(404, b'{"error":"not found"}', {"X-Error-Code": "EntryNotFound"})
            if query.get("recursive", ["false"])[0].lower() != "true":
                depth = rest.count("/") + 2 if rest else 1
                entries = [entry for entry in entries if entry["path"].count("/") < depth]
            return self._send_json(entries)
        if match["what"] == "paths-info":
            wanted = json.loads(self._body).get("paths", []) if self.command == "POST" else []
            return self._send_json([entry for entry in hub.entries(model_id) if entry["path"] in wanted])
        info = hub.info(model_id, blobs=query.get("blobs", ["false"])[0].lower() == "true")
        if failure and failure.kind == "gated":
            info["gated"] = "manual"
        self._send_json(info)

    def _file(self, model_id: str, revision: str, name: str) -> None:
        hub = self.server.hub
        failure = hub.failure(model_id, name)
        if failure and failure.kind not in ("cut_off", "stalled") and self._fails(failure, is_file=True):
            return
        if hub.files(model_id) is None:
            return self._missing()
        commit = hub.commit(model_id)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if revision not in ("main", commit):
            return self._send(404, b"Invalid rev id", headers | {"X-Error-Code": "RevisionNotFound"})
        path = hub.root / model_id / name
        if ".." in name.split("/") or not path.is_file():
            return self._send(404, b"Entry not found", headers | {"X-Error-Code": "EntryNotFound"})
        data = path.read_bytes()
        lfs = path.suffix in LFS
        etag = f'"{hub.digest(path, "sha256" if lfs else "git")}"'
        headers |= {"ETag": etag}
        if lfs:
            headers |= {"X-Linked-Etag": etag, "X-Linked-Size": str(len(data))}
        status, start, end = 200, 0, len(data)
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start = int(wanted[1])
            end = min(int(wanted[2]) + 1, end) if wanted[2] else end
            if start >= len(data):
                return self._send(416, b"", headers | {"Content-Range": f"bytes */{len(data)}"})
            status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{len(data)}"
        self._send(status, data[start:end], headers, failure if self.command == "GET" else None)

    def _fails(self, failure: _Failure, is_file: bool) -> bool:
        """Answer as a failing Hub does; returns whether it answered."""
        if failure.kind == "missing":
            if is_file and failure.file:
                self._send(404, b"Entry not found", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "0" * 40})
            else:
                self._missing()
        elif failure.kind == "gated":
            message = "Access to model is restricted. You must be authenticated to access it."
            self._send(403, message.encode(), {"X-Error-Code": "GatedRepo", "X-Error-Message": message})
        elif failure.kind == "disabled":
            self._send(403, b"disabled", {"X-Error-Message": "Access to this resource is disabled."})
        elif failure.kind == "rate_limited":
            self._send(429, b"Too Many Requests", {"Retry-After": str(failure.retry_after)})
        elif failure.kind == "unavailable":
            self._send(503, b"Service Unavailable")
        elif failure.kind == "stalled":
            self._log(0)
            self.server.hub.stall()
            self.close_connection = True
        else:
            return False
        return True

    def _missing(self) -> None:
        """Answer as for an unknown or private repository: 401 to strangers, 404 to whoever shows a token.

        The real Hub sends X-Error-Code only with the 404; huggingface_hub reads a bare 401 as "repository not found",
        but from an https address only. The code makes it raise the same error over http.
        """
        message = "Repository not found" if self.headers.get("Authorization") else "Invalid username or password."
        status = 404 if self.headers.get("Authorization") else 401
        headers = {"X-Error-Message": message, "X-Error-Code": "RepoNotFound"}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send_json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _log(self, status: int) -> None:
        request = Request(self.command, unquote(urlsplit(self.path).path), self.headers.get("Authorization"), status)
        self.server.hub.requests.append(request)

    def _send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, failure: _Failure | None = None
    ) -> None:
        self._log(status)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if failure and failure.kind in ("cut_off", "stalled"):
            self.wfile.write(body[: failure.after])
            self.wfile.flush()
            if failure.kind == "stalled":
                self.server.hub.stall()
            self.close_connection = True
            return
        # In pieces, so that progress can be seen.
        for start in range(0, len(body), 65536):
            self.wfile.write(body[start : start + 65536])


def closed_port() -> str:
    """Return the URL of a port on which nothing listens: connections are refused at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def wait_for(condition, seconds: float = 5.0) -> bool:
    """Tell whether `condition()` becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _parameters(path: Path) -> dict[str, int]:
    """Return {dtype: number of parameters} from a safetensors header."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    counts: dict[str, int] = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for dimension in tensor["shape"]:
                size *= dimension
            counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + size
    return counts
