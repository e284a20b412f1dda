"""The baseline of one model: transformers' own pipeline() in float32, in a process of its own.

In the app's process torch's threads sleep while they wait, for the page needs the cores; a lone pipeline is faster with
torch's own settings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.serving import ROOT

# torch's threads look for work for some milliseconds after a run; what is measured next is to have the cores.
PAUSE_S = 0.1


class Plain:
    """A pipeline("text-classification") elsewhere: call it with texts."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, texts: list[str]) -> list[tuple[float, dict[str, float]]]:
        """Return for each text, one after the other, the milliseconds it took and {label: score}."""
        self._process.stdin.write(json.dumps(texts) + "\n")
        self._process.stdin.flush()
        answers = json.loads(self._process.stdout.readline())
        time.sleep(PAUSE_S)
        return answers


@contextmanager
def beside(model: Any, tokenizer: Any) -> Iterator[Plain]:
    """Yield the plain pipeline of a classifier's weights, as float32."""
    with tempfile.TemporaryDirectory() as folder:
        model.float().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        command = (sys.executable, "-m", "benchmarks.plain_pipeline", folder)
        torchs_own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, cwd=ROOT, env=torchs_own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, text=True
        ) as process:
            try:
                yield Plain(process)
            finally:
                process.stdin.close()
                process.wait(15)


def main() -> None:
    from transformers import pipeline

    classify = pipeline("text-classification", model=sys.argv[1], device="cpu", dtype="float32")
    for line in sys.stdin:
        answers = []
        for text in json.loads(line):
            start = time.perf_counter()
            found = classify(text, top_k=None)
            took = (time.perf_counter() - start) * 1000
            answers.append([took, {each["label"]: each["score"] for each in found}])
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
