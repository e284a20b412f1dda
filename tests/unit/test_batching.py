"""Requests that come while the model is busy share its next pass, and nobody's answer depends on who else asked."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import batching
from pipelines.run import Stopwatch
from tests.unit.tiny_models import WORDS, loaded

TEXTS = [" ".join(WORDS[i % 7 : i % 7 + 1 + i % 9]) + f" {i}" for i in range(30)]


def logits(output, inputs):
    return output.logits


def ask(model, texts, **options):
    rows, cut = batching.run(model, texts, Stopwatch(), logits, **options)
    return torch.stack(rows), cut


@pytest.fixture
def model(monkeypatch):
    """A tiny classifier that counts the rows of its passes and takes its time."""
    model = loaded("sentiment")
    model.passes = []
    forward = model.pipe.model.forward

    def slow(*args, **inputs):
        model.passes.append(len(inputs["input_ids"]))
        time.sleep(0.02)
        return forward(*args, **inputs)

    monkeypatch.setattr(model.pipe.model, "forward", slow)
    yield model
    del model.passes


def at_once(calls):
    """Run the calls on threads that begin together; return their results in order."""
    gate = threading.Barrier(len(calls))

    def work(call):
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(20) for future in [pool.submit(work, call) for call in calls]]


def test_thirty_visitors_share_passes_and_each_gets_the_own_answer(model):
    alone = [ask(model, [text])[0] for text in TEXTS]
    model.passes.clear()
    together = at_once([lambda text=text: ask(model, [text])[0] for text in TEXTS])
    assert len(model.passes) < 15
    assert sum(model.passes) == len(TEXTS)
    for mine, theirs in zip(alone, together, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=0)


def test_a_lone_visitor_waits_for_nobody(model):
    ask(model, [TEXTS[0]])
    assert model.passes == [1]


def test_the_same_row_is_computed_once_in_a_pass(model):
    rows, _ = ask(model, ["the cat"] * 8 + ["the dog"])
    assert sum(model.passes) == 2
    assert (rows[:8] == rows[0]).all()
    assert not (rows[8] == rows[0]).all()


def test_a_long_file_does_not_hold_up_one_sentence(model):
    order = []

    def file():
        ask(model, [f"{text} {n}" for text in TEXTS for n in range(10)])
        order.append("file")

    def sentence():
        time.sleep(0.03)
        ask(model, ["the cat sat"])
        order.append("sentence")

    at_once([file, sentence])
    assert order == ["sentence", "file"]


def test_one_visitors_failure_is_nobody_elses(model):
    def spoiled(output, inputs):
        raise RuntimeError("mine alone")

    def failing():
        with pytest.raises(RuntimeError, match="mine alone"):
            batching.run(model, ["the cat"], Stopwatch(), spoiled)

    at_once([failing, *(lambda text=text: ask(model, [text]) for text in TEXTS[:8])])
    assert not model.gathering.requests


def test_pairs_and_single_texts_and_other_limits_never_mix(model):
    def cut():
        return ask(model, ["the cat sat on the mat in Seoul"], limit=4)[1]

    def pair():
        return ask(model, ["the cat"], second=["the dog"])[0]

    alone = pair()
    first, second, third = at_once([cut, pair, lambda: ask(model, ["the cat"])[1]])
    assert first == [True]
    assert third == [False]
    torch.testing.assert_close(second, alone, atol=1e-4, rtol=0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 512), min_size=1, max_size=40))
def test_rows_are_parted_by_length_and_none_is_lost(lengths):
    parts = list(batching._parts(lengths))
    assert sorted(i for part in parts for i in part) == list(range(len(lengths)))
    padded = sum(len(part) * max(lengths[i] for i in part) for part in parts) + batching.PASS_TOKENS * len(parts)
    assert padded <= len(lengths) * max(lengths) + batching.PASS_TOKENS


def test_short_rows_are_not_padded_to_a_long_one():
    assert list(batching._parts([5, 200, 6, 190])) == [[0, 2], [3, 1]]


def test_rows_of_a_long_request_meet_those_with_as_many_tokens(model):
    one_token = [f"{'☃' * (20 + i)} the cat" for i in range(32)]  # a word that is not known
    many = [" ".join(["cat"] * 8) + " " * i for i in range(32)]
    texts = [text for pair in zip(one_token, many, strict=True) for text in pair]
    together = ask(model, texts)[0]
    assert model.passes == [32, 32]
    alone = torch.cat([ask(model, [text])[0] for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
