from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.jamo import byte_level, byte_level_token, byte_owners, clusters, letters


@pytest.mark.parametrize(
    ("syllable", "expected"),
    [("한", "ㅎㅏㄴ"), ("가", "ㄱㅏ"), ("힣", "ㅎㅣㅎ"), ("뷁", "ㅂㅞㄺ"), ("쌍", "ㅆㅏㅇ"), ("a", ""), ("漢", "")],
)
def test_letters_of_a_syllable(syllable, expected):
    assert letters(syllable) == list(expected)
    assert letters(unicodedata.normalize("NFD", syllable)) == list(expected)


def test_every_syllable_has_two_or_three_letters():
    for code in range(0xAC00, 0xD7A4):
        assert len(letters(chr(code))) == 2 + ((code - 0xAC00) % 28 > 0)


@given(st.text(alphabet=st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), max_size=30))
def test_decomposed_syllables_are_one_cluster_each(text):
    assert len(clusters(unicodedata.normalize("NFD", text))) == len(text)
    assert clusters(text) == list(text)


@given(st.text())
def test_clusters_lose_nothing(text):
    assert "".join(clusters(text)) == text


def test_joined_emoji_and_marks_are_one_cluster():
    assert clusters("👨‍👩‍👧a\u0301👍🏽") == ["👨‍👩‍👧", "a\u0301", "👍🏽"]


def test_a_split_syllable_shows_which_token_holds_which_byte():
    (entry,) = byte_owners("한", [0, 0, 1])
    assert entry["bytes"] == [["ED", 0], ["95", 0], ["9C", 1]]
    assert entry["split"] and entry["codepoints"] == ["U+D55C"] and entry["letters"] == ["ㅎ", "ㅏ", "ㄴ"]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_byte_level_spelling_is_its_own_inverse(text):
    assert byte_level(byte_level_token(text)).decode("utf-8") == text


def test_byte_level_spelling_is_the_librarys():
    from tokenizers.pre_tokenizers import ByteLevel

    assert {byte_level(character) for character in ByteLevel.alphabet()} == {bytes([byte]) for byte in range(256)}
    ((spelled, _),) = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str("한글 \n\u00ad~é😀")
    assert spelled == byte_level_token("한글 \n\u00ad~é😀")
