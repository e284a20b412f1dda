"""The linear layers of an ONNX graph in 8 bits: weights per output channel, inputs as they come.

A linear layer, Transpose(W) -> MatMul, becomes DynamicQuantizeLinear -> MatMulInteger -> scale, the scheme of
onnxruntime's quantize_dynamic (Zafrir et al. 2019, Q8BERT, https://arxiv.org/abs/1910.06188). One scale for all of an
input loses what is small beside its largest values, so two kinds of input are calmed first:

- What leaves a LayerNorm is large in the same few channels for every text: these are made smaller, and the weights
  that meet them larger (Xiao et al. 2022, SmoothQuant, https://arxiv.org/abs/2211.10438).
- What leaves a GELU is large for a few tokens: every token gets a scale of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipelines.onnx_graph import DOMAIN, Graph, elsewhere, read, size, twin

# How much of the difference between channels moves from the input to the weights: alpha of SmoothQuant.
MOVED = 0.7
# A GELU is never below -0.17, so of 256 steps these many are enough for what is below zero.
GELU_LEAST, STEPS_BELOW = 0.17, 32


def largest_inputs(model: Any, encoded: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what each linear layer is given at most: name of its weight in a Graph -> tensor of shape (in,).

    Args:
        model: A transformers model in eval mode, on the CPU; others may use it meanwhile.
        encoded: The tokenizer's tensors for some texts, each of shape (batch, tokens).
    """
    import torch

    found: dict[str, Any] = {}

    def watch(name: str) -> Any:
        def note(_: Any, given: tuple[Any, ...]) -> None:
            most = given[0].detach().abs().flatten(0, -2).amax(0)
            found[name] = torch.maximum(found[name], most) if name in found else most

        return note

    model = twin(model)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(watch(f"model.{name}.weight"))
    with torch.inference_mode():
        for inputs in encoded:
            model(**inputs)
    return found


def in_int8(graph: Graph, largest: Mapping[str, Any], *, seven_bits: bool) -> Graph:
    """Return the graph with its linear layers in 8 bits.

    Args:
        graph: As onnx_graph.trace returns it.
        largest: As `largest_inputs` returns it; what it lacks is not calmed.
        seven_bits: Use half the weights' range. Processors without VNNI add products of 8 bits up in 16, and the sum
            of two may overflow.
    """
    import onnx

    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    made = _Layers(graph, largest, 63 if seven_bits else 127)
    nodes = [each for node in proto.graph.node for each in made.replace(node)]
    del proto.graph.node[:]
    proto.graph.node.extend(read(nodes, graph.outputs))
    weights = dict(graph.weights) | made.weights
    used = {name for node in proto.graph.node for name in node.input}
    known = [*proto.graph.initializer, *(elsewhere(name, tensor) for name, tensor in made.weights.items())]
    kept = [each for each in known if each.name in used]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    if all(each.domain != DOMAIN for each in proto.opset_import):
        proto.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    left = {name: weights[name] for name in weights if name in used}
    return Graph(proto, left, graph.lent, graph.inputs, graph.outputs, graph.packed + made.packed)


class _Layers:
    """The linear layers of a graph, one after the other.

    Attributes:
        weights: Name -> tensor that the replaced nodes read.
        packed: By how many bytes the matrices grow (below 0).
    """

    def __init__(self, graph: Graph, largest: Mapping[str, Any], most: int) -> None:
        import torch

        self.graph, self.largest, self.most = graph, largest, most
        self.makers = {output: node for node in graph.proto.graph.node for output in node.output}
        self.together: dict[str, list[str]] = {}
        for node in graph.proto.graph.node:
            if matrix := self._matrix(node):
                self.together.setdefault(node.input[0], []).append(matrix)
        self.weights: dict[str, Any] = {"one": torch.tensor(1.0)}
        self.packed = 0
        self.entered: dict[str, tuple[str, str, str, Any]] = {}

    def replace(self, node: Any) -> list[Any]:
        """Return a node, or what stands for it in 8 bits."""
        matrix = self._matrix(node)
        if matrix is None:
            return [node]
        entering, leaving, nodes = node.input[0], node.output[0], []
        if entering not in self.entered:
            nodes += self._enter(entering)
        values, scale, zero, calm = self.entered[entering]
        weight = self.graph.weights[matrix]
        integers, scales, zeros = rounded(weight if calm is None else weight * calm, self.most)
        self.weights |= {f"{matrix}.int8": integers, f"{matrix}.scale": scales, f"{matrix}.zero": zeros}
        self.packed -= size(weight) - size(integers)
        if self._leaves_gelu(entering):
            of_ones = ["one", f"{matrix}.scale", zero, f"{matrix}.zero"]
            multiply = _node("MatMulIntegerToFloat", [values, f"{matrix}.int8", *of_ones], [f"{leaving}.row"], DOMAIN)
            return [*nodes, multiply, _node("Mul", [f"{leaving}.row", scale], [leaving])]
        return [
            *nodes,
            _node("MatMulInteger", [values, f"{matrix}.int8", zero, f"{matrix}.zero"], [f"{leaving}.int32"]),
            _node("Cast", [f"{leaving}.int32"], [f"{leaving}.float"], to=1),
            _node("Mul", [scale, f"{matrix}.scale"], [f"{leaving}.scale"]),
            _node("Mul", [f"{leaving}.float", f"{leaving}.scale"], [leaving]),
        ]

    def _enter(self, name: str) -> list[Any]:
        """Return the nodes that make an input integers, and remember what they give."""
        import torch

        values, scale, zero = (f"{name}.{kind}" for kind in ("uint8", "scale", "zero"))
        if self._leaves_gelu(name):
            steps = 255 - STEPS_BELOW
            self.weights["gelu.zero"] = torch.tensor(STEPS_BELOW, dtype=torch.uint8)
            self.weights["gelu.step"] = torch.tensor(1 / steps)
            self.weights["gelu.least"] = torch.tensor(GELU_LEAST * steps / STEPS_BELOW)
            self.entered[name] = values, scale, "gelu.zero", None
            return [
                _node("ReduceMax", [name], [f"{name}.max"], axes=[-1], keepdims=1),
                _node("Max", [f"{name}.max", "gelu.least"], [f"{name}.most"]),
                _node("Mul", [f"{name}.most", "gelu.step"], [scale]),
                _node("Div", [name, scale], [f"{name}.steps"]),
                _node("QuantizeLinear", [f"{name}.steps", "one", "gelu.zero"], [values]),
            ]
        calm = self._calm(name)
        self.entered[name] = values, scale, zero, calm
        if calm is None:
            return [_node("DynamicQuantizeLinear", [name], [values, scale, zero])]
        self.weights[f"{name}.calm"] = 1 / calm
        return [
            _node("Mul", [name, f"{name}.calm"], [f"{name}.even"]),
            _node("DynamicQuantizeLinear", [f"{name}.even"], [values, scale, zero]),
        ]

    def _calm(self, name: str) -> Any:
        """Return by what each channel of a LayerNorm's output is divided, or None for other inputs."""
        import torch

        maker, matrices = self.makers.get(name), self.together[name]
        if maker is None or maker.op_type != "LayerNormalization" or not set(matrices) <= set(self.largest):
            return None
        given = torch.stack([self.largest[matrix] for matrix in matrices]).amax(0).clamp(min=1e-5)
        met = torch.stack([self.graph.weights[matrix].abs().amax(0) for matrix in matrices]).amax(0).clamp(min=1e-5)
        return given**MOVED / met ** (1 - MOVED)

    def _leaves_gelu(self, name: str) -> bool:
        """Tell whether a tensor is x * (1 + erf(x / sqrt 2)) / 2."""
        names = {name}
        for _ in range(4):
            nodes = [self.makers[each] for each in names if each in self.makers]
            if any(node.op_type == "Erf" for node in nodes):
                return True
            names = {each for node in nodes if node.op_type in ("Mul", "Add") for each in node.input}
        return False

    def _matrix(self, node: Any) -> str | None:
        """Return the weight that a node multiplies with, when it is a linear layer's."""
        turned = self.makers.get(node.input[1]) if node.op_type == "MatMul" else None
        if turned is None or turned.op_type != "Transpose" or turned.input[0] not in self.graph.weights:
            return None
        return turned.input[0] if self.graph.weights[turned.input[0]].dim() == 2 else None


def has_vnni() -> bool:
    """Tell whether this processor multiplies 8-bit numbers without overflow (AVX512-VNNI, AVX-VNNI, or not an x86)."""
    import platform

    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return True
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def rounded(weight: Any, most: int) -> tuple[Any, Any, Any]:
    """Return a linear layer's (out, in) weight as int8 of shape (in, out), with scale and zero point per column."""
    import torch

    scales = weight.abs().amax(dim=1).clamp(min=1e-12) / most
    integers = (weight / scales[:, None]).round().clamp(-most, most).to(torch.int8)
    return integers.t().contiguous(), scales, torch.zeros(len(scales), dtype=torch.int8)


def _node(kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any) -> Any:
    import onnx

    return onnx.helper.make_node(kind, inputs, outputs, domain=domain, **attributes)
