"""The README: its tree names every file, and its head is what a Space needs."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
GROUPED = re.compile(r"assets/pocket/[^/]+/|assets/examples/sentiment-|assets/examples/images/.*\.png")


def test_the_tree_names_every_file():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    named = {line.split()[0] for line in README.split("```text\n")[1].split("```")[0].splitlines()}
    files = [path for path in listed.stdout.split() if not GROUPED.match(path)]
    assert not [path for path in files if path not in named]


def test_the_tree_names_only_files_that_exist():
    named = [line.split()[0] for line in README.split("```text\n")[1].split("```")[0].splitlines()]
    assert not [name for name in named if "*" not in name and not (ROOT / name).exists()]


@pytest.mark.parametrize("key", ["sdk", "sdk_version", "app_file", "python_version", "models", "license"])
def test_the_head_is_what_a_space_needs(key):
    assert re.search(rf"^{key}:", README.split("---")[1], re.MULTILINE)


def test_the_space_uses_the_pinned_gradio():
    pinned = re.search(r"gradio\[mcp\]==(\S+)", (ROOT / "requirements.txt").read_text())[1]
    assert f"sdk_version: {pinned}" in README
