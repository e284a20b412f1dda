"""Sentence vectors: the mean over real tokens, and what is chosen by them; sentences and keywords in two languages."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import embeddings, rewriting, text_tasks
from pipelines.errors import VisitorError
from pipelines.run import Stopwatch
from tests.unit.tiny_models import install, loaded

STORY = "The cat sat on a mat. The dog sat on the mat. Anna lives in Seoul! 나는 서울에 산다. 영화 정말 재미있다."


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    torch.set_num_threads(1)
    text_tasks.MEMO.clear()
    install(monkeypatch, **{task: loaded("similarity") for task in ("similarity", "keywords", "summarize")})


def test_a_vector_is_the_normalised_mean_of_the_hidden_states():
    model = loaded("similarity")
    texts = ["the cat", "the dog sat on a mat in Seoul"]
    with torch.inference_mode():
        vectors, cut = embeddings.embed(model, texts, Stopwatch())
    for text, vector in zip(texts, vectors, strict=True):
        with torch.inference_mode():
            mean = model.pipe.model(**model.pipe.tokenizer(text, return_tensors="pt"))[0][0].mean(dim=0)
        assert vector == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)
    assert not cut


def test_similarity_is_symmetric_with_ones_on_its_diagonal():
    result = text_tasks.similarity("the cat\n\nthe dog\nAnna").result
    matrix = np.array(result["matrix"])
    assert result["embeddings_shape"] == [3, 16]
    assert np.allclose(matrix, matrix.T, atol=1e-5) and np.allclose(matrix.diagonal(), 1, atol=1e-5)
    assert np.abs(matrix).max() <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith paid $3.50 to J. Kim. He left.", ["Dr. Smith paid $3.50 to J. Kim.", "He left."]),
        ("좋은 날이다. 비가 온다.", ["좋은 날이다.", "비가 온다."]),
        ("좋았다.그래서 갔다.", ["좋았다.", "그래서 갔다."]),
        ('그는 "가자!"라고 했다. 갔다.', ['그는 "가자!"라고 했다.', "갔다."]),
        ("今日は雨。明日は?", ["今日は雨。", "明日は?"]),
        ("A line\nanother line\n...\n", ["A line", "another line"]),
        ("no end", ["no end"]),
        ("  …  ", []),
    ],
)
def test_sentences_in_two_languages(text, expected):
    assert embeddings.sentences(text) == expected


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_sentences_lose_nothing_but_white_space_and_signs(text):
    pieces = "".join(embeddings.sentences(text))
    letters = [char for char in text if char.isalnum()]
    assert [char for char in pieces if char.isalnum()] == letters


def test_candidates_are_words_without_particles_and_stop_words():
    found = embeddings.candidates("서울에서 만난 사람들은 학교를 좋아한다. The school of magic is old; 2024 schools.")
    assert {"서울", "사람들", "학교"} <= set(found)
    assert {"school", "magic"} <= set(found)
    assert not {"The", "of", "2024", "magic old", "학교를"} & set(found)


def test_the_centre_of_alike_sentences_ranks_first():
    vectors = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    rank = embeddings.lexrank(vectors)
    assert rank.argmax() == 1 and rank.argmin() == 3
    assert rank.sum() == pytest.approx(1)


def test_what_was_said_is_not_chosen_again():
    vectors = np.array([[1, 0], [0.999, 0.04], [0, 1]], dtype=np.float32)
    assert embeddings.mmr(np.array([0.9, 0.89, 0.6]), vectors, 2) == [0, 2]
    assert len(embeddings.mmr(np.array([0.9, 0.89, 0.6]), vectors, 9)) == 3


def test_a_summary_is_sentences_of_the_text_in_their_order():
    run = text_tasks.summarize(STORY, max_sentences=2)
    pieces = embeddings.sentences(STORY)
    chosen = [piece for piece in pieces if piece in run.result["summary"]]
    assert run.result == {"summary": " ".join(chosen), "method": "lexrank"} and len(chosen) == 2
    assert run.method == "method.lexrank"
    assert text_tasks.summarize("one piece", max_sentences=3).result["summary"] == "one piece"


def test_max_length_shortens_a_summary_but_leaves_a_sentence():
    long = text_tasks.summarize(STORY, max_sentences=4).result["summary"]
    short = text_tasks.summarize(STORY, max_sentences=4, max_length=12).result["summary"]
    assert 0 < len(short) < len(long)


def test_keywords_are_of_the_text_and_best_first():
    found = text_tasks.keywords(STORY, 4).result
    assert len(found) == 4 and [set(each) for each in found] == [{"keyword", "score"}] * 4
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    assert {each["keyword"] for each in found} <= set(embeddings.candidates(STORY))
    with pytest.raises(VisitorError, match="no_keywords"):
        text_tasks.keywords("the of 12 3")


def test_seq2seq_models_write_summaries_and_translations(monkeypatch):
    install(monkeypatch, summarize=loaded("summarize"), translate=loaded("translate"))
    run = text_tasks.summarize(STORY, max_length=6)
    assert run.method == "method.seq2seq" and run.result["method"] == "seq2seq"
    assert set(run.timing) == {"tokenize", "model", "postprocess"}
    assert set(text_tasks.translate("the cat").result) == {"translation"}
    assert text_tasks.summarize(STORY * 9, max_length=6).note == "note.truncated"


def test_t5_translates_by_its_own_prefix():
    class Config:
        task_specific_params = {
            "translation_en_to_ro": {"prefix": "to Romanian: "},
            "translation_en_to_de": {"prefix": "to German: ", "max_length": 300},
        }

    assert rewriting.direction(Config) == ("to German: ", {"max_length": 300})
    assert rewriting.direction(object()) == ("", {})
    assert "prefix" in Config.task_specific_params["translation_en_to_de"]


@pytest.mark.parametrize(
    ("codes", "text", "expected"),
    [
        (["kor_Hang", "eng_Latn"], "안녕", {"src_lang": "kor_Hang", "tgt_lang": "eng_Latn"}),
        (["__ko__", "__en__"], "hello", {"src_lang": "en", "tgt_lang": "ko"}),
        (["fr_XX"], "hello", {}),
    ],
)
def test_a_tokenizer_of_many_languages_is_told_which(codes, text, expected):
    class Tokenizer:
        all_special_tokens = codes

        def _build_translation_inputs(self):
            """Its presence marks the kind."""

    assert rewriting.languages(Tokenizer(), text) == expected
    assert rewriting.languages(object(), text) == {}
