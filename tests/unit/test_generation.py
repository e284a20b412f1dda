"""Text token by token: what generate() would have written, with the alternatives, one turn at a time, stoppable; from
any alternative on, and by beam search."""

import inspect
import io
import threading
import time
from contextlib import redirect_stdout

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from pipelines import generation, text_tasks
from pipelines.errors import VisitorError
from pipelines.show_code import show_code
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


@pytest.mark.parametrize(
    "settings_",
    [{}, {"temperature": 0.7, "top_k": 20}, {"top_k": 0, "top_p": 0.8}, {"repetition_penalty": 1.7, "top_k": 9}],
)
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


def test_the_distribution_is_that_of_the_librarys_processors():
    pipe = loaded("generate").pipe
    said = {"temperature": 0.6, "top_k": 7, "top_p": 0.7, "repetition_penalty": 1.5}
    token = text_tasks.generate(PROMPT + PROMPT, 1, seed=2, **said).result["tokens"][0]
    ids = pipe.tokenizer(PROMPT + PROMPT, return_tensors="pt")["input_ids"]
    chain = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(1.5),
            TemperatureLogitsWarper(0.6),
            TopKLogitsWarper(7),
            TopPLogitsWarper(0.7),
        ]
    )
    with torch.inference_mode():
        expected = chain(ids, pipe.model(input_ids=ids).logits[:, -1]).softmax(-1)[0]
    found = {each["id"]: each["probability"] for each in token["alternatives"]}
    assert found == pytest.approx({number: float(expected[number]) for number in found}, abs=1e-6)
    assert len(found) == min(5, int((expected > 0).sum()))


def test_a_penalty_keeps_the_text_from_repeating_itself():
    plain, penalized = (ids(text_tasks.generate(PROMPT, 30, 0, repetition_penalty=each)) for each in (None, 3.0))
    assert penalized == library(PROMPT, max_new_tokens=30, do_sample=False, repetition_penalty=3.0)
    assert len(set(penalized)) > len(set(plain))


class TestWhatIf:
    """From an alternative on: what stood before stays as it was, and what follows is what generate() writes from it."""

    def other(self, place=4, **how):
        run = text_tasks.generate(PROMPT, 8, **how)
        tokens = run.result["tokens"]
        other = next(each for each in tokens[place]["alternatives"] if each["id"] != tokens[place]["id"])
        return tokens, generation.instead(tokens, place, other["id"]), other

    def test_the_beginning_stays_and_the_alternative_stands_in_its_place(self):
        tokens, begun, other = self.other(seed=3)
        runs = list(text_tasks.generate_stream(PROMPT, 8, seed=3, begun=begun))
        assert runs[0].result["tokens"] == begun and runs[-1].result["tokens"][:5] == begun
        assert begun[:4] == tokens[:4] and begun[4]["id"] == other["id"]
        assert begun[4]["probability"] == other["probability"]
        assert begun[4]["alternatives"] == tokens[4]["alternatives"]
        assert len(runs[-1].result["tokens"]) == 5 + 8

    @pytest.mark.parametrize(
        ("how", "library_how"),
        [
            ({"temperature": 0}, {"do_sample": False}),
            ({"seed": 3, "top_k": 20}, {"do_sample": True, "top_k": 20, "temperature": 1.0, "top_p": 1.0}),
            ({"num_beams": 3}, {"do_sample": False, "num_beams": 3}),
            ({"temperature": 0, "repetition_penalty": 1.6}, {"do_sample": False, "repetition_penalty": 1.6}),
        ],
    )
    def test_it_goes_on_as_generate_would_from_these_very_ids(self, how, library_how):
        _, begun, _ = self.other(**how)
        found = ids(list(text_tasks.generate_stream(PROMPT, 8, **how, begun=begun))[-1])
        pipe = loaded("generate").pipe
        start = pipe.tokenizer(PROMPT)["input_ids"] + [each["id"] for each in begun]
        start = torch.tensor([start])
        torch.manual_seed(3)
        written = pipe.model.generate(start, attention_mask=torch.ones_like(start), max_new_tokens=8, **library_how)
        assert found == [each["id"] for each in begun] + written[0, start.shape[1] :].tolist()

    def test_tokens_are_not_split_anew(self):
        """One byte of a character, put into the text by hand: no tokenizer would give this id back for its text."""
        tokens = text_tasks.generate(PROMPT, 2, 0).result["tokens"]
        byte = loaded("generate").pipe.tokenizer("한")["input_ids"][0]
        begun = [tokens[0], {**tokens[1], "id": byte, "token": "\ufffd"}]
        assert ids(list(text_tasks.generate_stream(PROMPT, 3, 0, begun=begun))[-1])[:2] == [tokens[0]["id"], byte]

    def test_an_end_chosen_by_hand_ends_the_text(self):
        tokens = text_tasks.generate(PROMPT, 3, 0).result["tokens"]
        begun = [*tokens[:2], {**tokens[2], "id": loaded("generate").pipe.tokenizer.eos_token_id}]
        for how in ({"temperature": 0}, {"num_beams": 2}):
            assert len(list(text_tasks.generate_stream(PROMPT, 9, **how, begun=begun))) == 1

    def test_a_text_longer_than_the_model_goes_on_without_its_beginning(self):
        begun = text_tasks.generate("a" * 30, 20, 0).result["tokens"]
        run = list(text_tasks.generate_stream("a" * 30, 20, 0, begun=begun))[-1]
        assert run.note == "note.truncated" and len(run.result["tokens"]) == 40
        assert run.result["tokens"][:20] == begun and run.result["text"].startswith("a" * 30)

    @pytest.mark.parametrize(("place", "chosen"), [(-1, 0), (8, 0), (True, 0), ("0", 0), (None, 0), (0, -1), (0, "x")])
    def test_a_place_or_a_token_that_is_not_there_is_refused(self, place, chosen):
        tokens = text_tasks.generate(PROMPT, 8, 0).result["tokens"]
        with pytest.raises(VisitorError, match="no_alternative"):
            generation.instead(tokens, place, chosen)

    @pytest.mark.parametrize(
        "begun", [None, "abc", 5, [1], [{"id": -1}], [{"id": 10**6}], [{"id": True}], [{"id": 1.5}]]
    )
    def test_what_is_no_beginning_is_refused(self, begun):
        with pytest.raises(VisitorError, match="no_alternative"):
            list(text_tasks.generate_stream(PROMPT, 2, begun=begun))


class TestBeams:
    @pytest.mark.parametrize(("beams", "penalty"), [(2, None), (3, 1.3), (5, None)])
    def test_the_text_is_that_of_generate(self, beams, penalty):
        said = {} if penalty is None else {"repetition_penalty": penalty}
        run = text_tasks.generate(PROMPT, 15, num_beams=beams, **said)
        assert ids(run) == library(PROMPT, max_new_tokens=15, do_sample=False, num_beams=beams, **said)
        assert run.method == "method.beam" and "beams" not in run.result

    def test_temperature_and_seed_have_no_part_in_it(self):
        expected = ids(text_tasks.generate(PROMPT, 10, num_beams=3))
        assert ids(text_tasks.generate(PROMPT, 10, 0, 1, 0.1, 9, num_beams=3)) == expected

    def test_each_token_is_as_likely_as_it_was_in_its_place(self):
        tokens = text_tasks.generate(PROMPT, 6, num_beams=3, repetition_penalty=1.4).result["tokens"]
        for place, token in enumerate(tokens):
            assert token["probability"] == pytest.approx(self.probabilities(tokens[:place])[token["id"]], abs=1e-5)

    def probabilities(self, before):
        pipe = loaded("generate").pipe
        all_ids = torch.tensor([pipe.tokenizer(PROMPT)["input_ids"] + [each["id"] for each in before]])
        with torch.inference_mode():
            scores = pipe.model(input_ids=all_ids).logits[:, -1].log_softmax(-1)
            return RepetitionPenaltyLogitsProcessor(1.4)(all_ids, scores).softmax(-1)[0].tolist()

    def test_an_end_is_kept_and_what_fills_up_after_it_is_not(self, monkeypatch):
        written = library(PROMPT, max_new_tokens=6, do_sample=False, num_beams=2)
        monkeypatch.setattr(loaded("generate").pipe.model.generation_config, "eos_token_id", written[2])
        found = ids(text_tasks.generate(PROMPT, 30, num_beams=2))
        assert found == library(PROMPT, max_new_tokens=30, do_sample=False, num_beams=2)[: len(found)]
        assert written[2] not in found[:-1]

    def test_the_beams_are_seen_while_they_are_weighed(self, monkeypatch):
        slow(monkeypatch)
        runs = list(text_tasks.generate_stream(PROMPT, 30, num_beams=3))
        seen = [run.result["beams"] for run in runs[:-1]]
        assert seen and all(len(beams) == 3 and beams[0].startswith(PROMPT) for beams in seen)

    def test_it_stops_with_the_best_text_so_far(self, monkeypatch):
        slow(monkeypatch)
        runs, begun = [], time.monotonic()
        for run in text_tasks.generate_stream(PROMPT, 50, num_beams=2, stop=lambda: len(runs) > 0):
            runs.append(run)
        assert 0 < len(runs[-1].result["tokens"]) < 50 and time.monotonic() - begun < 5

    def test_others_take_their_turns_and_nothing_goes_on_when_the_reader_has_gone(self, monkeypatch):
        slow(monkeypatch)
        stream, lock = text_tasks.generate_stream(PROMPT, 50, num_beams=2), loaded("generate").lock
        next(stream)
        assert lock.acquire(timeout=3)
        lock.release()
        stream.close()
        for _ in range(50):
            if not [each for each in threading.enumerate() if each.name == "beam-search"]:
                return
            time.sleep(0.1)
        raise AssertionError("the search goes on")


@pytest.mark.parametrize(
    "how",
    [
        {"seed": 8, "top_k": 12, "top_p": 0.9, "temperature": 1.3},
        {"temperature": 0, "repetition_penalty": 1.4},
        {"num_beams": 3},
        {"seed": 8, "begun": True},
        {"num_beams": 2, "begun": True},
    ],
)
def test_the_code_that_is_shown_writes_the_same_text(monkeypatch, how):
    pipe = loaded("generate").pipe
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: pipe.tokenizer)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pipe.model)
    asked = {"prompt": PROMPT, "max_new_tokens": 9, **how}
    if asked.pop("begun", None):
        tokens = text_tasks.generate(**asked).result["tokens"]
        asked["begun"] = generation.instead(tokens, 5, tokens[5]["alternatives"][2]["id"])
    written = list(text_tasks.generate_stream(**asked))[-1].result["text"]
    space = {}
    with redirect_stdout(io.StringIO()):
        exec(show_code("generate", asked | {"model": "owner/name"})["python"], space)
    assert space["result"].rstrip("\ufffd") == written


def slow(monkeypatch):
    model = loaded("generate").pipe.model
    forward = model.forward

    def slower(*arguments, **named):
        time.sleep(0.05)
        return forward(*arguments, **named)

    slower.__signature__ = inspect.signature(forward)  # generate() asks what the model takes
    monkeypatch.setattr(model, "forward", slower)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repetition_penalty", 0),
        ("repetition_penalty", 5.1),
        ("repetition_penalty", float("nan")),
        ("repetition_penalty", "1"),
        ("num_beams", 0),
        ("num_beams", 6),
        ("num_beams", 2.5),
        ("num_beams", None),
        ("num_beams", True),
    ],
)
def test_a_wrong_setting_is_named(name, value):
    with pytest.raises(VisitorError) as caught:
        text_tasks.generate(PROMPT, 2, **{name: value})
    assert caught.value.key == "bad_number" and caught.value.params["name"] == name
