"""ONNX Runtime in torch's place: the same numbers, one model after the other, and torch again whenever it cannot."""

import copy
import gc
import inspect
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import transformers

from pipelines import backends, loading, onnx_graph
from pipelines.cache import ModelCache
from tests.unit import tiny_models

pytest.importorskip("onnxruntime")
TEXTS = ["the cat sat", "the dog lives in Seoul who is Anna the cat sat on mat", "나는 영화"]
SIZES = tiny_models.SIZES | {"initializer_range": 0.8}
POSITIONS = {"max_position_embeddings": tiny_models.LENGTH + 2}
ROBERTA = SIZES | POSITIONS | {"pad_token_id": 0}
DEBERTA = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
}
DEBERTA |= {"share_att_key": True, "position_biased_input": False, "type_vocab_size": 0, "max_relative_positions": -1}
ARCHITECTURES = {
    "bert": (transformers.BertConfig, SIZES | POSITIONS),
    "distilbert": (
        transformers.DistilBertConfig,
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "initializer_range": 0.8} | POSITIONS,
    ),
    "electra": (transformers.ElectraConfig, SIZES | POSITIONS | {"embedding_size": 8}),
    "roberta": (transformers.RobertaConfig, ROBERTA),
    "xlm-roberta": (transformers.XLMRobertaConfig, ROBERTA),
    "deberta-v2": (transformers.DebertaV2Config, SIZES | POSITIONS | DEBERTA),
    "mpnet": (transformers.MPNetConfig, ROBERTA),
}
HEADS = ("sentiment", "entities", "answer", "fill_mask", "similarity")


def encoder(architecture="bert", task="sentiment"):
    tiny_models.classic.register()
    torch.manual_seed(0)
    kind, auto_class = loading.KINDS[task]
    config_class, sizes = ARCHITECTURES[architecture]
    config = config_class(vocab_size=len(tiny_models.wordpiece()), num_labels=2 if task == "answer" else 3, **sizes)
    model = getattr(transformers, auto_class).from_config(config).eval()
    tokenizer = copy.deepcopy(tiny_models.wordpiece())
    if "token_type_ids" not in inspect.signature(model.forward).parameters or architecture.endswith("roberta"):
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    pipe = transformers.pipeline(kind, model=model, tokenizer=tokenizer, device="cpu")
    return loading.Loaded(f"tiny/{architecture}", None, pipe, "cpu", "cache", 0.0)


@pytest.fixture(autouse=True)
def always_faster(monkeypatch):
    """Random models of a few thousand weights on a busy machine prove nothing about speed."""
    monkeypatch.setattr(backends, "speed", lambda *_: 10.0)


def outputs(loaded, texts):
    with torch.inference_mode():
        encoded = loaded.pipe.tokenizer(texts, padding=len(texts) > 1, return_tensors="pt")
        output = loaded.pipe.model(**encoded)
    real = encoded["attention_mask"].bool()
    values = {name: value for name, value in output.items() if torch.is_tensor(value) and name != "pooler_output"}
    return {name: value[real] if value.shape[:2] == real.shape else value for name, value in values.items()}


@pytest.mark.parametrize(
    ("architecture", "task"),
    [(name, "sentiment") for name in ARCHITECTURES] + [("bert", task) for task in HEADS[1:]],
)
def test_a_session_gives_what_torch_gives(architecture, task):
    loaded = encoder(architecture, task)
    lengths = [TEXTS[:1], TEXTS, [" ".join(TEXTS * 2)], ["a"] * 5]
    before = [outputs(loaded, texts) for texts in lengths]
    kind = type(loaded.pipe.model(**loaded.pipe.tokenizer("a", return_tensors="pt")))
    assert backends.change(loaded, "auto")
    assert loaded.device == "cpu · ONNX Runtime"
    for texts, expected in zip(lengths, before, strict=True):
        got = outputs(loaded, texts)
        assert got.keys() == expected.keys()
        for name in expected:
            torch.testing.assert_close(got[name], expected[name], atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        assert type(loaded.pipe.model(**loaded.pipe.tokenizer("a", return_tensors="pt"))) is kind


def test_a_session_and_not_torch_computes(monkeypatch):
    loaded = encoder()
    assert backends.change(loaded, "auto")
    monkeypatch.setattr(type(loaded.pipe.model), "forward", lambda *_, **__: pytest.fail("torch ran"))
    assert outputs(loaded, TEXTS)["logits"].shape == (3, 3)
    assert loaded.pipe(TEXTS[0])[0]["label"].startswith("LABEL_")


def test_the_embeddings_are_torchs_own(monkeypatch):
    monkeypatch.setattr(onnx_graph, "LARGE", 1000)
    loaded = encoder()
    table = loaded.pipe.model.get_input_embeddings().weight
    graph = onnx_graph.trace(loaded.pipe.model, backends._encode(loaded, TEXTS), ("logits",))
    assert 0 < graph.packed < sum(each.numel() * 4 for each in loaded.pipe.model.parameters()) - table.numel() * 4
    assert backends.change(loaded, "onnx")
    before = outputs(loaded, TEXTS)["logits"]
    with torch.no_grad():
        table.mul_(3)  # a copy would not know of it
    after = outputs(loaded, TEXTS)["logits"]
    assert (after - before).abs().max() > 1e-3
    with torch.inference_mode():
        expected = type(loaded.pipe.model).forward(loaded.pipe.model, **backends._encode(loaded, TEXTS)).logits
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-4)


def test_gradients_and_hidden_states_come_from_torch():
    loaded = encoder()
    assert backends.change(loaded, "auto")
    encoded = loaded.pipe.tokenizer(TEXTS[0], return_tensors="pt")
    assert loaded.pipe.model(**encoded).logits.requires_grad
    with torch.inference_mode():
        assert len(loaded.pipe.model(**encoded, output_hidden_states=True).hidden_states) == 3
        vectors = loaded.pipe.model.get_input_embeddings()(encoded["input_ids"])
        by_hand = loaded.pipe.model(inputs_embeds=vectors, attention_mask=encoded["attention_mask"]).logits
    assert by_hand.shape == (1, 3)


def test_a_model_that_cannot_be_traced_stays_with_torch(monkeypatch):
    loaded = encoder()
    before = outputs(loaded, TEXTS)
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no such operator")))
    assert not backends.change(loaded, "auto")
    assert loaded.device == "cpu"
    assert "forward" not in vars(loaded.pipe.model)
    torch.testing.assert_close(outputs(loaded, TEXTS), before)


def test_a_session_that_differs_is_not_used(monkeypatch):
    loaded = encoder()
    honest = backends.Session.__call__

    def off(session, **arguments):
        output = honest(session, **arguments)
        return type(output)(logits=output.logits + 1e-3)

    monkeypatch.setattr(backends.Session, "__call__", off)
    assert not backends.change(loaded, "auto")


def test_a_length_that_the_trace_has_fixed_is_found_out(monkeypatch):
    loaded = encoder()
    traced = onnx_graph.trace

    def fixed(model, encoded, names, *, fused):
        graph = traced(model, encoded, names, fused=fused)
        for given in graph.proto.graph.input:
            given.type.tensor_type.shape.dim[1].dim_value = encoded["input_ids"].shape[1]
        return graph

    monkeypatch.setattr(onnx_graph, "trace", fixed)
    assert not backends.change(loaded, "auto")
    monkeypatch.setattr(onnx_graph, "trace", traced)
    assert backends.change(loaded, "auto")


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "electra", "roberta", "xlm-roberta"])
def test_attention_is_one_operator_where_the_model_leaves_it_open(architecture):
    loaded = encoder(architecture)
    graph = onnx_graph.trace(loaded.pipe.model, backends._encode(loaded, TEXTS), ("logits",))
    kinds = [node.op_type for node in graph.proto.graph.node]
    assert kinds.count("MultiHeadAttention") == 2
    assert "Softmax" not in kinds
    assert loaded.pipe.model.config._attn_implementation == "sdpa"


def test_a_session_that_is_slower_or_has_no_room_is_not_used(monkeypatch):
    assert not backends.change(encoder(), "auto", lambda _, needed: needed < 0)
    monkeypatch.setattr(backends, "speed", lambda *_: 0.8)
    assert not backends.change(encoder(), "auto")
    assert not backends.change(encoder(), "int8")
    assert backends.change(encoder(), "onnx")


def test_a_session_that_fails_later_fails_no_request(monkeypatch):
    loaded = encoder()
    before = outputs(loaded, TEXTS)
    assert backends.change(loaded, "auto")
    monkeypatch.setattr(backends.Session, "__call__", lambda *_, **__: 1 / 0)
    torch.testing.assert_close(outputs(loaded, TEXTS), before)
    assert loaded.device == "cpu"
    monkeypatch.undo()
    torch.testing.assert_close(outputs(loaded, TEXTS), before, atol=0, rtol=0)


def test_what_torch_cannot_answer_either_is_the_inputs_fault():
    loaded = encoder()
    assert backends.change(loaded, "auto")
    beyond = {name: torch.full((1, 4), 10**6) for name in ("input_ids", "token_type_ids", "attention_mask")}
    with torch.inference_mode(), pytest.raises(IndexError):
        loaded.pipe.model(**beyond)
    assert loaded.device == "cpu · ONNX Runtime"


def test_sixteen_threads_get_what_one_gets():
    loaded = encoder()
    assert backends.change(loaded, "auto")
    rows = [loaded.pipe.tokenizer(" ".join(TEXTS[i % 3].split()[: 1 + i % 5]), return_tensors="pt") for i in range(160)]

    def ask(encoded):
        with torch.inference_mode():
            return loaded.pipe.model(**encoded).logits

    serial = [ask(encoded) for encoded in rows]
    with ThreadPoolExecutor(16) as pool:
        for one, other in zip(serial, pool.map(ask, rows), strict=True):
            assert torch.equal(one, other)


def test_int8_is_taken_only_where_it_agrees(monkeypatch):
    taken, refused = encoder(), encoder()
    before = outputs(taken, TEXTS)["logits"].softmax(-1)
    monkeypatch.setattr(backends, "agreement", lambda *_: 0.996)
    assert backends.change(taken, "int8")
    assert taken.device == "cpu · ONNX Runtime int8"
    after = outputs(taken, TEXTS)["logits"].softmax(-1)
    assert 1e-6 < (after - before).abs().max() < 0.2
    monkeypatch.setattr(backends, "agreement", lambda *_: 0.994)
    assert backends.change(refused, "int8")
    assert refused.device == "cpu · ONNX Runtime"


def test_agreement_counts_decisions():
    loaded = encoder()
    encoded = backends._encode(loaded, TEXTS)
    graph = onnx_graph.trace(loaded.pipe.model, encoded, ("logits",))
    kind = transformers.modeling_outputs.SequenceClassifierOutput
    exact = backends.Session(graph, kind, 1, "fp32")

    def other(**arguments):
        logits = exact(**arguments).logits.clone()
        logits[0] = -logits[0]
        return kind(logits=logits)

    with torch.inference_mode():
        assert backends.agreement(exact, exact, [encoded]) == 1.0
        assert backends.agreement(exact, other, [encoded]) == pytest.approx(2 / 3)


def test_the_built_in_sentences_can_tell_half_a_percent():
    sentences = backends.sentences()
    assert len(set(sentences)) == 400


@pytest.mark.parametrize(
    ("backend", "task", "device", "expected"),
    [
        ("auto", "text-classification", "cpu", True),
        ("onnx", "feature-extraction", "cpu", True),
        ("int8", "token-classification", "cpu", True),
        ("torch", "text-classification", "cpu", False),
        ("auto", "text-classification", "cuda:0", False),
        ("auto", "text-generation", "cpu", False),
        ("auto", "zero-shot-image-classification", "cpu", False),
    ],
)
def test_which_models_may_change(backend, task, device, expected):
    assert backends.suits(backend, task, transformers.BertConfig(), device) is expected


def test_decoders_and_machines_without_the_runtime_stay_with_torch(monkeypatch):
    assert not backends.suits("auto", "zero-shot-classification", transformers.BartConfig(), "cpu")
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    assert not backends.suits("auto", "text-classification", transformers.BertConfig(), "cpu")


def test_models_change_in_the_background_once_all_is_quiet(monkeypatch):
    monkeypatch.setattr(backends, "QUIET_S", 0.2)
    first, done = encoder(), threading.Event()

    def room(_, needed):
        assert threading.current_thread() is not threading.main_thread()
        done.set()
        return True

    backends.later(first, room, "onnx")
    assert first.device == "cpu"
    assert done.wait(60)
    assert backends.change(encoder("electra"), "auto")


def test_a_model_that_left_memory_is_let_go():
    loaded = encoder()
    gc.collect()
    gc.disable()  # at once, not when the collector next comes by: a weight may be half a gigabyte
    try:
        assert backends.change(loaded, "auto")
        model, weight = weakref.ref(loaded.pipe.model), weakref.ref(next(loaded.pipe.model.parameters()))
        del loaded
        assert model() is None and weight() is None
    finally:
        gc.enable()


def test_the_budget_counts_what_a_session_keeps():
    cache = ModelCache(1000)
    with cache.use("a", lambda: ("model", 600)):
        assert cache.grow("a", "model", 300)
        assert cache.loaded() == {"a": 900}
        assert not cache.grow("a", "model", 200)
        assert not cache.grow("a", "the one before", -300)
        assert not cache.grow("b", "model", 1)
        assert cache.grow("a", "model", -100)
    assert cache.loaded() == {"a": 800}


@pytest.mark.parametrize("succeeds", [True, False])
def test_room_is_asked_for_before_a_session_is_made_and_given_back(monkeypatch, succeeds):
    loaded, told, packed = encoder(), [], []
    make = backends.onnx_graph.session

    def session(graph, threads):
        packed.append(graph.packed)
        assert told == [int(backends.MAKING * graph.packed)]
        return make(graph, threads) if succeeds else 1 / 0

    monkeypatch.setattr(backends.onnx_graph, "session", session)
    assert backends.change(loaded, "onnx", lambda each, more: each is loaded and not told.append(more)) is succeeds
    assert sum(told) == (packed[0] if succeeds else 0)
