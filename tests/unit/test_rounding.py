"""A table in 8 bits has the labels of the same table in full, and says which rows were rounded."""

import threading
import time

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import backends, batching, classification, onnx_int8, rounding
from pipelines.run import Stopwatch
from tests.unit import test_backends
from tests.unit.tiny_models import WORDS, loaded

TEXTS = [" ".join(WORDS[i % 7 : i % 7 + 1 + i % 9]) + f" {i}" for i in range(120)]


@pytest.fixture
def model():
    """A tiny classifier, without a session when it is given back."""
    model = loaded("sentiment")
    yield model
    model.rounded = None


def exact(model, texts=TEXTS):
    return torch.stack(batching.run(model, texts, Stopwatch(), rounding.logits)[0])


def off_by(model, most, seed=0):
    """Let a model have a session whose logits are off by at most so much."""
    dice = torch.Generator().manual_seed(seed)

    def session(**inputs):
        logits = model.pipe.model(**inputs).logits
        noise = (torch.rand(logits.shape, generator=dice) * 2 - 1) * most
        return transformers.modeling_outputs.SequenceClassifierOutput(logits=logits + noise)

    model.rounded = session
    return model


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1e-4, 1e-3, 1e-2]))
def test_labels_are_those_in_full_and_rows_computed_in_full_are_equal(model, seed, most):
    off_by(model, most, seed)
    full = exact(model)
    rows, _, rounded = rounding.run(model, TEXTS, Stopwatch())
    rows = torch.stack(rows)
    assert torch.equal(rows.argmax(1), full.argmax(1))
    kept = ~torch.tensor(rounded)
    assert kept.sum() >= rounding.NEAREST
    torch.testing.assert_close(rows[kept], full[kept], atol=1e-4, rtol=0)
    torch.testing.assert_close(rows, full, atol=most + 1e-4, rtol=0)


def test_a_session_that_is_far_off_or_fails_decides_nothing(model):
    far_off = off_by(model, 50.0).rounded

    def failing(**_):
        raise RuntimeError("no memory")

    def not_a_number(**inputs):
        logits = torch.full((len(inputs["input_ids"]), model.pipe.model.config.num_labels), float("nan"))
        return transformers.modeling_outputs.SequenceClassifierOutput(logits=logits)

    for model.rounded in (far_off, failing, not_a_number):
        rows, _, rounded = rounding.run(model, TEXTS, Stopwatch())
        torch.testing.assert_close(torch.stack(rows), exact(model), atol=1e-4, rtol=0)
        assert not any(rounded)


def test_rare_large_differences_change_no_label_and_most_rows_stay_rounded(model):
    full = exact(model)
    first, second = full.topk(2).values.T
    scale = float((first - second).sort().values[10]) / 4
    most_rounded = 0
    for seed in range(60):
        dice = torch.Generator().manual_seed(seed)

        def session(dice=dice, **inputs):
            logits = model.pipe.model(**inputs).logits
            size = torch.empty(logits.shape).exponential_(1 / scale, generator=dice)
            return transformers.modeling_outputs.SequenceClassifierOutput(
                logits=logits + size * torch.randint(0, 2, logits.shape, generator=dice).mul(2).sub(1)
            )

        model.rounded = session
        rows, _, rounded = rounding.run(model, TEXTS, Stopwatch())
        assert torch.equal(torch.stack(rows).argmax(1), full.argmax(1))
        most_rounded += sum(rounded) > len(TEXTS) / 2
    assert most_rounded > 10


def test_texts_that_come_again_have_the_same_answer_in_their_places(model):
    off_by(model, 1e-3)
    texts = [*TEXTS, *TEXTS[::-1], TEXTS[3]]
    rows, cut, rounded = rounding.run(model, texts, Stopwatch())
    assert len(rows) == len(cut) == len(rounded) == len(texts)
    rows = torch.stack(rows)
    assert torch.equal(rows[:120], rows[120:240].flip(0))
    torch.testing.assert_close(rows, exact(model, texts), atol=2e-3, rtol=0)


def test_only_long_tables_of_exclusive_labels_are_rounded(model, monkeypatch):
    assert not rounding.suits(model, TEXTS)
    off_by(model, 0.0)
    assert rounding.suits(model, TEXTS)
    assert not rounding.suits(model, TEXTS[: rounding.FROM - 1])
    assert not rounding.suits(model, TEXTS[:20] * 20)
    monkeypatch.setattr(model.pipe.model.config, "problem_type", "multi_label_classification")
    assert not rounding.suits(model, TEXTS)


def test_a_sentence_is_not_held_up_by_a_table_in_8_bits(model):
    session = off_by(model, 0.0).rounded

    def slow(**inputs):
        time.sleep(0.03)
        return session(**inputs)

    model.rounded, order = slow, []

    def table():
        batching.run(model, TEXTS * 3, Stopwatch(), rounding.logits, rounded=True)
        order.append("table")

    busy = threading.Thread(target=table)
    busy.start()
    time.sleep(0.05)
    assert not any(outcome.rounded for outcome in classification.sentiment(model, ["the cat"], Stopwatch()))
    order.append("sentence")
    busy.join(20)
    assert order == ["sentence", "table"]


def test_a_classifier_gets_a_session_in_8_bits_where_it_is_faster_and_fits(monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(backends, "speed", lambda *_, **__: 2.0)
    model = test_backends.encoder()
    assert backends.change(model, "auto")
    assert model.rounded.precision == "int8"
    assert model.device == "cpu · ONNX Runtime"

    asked = []

    def only_the_first(_, needed):
        asked.append(needed)
        return len(asked) == 1 or needed < 0

    tight = test_backends.encoder()
    assert backends.change(tight, "auto", only_the_first)
    assert tight.rounded is None
    assert len(asked) >= 2

    for task in ("entities", "similarity"):
        other = test_backends.encoder(task=task)
        assert backends.change(other, "auto")
        assert other.rounded is None


@pytest.mark.parametrize("vnni", [True, False])
def test_processors_whose_8_bit_sums_overflow_get_7_bits(monkeypatch, vnni):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(backends, "speed", lambda *_, **__: 2.0)
    monkeypatch.setattr(onnx_int8, "has_vnni", lambda: vnni)
    in_int8, asked = onnx_int8.in_int8, []

    def rounding_to(*given, seven_bits):
        asked.append(seven_bits)
        return in_int8(*given, seven_bits=seven_bits)

    monkeypatch.setattr(onnx_int8, "in_int8", rounding_to)
    model = test_backends.encoder()
    assert backends.change(model, "auto")
    assert asked == [not vnni]
    assert model.rounded.precision == "int8"


def test_a_classifier_gets_no_session_in_8_bits_where_it_is_hardly_faster(monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(backends, "speed", lambda *_, **__: backends.FASTER_TABLES - 0.01)
    model = test_backends.encoder()
    assert backends.change(model, "auto")
    assert model.rounded is None
