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

import gzip
import hashlib
import json
import mmap
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.faults import FAILURES, REFUSALS, SPOILT, Failure, Faults, refuse, reset

LARGE = 50_000_000
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
        range: The Range header, or None.
    """

    method: str
    path: str
    authorization: str | None
    status: int
    range: str | None = None


class LocalHub(Faults):
    """A local Hub; a context manager.

    Args:
        root: Folder of `owner/name` folders.

    Attributes:
        url: What HF_ENDPOINT is set to.
        requests: Every request that arrived, in order.
        pace: Bytes a second at which a body is sent; None: as fast as it goes.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = Path(root)
        self.pace: float | None = None
        self.requests: list[Request] = []
        self._hashes: dict[tuple[Path, int, int, str], str] = {}
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

    def paths(self) -> list[str]:
        """Return "METHOD path" of each request."""
        return [f"{request.method} {request.path}" for request in self.requests]

    def files(self, model_id: str) -> list[Path] | None:
        folder = self.root / model_id
        if ".." in model_id.split("/") or not folder.is_dir():
            return None
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def digest(self, path: Path, kind: str) -> str:
        """Return a file's sha256, or its git blob id (sha1)."""
        facts = path.stat()
        key = (path, facts.st_size, facts.st_mtime_ns, kind)
        if key not in self._hashes:
            data = _content(path)
            self._hashes[key] = hashlib.sha256(data).hexdigest() if kind == "sha256" else _blob_id(data)
        return self._hashes[key]

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
            entry = {"type": "file", "oid": "", "size": size, "path": path.relative_to(self.root / model_id).as_posix()}
            if path.suffix in LFS:
                entry["lfs"] = {"oid": self.digest(path, "sha256"), "size": size, "pointerSize": 134}
                entry["oid"] = _blob_id(entry["lfs"]["oid"].encode())  # git has the pointer only
            else:
                entry["oid"] = self.digest(path, "git")
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
        if counts := _parameters(weights):
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
        if failure and failure.kind in REFUSALS - {"gated"} and refuse(self, failure, is_file=False):
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
        if failure and failure.kind == "false_sizes":
            info["siblings"] = [sibling | {"size": 10} for sibling in info["siblings"]]
        if failure and failure.kind == "no_sizes":
            info["siblings"] = [{"rfilename": sibling["rfilename"]} for sibling in info["siblings"]]
        self._send_json(info)

    def _file(self, model_id: str, revision: str, name: str) -> None:
        hub = self.server.hub
        failure = hub.failure(model_id, name)
        whole = failure is not None and failure.file is None
        if failure and (failure.kind in REFUSALS - SPOILT or whole and failure.kind in REFUSALS):
            if refuse(self, failure, is_file=True):
                return
        failure = failure if failure and failure.kind in FAILURES - REFUSALS | {"stalled"} else None
        if hub.files(model_id) is None:
            return self._missing()
        commit = hub.commit(model_id)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if revision not in ("main", commit):
            return self._send(404, b"Invalid rev id", headers | {"X-Error-Code": "RevisionNotFound"})
        path = hub.root / model_id / name
        if ".." in name.split("/") or not path.is_file():
            return self._send(404, b"Entry not found", headers | {"X-Error-Code": "EntryNotFound"})
        data = _content(path)
        lfs = path.suffix in LFS
        etag = f'"{hub.digest(path, "sha256" if lfs else "git")}"'
        told = failure.kind if failure else ""
        headers |= {"ETag": {"weak_etag": f"W/{etag}", "odd_etag": '"../../../../etc/cron.d/x"'}.get(told, etag)}
        for absent in {"no_etag": ["ETag"], "no_commit": ["X-Repo-Commit"]}.get(told, []):
            del headers[absent]
        if lfs and headers.get("ETag") == etag:
            headers |= {"X-Linked-Etag": etag, "X-Linked-Size": str(len(data))}
        status, start, end = 200, 0, len(data)
        spoilt = failure if self.command == "GET" and failure and failure.strikes() else None
        kind = spoilt.kind if spoilt else ""
        if kind == "corrupt":
            data = bytes(data[:-1]) + bytes([data[-1] ^ 1])
        elif kind in ("too_short", "too_long"):
            data = data[: len(data) // 2] if kind == "too_short" else bytes(data) + bytes(1 << 20)
            end = len(data)
        elif kind == "zeros":
            data = bytes(len(data))
        elif kind == "zipped":
            data, headers["Content-Encoding"] = gzip.compress(data, 1), "gzip"
            end = len(data)
        if kind == "never_a_range" and "Range" in self.headers:
            return self._send(416, b"", headers | {"Content-Range": f"bytes */{len(data)}"})
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and kind not in ("no_ranges", "too_short"):
            start = int(wanted[1])
            end = min(int(wanted[2]) + 1, end) if wanted[2] else end
            if start >= len(data):
                return self._send(416, b"", headers | {"Content-Range": f"bytes */{len(data)}"})
            start = 0 if kind == "wrong_range" else start
            status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{len(data)}"
        self._send(status, data[start:end], headers, spoilt)

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
        path, said = unquote(urlsplit(self.path).path), self.headers.get
        self.server.hub.requests.append(Request(self.command, path, said("Authorization"), status, said("Range")))

    def _send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, failure: Failure | None = None
    ) -> None:
        self._log(status)
        self.send_response(status)
        kind = failure.kind if failure else ""
        length = {} if kind == "no_length" else {"Content-Length": str(len(body))}
        self.close_connection |= not length
        for name, value in {**length, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if kind == "drips":
            for start in range(0, len(body), 5):
                self.wfile.write(body[start : start + 5])
                self.server.hub.stall(0.5)
            return
        if kind == "reset_midway":
            self.wfile.write(body[: failure.after])
            return reset(self)
        if kind in ("cut_off", "stalled"):
            self.wfile.write(body[: failure.after])
            self.wfile.flush()
            if kind == "stalled":
                self.server.hub.stall()
            self.close_connection = True
            return
        # In pieces, so that progress can be seen.
        pace, begun = self.server.hub.pace, time.monotonic()
        for start in range(0, len(body), 65536):
            if pace:
                time.sleep(max(0.0, begun + start / pace - time.monotonic()))
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


def _content(path: Path) -> bytes | memoryview:
    """Return a file's bytes; those of a large one are read when they are sent."""
    if path.stat().st_size < LARGE:
        return path.read_bytes()
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _blob_id(data: bytes | memoryview) -> str:
    digest = hashlib.sha1(b"blob %d\0" % len(data))
    digest.update(data)
    return digest.hexdigest()


def _json(path: Path) -> dict:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _parameters(path: Path) -> dict[str, int]:
    """Return {dtype: number of parameters} from a safetensors header; {} when there is none."""
    counts: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, path.stat().st_size)))
        for name, tensor in header.items():
            if name != "__metadata__":
                counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + prod(tensor["shape"])
    except (OSError, struct.error, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return {}
    return counts
