"""Word importance on a tiny classifier whose answer is known: it counts "good" and "bad"."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from pipelines import importance
from pipelines.batching import Gathering
from pipelines.errors import VisitorError

WORDS = ["[PAD]", "[UNK]", "good", "bad", "film", "a"]


def _pipe():
    """A pipeline-shaped object: logits are (bad count, good count) read off the embeddings, times 2."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]")

    class Counter(torch.nn.Module):
        device = torch.device("cpu")
        config = SimpleNamespace(
            id2label={0: "NEG", 1: "POS"},
            num_labels=2,
            problem_type=None,
            max_position_embeddings=512,
            model_type="counter",
        )

        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(len(WORDS), 2)
            self.embed.weight.data = torch.tensor([[0, 0], [0, 0], [0, 1], [1, 0], [0, 0], [0, 0]]).float()

        def get_input_embeddings(self):
            return self.embed

        def forward(self, input_ids, **_):
            vectors = self.embed(input_ids)
            return SimpleNamespace(logits=2 * vectors.sum(1), hidden_states=(vectors,))

    return SimpleNamespace(model=Counter(), tokenizer=tokenizer, device=torch.device("cpu"))


def _using(pipe):
    @contextmanager
    def fake(model, task):
        assert task == "sentiment"
        together = {"lock": threading.RLock(), "gathering": Gathering()}
        yield SimpleNamespace(id=model, card=None, pipe=pipe, device="cpu", **together)

    return fake


@pytest.fixture(scope="module")
def use():
    return _using(_pipe())


def weights(run):
    return {word["word"]: word["weight"] for word in run.result["words"]}


@pytest.mark.parametrize("method", importance.METHODS)
def test_the_word_that_decides_weighs_most_and_its_opponent_against(use, method):
    run = importance.explain("a good good film bad", "x/m", method, use=use)
    assert run.result["label"] == "POS"
    found = weights(run)
    assert found["good"] > 0 > found["bad"]
    assert found["film"] == pytest.approx(0, abs=1e-6)
    assert run.method == f"method.{method}"


def test_leave_one_out_is_a_difference_of_probabilities(use):
    run = importance.explain("good film", "x/m", use=use)
    assert run.result["unit"] == "probability"
    assert weights(run)["good"] == pytest.approx(run.result["score"] - 0.5, abs=1e-6)


def test_gradients_are_in_log_odds(use):
    run = importance.explain("good good", "x/m", "gradient", use=use)
    assert run.result["unit"] == "log_odds"
    assert [word["weight"] for word in run.result["words"]] == pytest.approx([2.0, 2.0])


def test_another_class_can_be_asked_for(use):
    run = importance.explain("good film", "x/m", label="NEG", use=use)
    assert run.result["label"] == "NEG"
    assert weights(run)["good"] < 0


def test_words_stand_where_they_stand_in_the_text(use):
    text = "  good\tfilm   bad "
    words = importance.explain(text, "x/m", use=use).result["words"]
    assert [text[word["start"] : word["end"]] for word in words] == ["good", "film", "bad"]
    assert [word["word"] for word in words] == ["good", "film", "bad"]


def test_a_long_text_is_explained_to_its_sixtieth_word_and_says_so(use):
    run = importance.explain("film " * 100, "x/m", "gradient", use=use)
    assert len(run.result["words"]) == 60
    assert run.note == "note.first_words"
    assert importance.explain("good film ", "x/m", use=use).note is None


def test_one_endless_word_is_cut(use):
    run = importance.explain("good" * 1000, "x/m", use=use)
    assert len(run.result["words"][0]["word"]) == importance.MAX_CHARS


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("", "x/m"), "empty_text"),
        (("good", "x/m", "magic"), "bad_choice"),
        (("good", "x/m", "gradient", "MAYBE"), "bad_choice"),
    ],
)
def test_bad_input_is_one_clear_error(use, arguments, key):
    with pytest.raises(VisitorError) as caught:
        importance.explain(*arguments, use=use)
    assert caught.value.key == key


@pytest.mark.parametrize(("i", "left"), [(0, "b c"), (1, "a c"), (2, "a b")])
def test_leaving_out_a_word_leaves_no_double_space(i, left):
    text = "a b c"
    _, words = importance._first_words(text)
    assert importance._without(text, words, i) == left


@pytest.mark.parametrize("name", ["Bert", "Electra", "DistilBert", "DebertaV2"])
def test_gradients_reach_the_words_of_every_architecture_of_the_course_frozen_or_not(name):
    import torch
    import transformers

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    if name == "DistilBert":
        sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16}
    if name == "DebertaV2":
        sizes |= {"relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]}
    config = getattr(transformers, f"{name}Config")(vocab_size=len(WORDS), num_labels=3, initializer_range=0.5, **sizes)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval().requires_grad_(False)
    pipe = SimpleNamespace(model=model, tokenizer=_pipe().tokenizer, device=model.device)
    run = importance.explain("good film bad", "x/m", "gradient", use=_using(pipe))
    assert all(abs(word["weight"]) > 1e-4 for word in run.result["words"])
