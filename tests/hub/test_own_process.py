"""The tests of this folder, in a process whose environment they set (see conftest.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.hub
def test_the_tests_against_the_local_hub_pass():
    here = Path(__file__).resolve().parent
    command = [sys.executable, "-m", "pytest", str(here), "-n", "0", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=here.parent.parent, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
