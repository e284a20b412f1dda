"""The process that traces large models: the same graph as here, and nothing lost when it fails."""

import subprocess
import sys

import pytest
import torch

from pipelines import backends, onnx_graph, tracing
from pipelines.backends import TEXTS
from tests.unit.test_backends import encoder


@pytest.fixture
def tracer():
    made = tracing.Tracer()
    yield made
    made.close()


@pytest.mark.parametrize("fused", [True, False])
def test_the_graph_is_the_one_that_is_made_here(tracer, fused):
    loaded = encoder()
    for weight in loaded.pipe.model.parameters():  # of weights that are alike the exporter keeps one
        torch.nn.init.normal_(weight)
    asked = loaded.pipe.model, backends._encode(loaded, TEXTS), ("logits",)
    there = onnx_graph.trace(*asked, fused=fused, exporter=tracer.export)
    here = onnx_graph.trace(*asked, fused=fused)
    assert [each.op_type for each in there.proto.graph.node] == [each.op_type for each in here.proto.graph.node]
    assert there.weights.keys() == here.weights.keys() and there.packed == here.packed
    for name, weight in there.weights.items():
        assert weight.data_ptr() == here.weights[name].data_ptr()


def test_a_large_model_changes_without_a_trace_in_this_process(monkeypatch, tracer):
    monkeypatch.setattr(tracing, "LARGE", 0)
    monkeypatch.setattr(backends, "_tracer", tracer)
    monkeypatch.setattr(onnx_graph, "export", lambda *_, **__: pytest.fail("traced here"))
    assert backends.change(encoder(), "onnx")
    assert backends.change(encoder("deberta-v2"), "onnx")  # says no to the first way, and goes the second


def test_a_small_model_is_traced_here(monkeypatch):
    monkeypatch.setattr(tracing.Tracer, "export", lambda *_, **__: pytest.fail("sent away"))
    assert backends.change(encoder(), "onnx")


def test_what_the_process_cannot_do_is_said_and_it_goes_on(tracer):
    loaded = encoder("deberta-v2")
    asked = loaded.pipe.model, backends._encode(loaded, TEXTS), ("logits",)
    with pytest.raises(RuntimeError, match="ValueError"):
        tracer.export(*asked, fused=True)
    process = tracer._process
    assert tracer.export(*asked, fused=False) and tracer._process is process


def test_a_process_that_ends_leaves_the_trace_to_this_one(monkeypatch, tracer):
    monkeypatch.setattr(tracing, "LARGE", 0)
    monkeypatch.setattr(backends, "_tracer", tracer)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with monkeypatch.context() as patch:
        patch.setattr(tracing, "_start", lambda: subprocess.Popen([sys.executable, "-c", ""], **pipes))
        assert backends.change(encoder(), "onnx")
        assert tracer._process is None
    assert backends.change(encoder(), "onnx")
    assert tracer._process.poll() is None
    tracer._process.kill()
    tracer._process.wait()
    assert backends.change(encoder(), "onnx")  # a new one


def test_the_process_knows_no_secret_and_ends_with_the_app(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("CLASSROOM_OWNER_PASSWORD", "hf_secret too")
    process = tracing._start()
    with open(f"/proc/{process.pid}/environ", "rb") as file:
        assert b"hf_secret" not in file.read()
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
