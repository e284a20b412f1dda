"""A process that traces large models: torch holds Python's lock for seconds meanwhile, and the page would stand still.

`python -m pipelines.tracing` reads pickled orders from stdin, each after its length in eight bytes, and answers the
same way on stdout. An order is a model without weights: what they are is of no matter to a trace. It ends with stdin.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.download import SECRET

ROOT = Path(__file__).resolve().parent.parent
LARGE = 200_000_000
PATIENCE_S = 180


class Broken(Exception):
    """The process does not answer, or a model cannot be sent to it."""


class Tracer:
    """Traces models in a process of its own, which is started when first needed. For one thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    @staticmethod
    def suits(model: Any) -> bool:
        """Tell whether a model is large enough that its trace would be felt."""
        return sum(weight.numel() * weight.element_size() for weight in model.parameters()) >= LARGE

    def export(self, model: Any, encoded: Mapping[str, Any], outputs: tuple[str, ...], *, fused: bool) -> bytes:
        """As onnx_graph.export.

        Raises:
            Broken: see there. What onnx_graph.export raised in the process, as RuntimeError with its words.
        """
        try:
            order = pickle.dumps((_hollow(model), dict(encoded), outputs, fused))
            if self._process is None or self._process.poll() is not None:
                self._process = _start()
            clock = threading.Timer(PATIENCE_S, self._process.kill)
            clock.start()
            try:
                _write(self._process.stdin, order)
                answer = _read(self._process.stdout)
            finally:
                clock.cancel()
        except Exception as error:
            self.close()
            raise Broken(f"{type(error).__name__}: {error}") from error
        if answer is None:
            self.close()
            raise Broken("it has ended")
        raw, said = pickle.loads(answer)
        if said is not None:
            raise RuntimeError(said)
        return raw

    def close(self) -> None:
        """End the process, and with it the memory that it takes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None


def _start() -> subprocess.Popen:
    environ = {name: value for name, value in os.environ.items() if name not in SECRET}
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.tracing"], cwd=ROOT, env=environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def _hollow(model: Any) -> Any:
    """Return a copy of a model whose weights have shapes only."""
    import torch

    memo = {id(each): torch.nn.Parameter(torch.empty_like(each, device="meta"), False) for each in model.parameters()}
    return copy.deepcopy(model, memo)


def _filled(model: Any) -> Any:
    """Give a hollow model weights that take hardly any memory, as nobody writes to them but for one number each.

    The number is another in each: of weights that are alike the exporter keeps one.
    """
    import torch

    made: dict[int, Any] = {}
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None and weight.is_meta:
                if id(weight) not in made:
                    made[id(weight)] = torch.nn.Parameter(torch.zeros_like(weight, device="cpu"), False)
                    made[id(weight)].view(-1)[:1] = len(made)
                module._parameters[name] = made[id(weight)]
    return model


def _write(stream: BinaryIO, data: bytes) -> None:
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()


def _read(stream: BinaryIO) -> bytes | None:
    size = int.from_bytes(stream.read(8), "big")
    data = stream.read(size)
    return data if size and len(data) == size else None


def main() -> None:
    """Answer orders until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    if hasattr(os, "nice"):
        os.nice(10)
    while (order := _read(sys.stdin.buffer)) is not None:
        from pipelines import first_import, onnx_graph

        first_import.transformers()
        try:
            hollow, encoded, outputs, fused = pickle.load(io.BytesIO(order))
            answer = onnx_graph.export(_filled(hollow), encoded, outputs, fused=fused), None
        except Exception as error:
            answer = None, f"{type(error).__name__}: {error}"
        _write(answers, pickle.dumps(answer))


if __name__ == "__main__":
    main()
