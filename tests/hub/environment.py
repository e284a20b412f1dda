"""What the tests against the local Hub share: the Hub, the cache, and the environment that points at them.

A module of its own because pytest imports conftest.py under another name than the tests would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.hub.local_hub import LocalHub

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOKEN = "hf_the_owners_own_token"
HUB = LocalHub(Path(tempfile.mkdtemp(prefix="hub-models-")))
HOME = Path(tempfile.mkdtemp(prefix="hub-home-"))
UNSET = ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "CLASSROOM_ALLOW_PICKLE")


def environment(**more: str) -> dict[str, str]:
    """Return what a process needs to use the local Hub; HF_TOKEN is the owner's, and must not go astray."""
    settings = {"HF_ENDPOINT": HUB.url, "HF_HOME": str(HOME), "HF_TOKEN": TOKEN, "CLASSROOM_PRELOAD": "0"}
    return {**settings, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", **more}


def in_a_new_process(script: str, **variables: str) -> object:
    """Run Python in a fresh process with the local Hub's environment; returns what it prints last, read as JSON."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={**kept, **environment(**variables)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])
