"""How the Korean entities are learned: marks stay on their names whatever happens to the text."""

import random

import numpy as np
import pytest

from recipes._entity_text import TAG, TAGS, Marked, Swapper, coarse, ends_closed, part_of, spans, speech_of
from recipes._entity_tokenizer import Pieces, vocabulary

TEXT = "김경도는 서울에서 1545년 태어났다"
TAGGED = ("B-PS", "I-PS", "I-PS", "O", "O", "B-LC", "I-LC", "O", "O", "O", *("B-DT", *["I-DT"] * 4), *["O"] * 5)
WORDS = [(0, 3, "NNP-PS"), (3, 4, "J"), (5, 7, "NNP-LC"), (7, 9, "J"), (10, 14, "SN"), (14, 15, "NNBC"), (16, 20, "V")]


@pytest.fixture(scope="module")
def pieces():
    return Pieces(vocabulary([(TEXT, WORDS, 10), ("민수는 서울 사람", [(4, 6, "NNP-LC")], 10)], stems=1))


@pytest.fixture
def sentence():
    return Marked(TEXT, TAGGED, speech_of(TEXT, WORDS))


def test_spans_are_what_the_tags_say():
    assert spans(TAGGED) == [(0, 3, "PS"), (5, 7, "LC"), (10, 15, "DT")]
    assert spans(["B-PS", "B-PS", "O"]) == [(0, 1, "PS"), (1, 2, "PS")]


def test_pieces_begin_and_end_where_names_do(pieces):
    encoding = pieces.whole.encode(TEXT, add_special_tokens=False)
    assert encoding.tokens[:7] == ["김", "##경", "##도", "##는", "서울", "##에", "##서"]
    assert encoding.tokens[7:12] == ["0", "##0", "##0", "##0", "##년"]
    starts, ends = {a for a, _ in encoding.offsets}, {b for _, b in encoding.offsets}
    assert all(start in starts and end in ends for start, end, _ in spans(TAGGED))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_spelt_words_cover_the_same_text(pieces, share):
    ((ids, starts),) = pieces.encode([TEXT], share, np.random.default_rng(0))
    assert len(ids) == len(starts) and list(starts) == sorted(set(starts))
    tokens = [pieces.vocabulary[i] for i in ids]
    assert ("서울" in tokens) == (share == 0.0) or share == 0.5
    assert "".join(token.removeprefix("##") for token in tokens) == "김경도는서울에서0000년태어났다"


def test_swapped_names_keep_their_marks(sentence):
    other = Marked("박민수와 부산", ("B-PS", "I-PS", "I-PS", "O", "O", "B-LC", "I-LC"), np.zeros(7, dtype=np.int64))
    swap = Swapper([sentence, other], [("이영애 이영애", [(0, 3, "NNP-PS"), (4, 7, "NNP-PS")])])
    seen = set()
    for seed in range(30):
        text, tags, speech = swap(sentence, 1.0, random.Random(seed))
        assert len(text) == len(tags) == len(speech)
        marked = [(text[start:end], kind) for start, end, kind in spans([TAGS[tag] for tag in tags])]
        assert [kind for _, kind in marked] == ["PS", "LC", "DT"] and marked[2][0] == "1545년"
        assert text == f"{marked[0][0]}는 {marked[1][0]}에서 1545년 태어났다"
        seen |= {marked[0][0], marked[1][0]}
    assert seen == {"김경도", "박민수", "이영애", "서울", "부산"}


def test_without_swaps_a_sentence_stays_as_it_is(sentence):
    text, tags, speech = Swapper([sentence], [])(sentence, 0.0, random.Random(0))
    assert text == TEXT and tags.tolist() == [TAG[tag] for tag in TAGGED] and (speech == sentence.speech).all()


def test_the_dictionary_tells_persons_from_places():
    assert [coarse("NNP", "인명"), coarse("NNP", "지명"), coarse("NNP", None)] == ["NNP-PS", "NNP-LC", "NNP"]
    assert [coarse("VV+EP", None), coarse("JKS", None), coarse("SF", None), coarse("UNKNOWN", None)] == list("VJS") + [
        "NNG"
    ]
    assert ends_closed("서울") is True and ends_closed("부산시") is False and ends_closed("MBC") is None


def test_a_text_is_always_in_the_same_part():
    assert [part_of(TEXT)] * 3 == [part_of(TEXT) for _ in range(3)]
    parts = [part_of(f"문장 {i}") for i in range(2000)]
    assert 0.1 < parts.count("test") / 2000 < 0.15 and 0.1 < parts.count("dev") / 2000 < 0.15


def test_pieces_are_joined_and_measured_as_whole_entities():
    entities_ko = pytest.importorskip("recipes.entities_ko")
    assert entities_ko.joined(["B-PS", "I-PS", "O", "I-LC"], [(0, 1), (1, 3), (3, 4), (5, 7)]) == [
        (0, 3, "PS"),
        (5, 7, "LC"),
    ]
    offsets = [(0, 1), (1, 2), (3, 4)]
    assert entities_ko.settled(["B-PS", "I-OG", "I-OG"], offsets, "가나 다") == ["B-PS", "I-PS", "I-OG"]
    assert entities_ko.settled(["O", "I-OG", "B-OG"], offsets, "가나 다") == ["O", "O", "B-OG"]
    measured = entities_ko.f1([[(0, 3, "PS"), (5, 7, "LC")], []], [[(0, 3, "PS"), (5, 6, "LC")], [(0, 1, "QT")]])
    assert measured == {"f1": 0.4, "precision": 0.3333, "recall": 0.5, "n": 2}
    assert entities_ko.f1([[(0, 3, "PS")]], [[(0, 3, "PS"), (4, 5, "LC")]], "PS")["f1"] == 1.0
