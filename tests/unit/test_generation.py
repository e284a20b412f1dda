"""Text token by token: what generate() would have written, with the alternatives, one turn at a time, stoppable."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import text_tasks
from tests.unit.tiny_models import install, loaded

PROMPT = "the cat 한글"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    torch.set_num_threads(1)
    install(monkeypatch, generate=loaded("generate"))


def library(prompt, **settings):
    pipe = loaded("generate").pipe
    inputs = pipe.tokenizer(prompt, return_tensors="pt")
    return pipe.model.generate(**inputs, **settings)[0, inputs["input_ids"].shape[1] :].tolist()


def ids(run):
    return [token["id"] for token in run.result["tokens"]]


def test_greedy_text_is_what_generate_writes():
    assert ids(text_tasks.generate(PROMPT, 15, temperature=0)) == library(PROMPT, max_new_tokens=15, do_sample=False)


@pytest.mark.parametrize("settings_", [{}, {"temperature": 0.7, "top_k": 20}, {"top_k": 0, "top_p": 0.8}])
def test_sampled_text_is_what_generate_draws_with_the_same_seed(settings_):
    torch.manual_seed(11)
    full = {"temperature": 1.0, "top_k": 50, "top_p": 1.0, **settings_}
    expected = library(PROMPT, max_new_tokens=12, do_sample=True, **full)
    assert ids(text_tasks.generate(PROMPT, 12, seed=11, **settings_)) == expected


def test_the_models_own_generation_settings_count(monkeypatch):
    config = loaded("generate").pipe.model.generation_config
    monkeypatch.setattr(config, "repetition_penalty", 1.8)
    monkeypatch.setattr(config, "suppress_tokens", [library(PROMPT, max_new_tokens=1, do_sample=False)[0]])
    expected = library(PROMPT, max_new_tokens=12, do_sample=False)
    found = ids(text_tasks.generate(PROMPT, 12, temperature=0))
    assert found == expected and len(set(found)) > 6


def test_the_end_of_text_ends_it(monkeypatch):
    first = library(PROMPT, max_new_tokens=1, do_sample=False)[0]
    monkeypatch.setattr(loaded("generate").pipe.model.generation_config, "eos_token_id", first)
    assert ids(text_tasks.generate(PROMPT, 20, temperature=0)) == [first]


def test_same_seed_same_text_and_no_seed_a_new_one():
    drawn = [ids(text_tasks.generate(PROMPT, 12, seed=5)) for _ in range(2)]
    free = [ids(text_tasks.generate(PROMPT, 12)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert free[0] != free[1]
    assert not text_tasks.generate(PROMPT, 2).cached


def test_each_token_comes_with_its_alternatives():
    runs = list(text_tasks.generate_stream(PROMPT, 4, seed=1))
    assert [len(run.result["tokens"]) for run in runs] == [1, 2, 3, 4]
    for token in runs[-1].result["tokens"]:
        shares = [each["probability"] for each in token["alternatives"]]
        assert len(shares) == 5 and shares == sorted(shares, reverse=True) and 0 < token["probability"] <= 1
    assert all(run.result["text"].startswith(PROMPT) for run in runs)
    assert set(runs[-1].timing) == {"tokenize", "model"}


def test_probabilities_are_those_of_the_choice():
    token = text_tasks.generate(PROMPT, 1, temperature=2.0, top_k=2, seed=0).result["tokens"][0]
    assert len(token["alternatives"]) == 2
    assert sum(each["probability"] for each in token["alternatives"]) == pytest.approx(1)


def test_it_stops_when_told_to():
    asked = []
    runs = list(text_tasks.generate_stream(PROMPT, 50, seed=1, stop=lambda: asked.append(1) or len(asked) > 3))
    assert len(runs) == 3
    nothing = list(text_tasks.generate_stream(PROMPT, 50, stop=lambda: True))
    assert [run.result for run in nothing] == [{"text": PROMPT, "tokens": []}]


def test_nothing_is_locked_while_the_reader_has_the_text():
    stream, lock, free = text_tasks.generate_stream(PROMPT, 10), loaded("generate").lock, []
    next(stream)

    def try_it():
        free.append(lock.acquire(timeout=5))
        lock.release()

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    assert free == [True]


def test_a_stream_may_be_read_from_several_threads():
    stream, found = text_tasks.generate_stream(PROMPT, 6, temperature=0), []
    for _ in range(6):
        thread = threading.Thread(target=lambda: found.append(next(stream)))
        thread.start()
        thread.join()
    assert ids(found[-1]) == library(PROMPT, max_new_tokens=6, do_sample=False)


def test_a_long_prompt_loses_its_beginning_and_says_so():
    run = text_tasks.generate("a" * 200, 20, temperature=0)
    assert run.note == "note.truncated" and len(run.result["tokens"]) == 20
    most = text_tasks.generate("a" * 10, 500, seed=3)
    assert len(most.result["tokens"]) <= 64


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=40))
def test_any_prompt_stays_as_it_was_typed(prompt):
    if not prompt.strip():
        return
    run = text_tasks.generate(prompt, 2, seed=0)
    typed = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in prompt)
    assert run.result["text"].startswith(typed)
