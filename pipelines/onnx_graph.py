"""An encoder as an ONNX graph that reads torch's own weights where they lie.

The graph is traced without weights (a few hundred kilobytes, no file); ONNX Runtime is then given the tensors of the
model itself. It keeps only a packed copy of the matrices it multiplies. It would copy the embeddings too, which are
most of a multilingual model: these it is given anew with every run, as inputs, and they stay where torch has them.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

OPSET = 17
DOMAIN = "com.microsoft"
# A weight of at least so many bytes that is not multiplied is an input of every run.
LARGE = 1_000_000
ATTENTION = "onnx_runtime"
# Threads of a run look for their next share for a moment before they sleep: to be woken costs a small model a fifth of
# its time. Between runs they sleep, for the page needs the cores.
WAITING = {"intra_op.allow_spinning": "1", "intra_op.spin_duration_us": "50", "force_spinning_stop": "1"}


@dataclass(frozen=True)
class Graph:
    """A traced model.

    Attributes:
        proto: onnx.ModelProto without weights' data.
        weights: Name -> tensor of the model, in its own memory, which a session reads once.
        lent: The same of those that every run is given.
        inputs, outputs: Names, in the order of the graph.
        packed: Bytes of the matrices that are multiplied, which a session keeps a copy of.
    """

    proto: Any
    weights: Mapping[str, Any]
    lent: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    packed: int


def trace(
    model: Any,
    encoded: Mapping[str, Any],
    outputs: tuple[str, ...],
    *,
    fused: bool = True,
    exporter: Callable[..., bytes] | None = None,
) -> Graph:
    """Trace a model's forward pass.

    Args:
        model: A transformers model in eval mode, on the CPU.
        encoded: The tokenizer's tensors for at least two padded texts, each of shape (batch, tokens).
        outputs: Names of the tensors of the model's output to keep.
        fused: Let ONNX Runtime's own operator attend, in models that leave attention to transformers' interface.
        exporter: Stands in for `export`.

    Raises:
        Whatever torch.onnx.export raises; ValueError, when the model attends in another way.
    """
    import onnx

    names = tuple(encoded)
    proto = onnx.load_from_string((exporter or export)(model, encoded, outputs, fused=fused))
    known = {f"model.{name}": tensor.detach() for name, tensor in _tensors(model)}
    # A graph without weights asks for them as further inputs.
    asked = [each for each in proto.graph.input if each.name not in names]
    weights = {each.name: known[each.name].contiguous() for each in asked}
    linear = ("Transpose", "MatMul", "Gemm")
    multiplied = {name for node in proto.graph.node if node.op_type in linear for name in node.input}
    lent = {n: weights.pop(n) for n in list(weights) if n not in multiplied and size(weights[n]) >= LARGE}
    for each in asked:
        if each.name in weights:
            proto.graph.input.remove(each)
            proto.graph.initializer.append(elsewhere(each.name, weights[each.name]))
    packed = sum(size(weights[name]) for name in multiplied & set(weights))
    used = {name for node in proto.graph.node for name in node.input}
    return Graph(proto, weights, lent, tuple(name for name in names if name in used), outputs, packed)


def _tensors(model: Any) -> tuple[tuple[str, Any], ...]:
    return (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))


def twin(model: Any) -> Any:
    """Return modules of their own around a model's tensors, to be changed while others use the model."""
    return copy.deepcopy(model, {id(tensor): tensor for _, tensor in _tensors(model)})


def export(model: Any, encoded: Mapping[str, Any], outputs: tuple[str, ...], *, fused: bool) -> bytes:
    """Return the serialized ModelProto of a forward pass, with every weight as a further input; see `trace`."""
    import onnx
    import torch

    names = tuple(encoded)
    model = twin(model)
    if fused:
        _attend(model)

    with torch.no_grad():
        shown = model(**encoded)
    length = next(iter(encoded.values())).shape[1]
    long = {name for name in outputs if shown[name].dim() > 1 and shown[name].shape[1] == length} | set(names)
    buffer = io.BytesIO()
    # What a trace fixes is found out by comparing it with the model on other lengths, not by reading warnings.
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
    warnings.filterwarnings("ignore", module=r"torch\.onnx")
    # The exporter that torch prefers (dynamo) needs one package more.
    with torch.no_grad():
        torch.onnx.export(
            _outer(model, names, outputs),
            tuple(encoded.values()),
            buffer,
            dynamo=False,
            export_params=False,
            do_constant_folding=False,
            input_names=list(names),
            output_names=list(outputs),
            dynamic_axes={n: {0: "batch", 1: "tokens"} if n in long else {0: "batch"} for n in (*names, *outputs)},
            opset_version=OPSET,
            custom_opsets={DOMAIN: 1} if fused else None,
        )
    if not fused:
        return buffer.getvalue()
    proto = onnx.load_from_string(buffer.getvalue())
    _join_heads(proto)
    return proto.SerializeToString()


def _outer(model: Any, names: tuple[str, ...], outputs: tuple[str, ...]) -> Any:
    """Return the model as a module that takes and gives bare tensors, in the order of their names."""
    made = _outer_class()()
    made.model, made.names, made.outputs = model, names, outputs
    return made.eval()


@lru_cache(maxsize=1)
def _outer_class() -> type:
    """One class for all: a class is in a cycle with itself, and would keep the weights that it closes over."""
    import torch

    class Traced(torch.nn.Module):
        def forward(self, *values: Any) -> tuple[Any, ...]:
            output = self.model(**dict(zip(self.names, values, strict=True)))
            return tuple(output[name] for name in self.outputs)

    return Traced


def _attend(model: Any) -> None:
    """Let a model's attention be one operator of the graph: com.microsoft.MultiHeadAttention, with the 2-D mask.

    Raises:
        ValueError: its attention is written otherwise.
    """
    import torch
    from transformers import AttentionInterface, AttentionMaskInterface

    class Attention(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, query: Any, key: Any, value: Any, mask: Any, heads: int, scale: float) -> Any:
            allowed = mask[:, None, None, :].bool()
            attended = torch.nn.functional.scaled_dot_product_attention(query, key, value, allowed, scale=scale)
            return attended.transpose(1, 2)

        @staticmethod
        def symbolic(graph: Any, query: Any, key: Any, value: Any, mask: Any, heads: int, scale: float) -> Any:
            name = f"{DOMAIN}::MultiHeadAttention"
            attended = graph.op(name, query, key, value, mask, num_heads_i=heads, scale_f=scale)
            return attended.setType(query.type().with_sizes([None] * 4))

    def attention(module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: Any = None, **_: Any) -> Any:
        scale = int(query.shape[-1]) ** -0.5 if scaling is None else float(scaling)
        return Attention.apply(query, key, value, mask, int(query.shape[1]), scale), None

    def padding(attention_mask: Any = None, **_: Any) -> Any:
        if attention_mask is None:
            raise ValueError("no mask to trace")
        return attention_mask.to(torch.int32)

    AttentionInterface.register(ATTENTION, attention)
    AttentionMaskInterface.register(ATTENTION, padding)
    if not model._can_set_attn_implementation():
        raise ValueError("attention is not left to the interface")
    model.set_attn_implementation(ATTENTION)


def _join_heads(proto: Any) -> None:
    """Give the attention operator queries, keys and values before they are parted into heads, as it wants them.

    Around it stand Reshape -> Transpose, which part the heads, and a Reshape that joins them.

    Raises:
        ValueError: something else stands there, or nothing attends.
    """
    makers = {output: node for node in proto.graph.node for output in node.output}
    readers: dict[str, list[Any]] = {}
    for node in proto.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    attending = [node for node in proto.graph.node if node.domain == DOMAIN]
    for node in attending:
        turned = [makers[name] for name in node.input[:3]]
        parted = [makers[each.input[0]] for each in turned if each.op_type == "Transpose"]
        joined = readers[node.output[0]]
        if [each.op_type for each in (*parted, *joined)] != ["Reshape"] * 4:
            raise ValueError("attention is not as expected")
        mask = node.input[3]
        del node.input[:]
        node.input.extend([*(each.input[0] for each in parted), "", mask])
        node.output[0] = joined[0].output[0]
        proto.graph.node.remove(joined[0])
    if not attending:
        raise ValueError("nothing attends through the interface")
    outputs = tuple(each.name for each in proto.graph.output)
    kept = read(list(proto.graph.node), outputs)
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    del proto.graph.value_info[:]


def session(graph: Graph, threads: int) -> tuple[Any, list[Any]]:
    """Return an onnxruntime.InferenceSession, and what has to live as long as it does.

    Args:
        graph: The model.
        threads: Threads of one run; how they wait for each other, see WAITING.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena keeps what the largest batch took, and the unpacked matrices
    options.log_severity_level = 3
    for name, value in WAITING.items():
        options.add_session_config_entry(f"session.{name}", value)
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensor.numpy()) for tensor in graph.weights.values()]
    options.add_external_initializers(list(graph.weights), values)
    made = onnxruntime.InferenceSession(graph.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return made, [values, graph.weights, graph.lent]


def size(tensor: Any) -> int:
    return tensor.numel() * tensor.element_size()


def elsewhere(name: str, tensor: Any) -> Any:
    """Return an initializer whose data the session is given apart; the file that it names is never opened."""
    import onnx

    made = onnx.TensorProto(
        name=name,
        data_type=onnx.helper.np_dtype_to_tensor_dtype(tensor.numpy().dtype),
        dims=list(tensor.shape),
        data_location=onnx.TensorProto.EXTERNAL,
    )
    for key, value in (("location", "weights"), ("offset", 0), ("length", size(tensor))):
        made.external_data.add(key=key, value=str(value))
    return made


def read(nodes: list[Any], outputs: tuple[str, ...]) -> list[Any]:
    """Leave out the nodes that nobody reads any more."""
    kept, wanted = [], set(outputs)
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]
