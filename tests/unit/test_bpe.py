"""The incremental learner against the plain loop that counts everything anew at each merge."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.bpe import MARK, learn_bpe
from pipelines.errors import VisitorError


def plain(text: str, merges: int) -> tuple[list[list], list[int]]:
    words = [list(MARK + word) for word in text.split()]
    learned, lengths = [], [sum(map(len, words))]
    for _ in range(merges):
        counts = Counter(pair for word in words for pair in zip(word, word[1:], strict=False))
        if not counts or max(counts.values()) < 2:
            break
        (left, right), count = min(counts.items(), key=lambda item: (-item[1], item[0]))
        for index, word in enumerate(words):
            out, place = [], 0
            while place < len(word):
                both = word[place : place + 2] == [left, right]
                out.append(left + right if both else word[place])
                place += 1 + both
            words[index] = out
        learned.append([left, right, count])
        lengths.append(sum(map(len, words)))
    return learned, lengths


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab 가나각\n😀", min_size=1, max_size=120).filter(str.strip), st.integers(1, 40))
def test_learns_what_the_plain_loop_learns(text, merges):
    found = learn_bpe(text, merges)
    learned, lengths = plain(text, merges)
    assert found["merges"] == learned
    assert [step["n_tokens"] for step in found["steps"]] == lengths


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300).filter(str.strip))
def test_steps_always_spell_the_text_and_shrink(text):
    found = learn_bpe(text, 30)
    spelled = {"".join(step["tokens"]) for step in found["steps"]}
    assert len(spelled) == 1
    lengths = [step["n_tokens"] for step in found["steps"]]
    assert lengths == sorted(lengths, reverse=True)
    assert len(found["steps"]) == len(found["merges"]) + 1


def test_toy_example():
    found = learn_bpe("low lower lowest", 3)
    assert found["merges"] == [["l", "o", 3], ["lo", "w", 3], ["▁", "low", 3]]
    assert found["steps"][3]["tokens"] == ["▁low", "▁low", "e", "r", "▁low", "e", "s", "t"]
    assert [step["vocabulary"] for step in found["steps"]] == [8, 9, 10, 11]


def test_ends_when_nothing_repeats():
    assert learn_bpe("가나다라", 10)["merges"] == []


def test_only_the_beginning_is_replayed():
    found = learn_bpe("사과 바나나 " * 200, 5)
    assert len("".join(found["steps"][0]["tokens"])) <= 400
    assert found["steps"][0]["n_tokens"] == 200 * 7


MANY_SYLLABLES = "".join(map(chr, range(0xAC00, 0xC000)))


@pytest.mark.parametrize("text", ["나는 밥을 먹는다 " * 10_000, "ab" * 50_000, MANY_SYLLABLES * 19])
def test_100_000_characters_and_500_merges_stay_quick(text):
    start = time.process_time()
    learn_bpe(text[:100_000], 500)
    assert time.process_time() - start < 3


@pytest.mark.parametrize("merges", [0, -1, 1.5, float("nan"), "7", None, True, 10_001])
def test_refuses_wrong_numbers_of_merges(merges):
    with pytest.raises(VisitorError, match="bad_number"):
        learn_bpe("가나 가나", merges)


@pytest.mark.parametrize("text", ["", "  \n", None, 7])
def test_refuses_what_is_no_text(text):
    with pytest.raises(VisitorError):
        learn_bpe(text, 5)


def test_lone_surrogates_do_no_harm():
    assert "\ufffd" in "".join(learn_bpe("a\ud800b a\ud800b", 3)["steps"][0]["tokens"])
