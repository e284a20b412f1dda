"""Start an app as its own process, and wait until it serves a page."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS, BARE, PLAIN = ("app.py",), ("-m", "benchmarks.bare_app"), ("-m", "benchmarks.plain_app")
WITH_EMPTY = ("-m", "benchmarks.with_empty_event")


@dataclass(frozen=True)
class Served:
    """A running app: its address, its process, and the seconds from its start to the first page it served."""

    url: str
    pid: int
    start_s: float
    started: float


@contextmanager
def serve(arguments: tuple[str, ...], log: Path | None = None, **environment: str) -> Iterator[Served]:
    """Run `python *arguments` offline with an empty HF_HOME until the block ends; what it prints goes to `log`."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as home:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        env = os.environ | {
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": home,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_SERVER_PORT": str(port),
            **environment,
        }
        out = log.open("w") if log else subprocess.DEVNULL
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=env, stdout=out, stderr=out)
        url = f"http://127.0.0.1:{port}"
        try:
            while True:
                try:
                    with urllib.request.urlopen(url, timeout=5) as page:
                        page.read()
                    break
                except OSError:
                    if process.poll() is not None:
                        raise RuntimeError(f"{arguments} stopped with {process.returncode}") from None
                    time.sleep(0.01)
            yield Served(url, process.pid, time.perf_counter() - started, started)
        finally:
            process.terminate()
            process.wait(15)


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process so far, in MB of 10^6 (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("no VmHWM")
