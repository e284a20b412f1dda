"""Linear layers in 8 bits: a quarter of the weights, and close to the exact model where inputs are uneven."""

import pytest
import torch
import transformers

from pipelines import backends, onnx_graph, onnx_int8
from tests.unit import test_backends
from tests.unit.test_backends import TEXTS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SEVEN = not onnx_int8.has_vnni()  # as the app has it: 8 bits overflow on the other processors


def traced(loaded):
    encoded = backends._encode(loaded, TEXTS)
    return encoded, onnx_graph.trace(loaded.pipe.model, encoded, ("logits",))


def off(graph, loaded, encoded):
    """Return how far the logits of a graph are from those of the model, as the root of the mean square."""
    kind = transformers.modeling_outputs.SequenceClassifierOutput
    session = backends.Session(graph, kind, 1, "int8")
    with torch.inference_mode():
        return float((session(**encoded).logits - loaded.pipe.model(**encoded).logits).square().mean().sqrt())


def test_it_packs_a_quarter_and_seven_bits_use_half_the_range():
    loaded = test_backends.encoder()
    _, graph = traced(loaded)
    rounded = onnx_int8.in_int8(graph, {}, seven_bits=True)
    linear = [name for name in rounded.weights if name.endswith(".int8")]
    assert len(linear) == 12
    assert max(int(rounded.weights[name].abs().max()) for name in linear) == 63
    assert graph.packed / 4 <= rounded.packed < graph.packed / 2


def test_the_largest_inputs_are_those_of_the_layers_and_leave_the_model_as_it_was():
    loaded = test_backends.encoder()
    model = loaded.pipe.model
    encoded, graph = traced(loaded)
    largest = onnx_int8.largest_inputs(model, [encoded, encoded])
    assert set(largest) >= {name for name in graph.weights if "attention.self.query.weight" in name}
    with torch.inference_mode():
        embedded = model.bert.embeddings(encoded["input_ids"])
    torch.testing.assert_close(
        largest["model.bert.encoder.layer.0.attention.self.query.weight"], embedded.abs().flatten(0, 1).amax(0)
    )
    assert all(not module._forward_pre_hooks for module in model.modules())


def test_channels_that_are_large_for_every_text_do_not_cost_the_others_their_precision():
    loaded = test_backends.encoder()
    with torch.no_grad():
        for name, module in loaded.pipe.model.named_modules():
            if name.endswith("LayerNorm"):
                module.weight[:2] *= 40
        for name, module in loaded.pipe.model.named_modules():
            if isinstance(module, torch.nn.Linear) and name.endswith(("query", "key", "value", "intermediate.dense")):
                module.weight[:, :2] /= 40
    encoded, graph = traced(loaded)
    calmed = onnx_int8.in_int8(graph, onnx_int8.largest_inputs(loaded.pipe.model, [encoded]), seven_bits=SEVEN)
    assert off(calmed, loaded, encoded) < off(onnx_int8.in_int8(graph, {}, seven_bits=SEVEN), loaded, encoded) / 2


def behind_a_gelu(weight):
    """Return the graph of one linear layer behind a GELU, as it is traced."""
    make = onnx.helper.make_node
    constants = {"root": 2**0.5, "one_": 1.0, "half": 0.5}
    nodes = [
        *(make("Constant", [], [name], value_float=value) for name, value in constants.items()),
        make("Div", ["x", "root"], ["divided"]),
        make("Erf", ["divided"], ["erf"]),
        make("Add", ["erf", "one_"], ["added"]),
        make("Mul", ["x", "added"], ["doubled"]),
        make("Mul", ["doubled", "half"], ["gelu"]),
        make("Transpose", ["weight"], ["turned"], perm=[1, 0]),
        make("MatMul", ["gelu", "turned"], ["y"]),
    ]
    floats = onnx.TensorProto.FLOAT
    given = onnx.helper.make_tensor_value_info("x", floats, [None, None, weight.shape[1]])
    result = onnx.helper.make_tensor_value_info("y", floats, [None, None, weight.shape[0]])
    whole = onnx.helper.make_graph(nodes, "g", [given], [result], [onnx_graph.elsewhere("weight", weight)])
    proto = onnx.helper.make_model(whole, opset_imports=[onnx.helper.make_opsetid("", onnx_graph.OPSET)], ir_version=8)
    return onnx_graph.Graph(proto, {"weight": weight}, {}, ("x",), ("y",), onnx_graph.size(weight))


@pytest.mark.parametrize("large", [1.0, 30.0, 1000.0])
def test_a_token_that_is_large_behind_a_gelu_does_not_cost_the_others_their_precision(large):
    torch.manual_seed(0)
    weight, x = torch.randn(24, 96), torch.randn(2, 5, 96)
    x[0, 1] *= large
    session = backends.Session(onnx_int8.in_int8(behind_a_gelu(weight), {}, seven_bits=SEVEN), dict, 1, "int8")
    exact = torch.nn.functional.gelu(x) @ weight.T
    wrong = (session(x=x)["y"] - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert wrong.max() < 0.02


def test_what_is_not_behind_a_gelu_has_one_scale_for_all():
    _, graph = traced(test_backends.encoder())
    kinds = [node.op_type for node in onnx_int8.in_int8(graph, {}, seven_bits=SEVEN).proto.graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 2
    assert kinds.count("DynamicQuantizeLinear") == 6
