"""How English sentiment is taught: new texts out of old ones, and a teacher whose lower layers are read only once."""

import io
import random
import tarfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from recipes import _english_found as found
from recipes import _english_teacher as teaching
from recipes import sentiment_en as recipe
from recipes._english_adapter import halfway
from recipes._english_pieces import Swap, bare, clauses, invented, told, tweets

SENTENCES = ["a dull film , but it looks wonderful", "the cast is charming and the jokes are tiresome"]
EVERYDAY = ["The soup was cold.", "My neighbour is lovely, and she helps me."]


def test_sentences_are_cut_at_marks_and_conjunctions():
    assert clauses(SENTENCES[0]) == ["a dull film", "but it looks wonderful"]
    assert clauses(SENTENCES[1]) == ["the cast is charming", "and the jokes are tiresome"]
    assert bare("but it looks wonderful") == "it looks wonderful"
    assert bare("but") == "but"


def test_opinion_words_change_places_with_words_of_the_same_ending():
    swap, chance = Swap(["dull", "wonderful"], ["graceful", "tiresome", "handful"]), random.Random(0)
    changed = {swap("it looks wonderful", chance) for _ in range(30)}
    assert changed == {"it looks wonderful", "it looks graceful", "it looks handful"}
    assert swap("it is here", chance) == "it is here"


def test_invented_texts_are_new_and_as_many_as_wanted():
    swap = Swap(["dull", "cold", "lovely", "bad", "slow", "great"], ["charming", "boring", "amazing", "annoying"])
    texts = invented(SENTENCES, EVERYDAY, swap, (6, 3, 8, 3))
    assert len(texts) == len(set(texts)) == 20
    assert not set(texts) & {*SENTENCES, *EVERYDAY}
    assert texts == invented(SENTENCES, EVERYDAY, swap, (6, 3, 8, 3))


def test_found_texts_have_an_opinion_and_no_address(tmp_path):
    file = tmp_path / "tweets.conll"
    rows = ["I\tO\nlove\tO\nit\tO", "It\tO\nrains\tO", "love\tO\nhttp://a.b\tO"]
    file.write_text("\n\t\n".join(rows), encoding="utf-8")
    assert tweets(file, {"love"}, 1) == ["I love it"]
    story = "He went away. She was happy to see the sea again. They ate their bread and butter at noon."
    assert told(story, {"happy"}, 1) == ["She was happy to see the sea again."]


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    """A teacher of four layers of width 12, the lower two of which are kept."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import MPNetConfig, MPNetModel, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate("<s> <pad> </s> [UNK] good bad the film is".split())}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="[UNK]").save_pretrained(tmp_path)
    sizes = {"hidden_size": 12, "num_attention_heads": 2, "intermediate_size": 24, "num_hidden_layers": 4}
    torch.manual_seed(0)
    MPNetModel(MPNetConfig(vocab_size=9, max_position_embeddings=40, **sizes)).save_pretrained(tmp_path)
    monkeypatch.setattr(teaching, "KEPT", 2)
    monkeypatch.setattr(teaching, "WIDTH", 12)
    monkeypatch.setattr(teaching, "UPPER", r"encoder\.layer\.(2|3)\..*\b(q|k|v|o|dense)")
    made = teaching.Teacher(tmp_path)
    made.autocast = torch.autocast("cpu", enabled=False)
    return made


TEXTS = ["the film is good", "bad", "the film is bad", "good film"]


def test_the_teacher_reads_as_the_whole_model_does(teacher):
    states, mask = teacher.lower(teacher.rows(TEXTS))
    inputs = teacher.tokenizer.pad({"input_ids": teacher.rows(TEXTS)}, return_tensors="pt")
    whole = teacher.body.eval()(**inputs).last_hidden_state
    torch.testing.assert_close(teacher.layers(states, mask, 2, 4)[mask.bool()], whole[mask.bool()])


def test_the_teacher_learns_from_its_memory_and_judges_new_texts(teacher, tmp_path, monkeypatch):
    bold = teaching.Averaged
    monkeypatch.setattr(teaching, "Averaged", lambda model, *_, path: bold(model, 0.02, 0.05, 0.6, path))
    labels = np.array([1, 0, 0, 1] * 10)
    memory = teaching.Memory(teacher, TEXTS * 10, tmp_path / "memory.npy")
    teaching.train(teacher, memory, labels, np.arange(40) >= 36, tmp_path, passes=60)
    assert (teaching.answers(teacher, memory, np.arange(36, 40)).argmax(1) == labels[36:]).all()
    teaching.ask(teacher, ["good", "the film is bad"], tmp_path / "asked.npy")
    logits, means = teaching.told(tmp_path / "asked.npy")
    assert logits.argmax(1).tolist() == [1, 0]
    assert means.shape == (2, 12)


def test_an_interrupted_judgement_goes_on(teacher, tmp_path):
    teaching.ask(teacher, TEXTS[:2], tmp_path / "asked.npy")
    first = teaching.told(tmp_path / "asked.npy")[0]
    teaching.ask(teacher, TEXTS, tmp_path / "asked.npy")
    both = teaching.told(tmp_path / "asked.npy")[0]
    assert len(both) == 4
    assert (both[:2] == first).all()


def test_found_sentences_leave_out_films_addresses_and_repeats(tmp_path):
    lines = {
        "amazonReviewSnippets": "1_1\t2.1\tIt works &amp; looks great .\n1_2\t0\tToo short\n",
        "movieReviewSnippets": "1\t-3.0\ta dull film that never ends\n",
        "nytEditorialSnippets": "1_1\t0.4\tSee http://a.example for all of it\n",
        "tweets": "1\t2.0\tIt works &amp; looks great.\n2\t-1.5\twhat an awful day\n",
    }
    with tarfile.open(tmp_path / "found.tar.gz", "w:gz") as archive:
        for source, text in lines.items():
            entry = tarfile.TarInfo(f"hutto_ICWSM_2014/{source}_GroundTruth.txt")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    assert found.sentences(tmp_path / "found.tar.gz") == ["It works & looks great.", "what an awful day"]


def test_meanings_are_a_word_with_its_meaning_or_an_example(tmp_path):
    entry = '00001740 00 a 01 soft_hearted(p) 0 000 | easily moved; "a soft-hearted judge"; "soft"; not hard  \n'
    for kind in ("adj", "adv", "verb", "noun"):
        (tmp_path / f"data.{kind}").write_text("  1 This software\n" + entry * (kind == "adj") * 20)
    assert set(found.meanings(tmp_path)) == {"a soft-hearted judge", "soft hearted: easily moved"}


def test_a_round_takes_some_of_the_new_texts_with_what_the_teacher_said_of_them():
    wanted = torch.arange(2 + 1 + 10).float()[:, None].repeat(1, 2)
    means = np.random.default_rng(0).normal(size=(10, 12)).astype(np.float32)
    whole = recipe.Lessons([("a", 0), ("b", 1)], [("c", 1)], [str(i) for i in range(10)], 4, wanted, means)
    some = whole.some(recipe.Settings(made=2, found=5, places=3))
    assert len(some.new) == 7 and some.made == 2 and some.meanings.shape == (7, 3)
    assert all(int(text) < 4 for text in some.new[:2]) and all(int(text) >= 4 for text in some.new[2:])
    assert [int(row[0]) for row in some.wanted[:3]] == [0, 1, 2]
    assert [int(row[0]) - 3 for row in some.wanted[3:]] == [int(text) for text in some.new]
    assert some.new != whole.some(recipe.Settings(made=2, found=5, places=3, seed=1)).new


def test_halfway_is_the_mean_of_every_number(tmp_path):
    for name, value in (("before", 1.0), ("after", 3.0)):
        (tmp_path / name).mkdir()
        save_file({"lora_A": torch.full((2, 2), value)}, tmp_path / name / "adapter_model.safetensors")
        (tmp_path / name / "config.json").write_text(name)
    folder = halfway(tmp_path / "before", tmp_path / "after", tmp_path / "mean")
    assert torch.equal(load_file(folder / "adapter_model.safetensors")["lora_A"], torch.full((2, 2), 2.0).half())
    assert (folder / "config.json").read_text() == "after"
