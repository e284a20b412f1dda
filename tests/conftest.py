"""What all tests share: the app under test never reaches the real Hub, and sends nothing home; one served app."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
ROOT = Path(__file__).resolve().parents[1]


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@contextmanager
def served(command, tmp_path_factory, **environment):
    """Start an app from an empty HF_HOME, offline unless told otherwise; yield its address once it serves a page."""
    port = free_port()
    env = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path_factory.mktemp("hf_home")),
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        **environment,
    }
    log = (tmp_path_factory.mktemp("log") / "app.log").open("w")
    app = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=env, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(720):
            try:
                urllib.request.urlopen(url, timeout=2).close()
                break
            except OSError:
                assert app.poll() is None, Path(log.name).read_text()
                time.sleep(0.25)
        yield url
    finally:
        app.terminate()
        app.wait(10)


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Address of the app that all tests share."""
    with served(["app.py"], tmp_path_factory) as url:
        yield url
