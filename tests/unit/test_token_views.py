"""Tokens as HTML: nothing that was typed becomes markup, neighbours differ in hue, and what is not drawn is counted."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabs import _token_tools as tools
from tabs import _tokens

ATTACK = '<img src=x onerror="alert(1)">\'${1+1}{{x}}</span>'
TAG = re.compile(r"<[^>]*>")


def entry(tokens: list[str], special: tuple[int, ...] = ()) -> dict:
    places = range(len(tokens))
    return {
        "tokens": tokens,
        "ids": list(places),
        "offsets": [[i, i + 1] for i in places],
        "attention_mask": [1] * len(tokens),
        "token_type_ids": [0] * len(tokens),
        "special_mask": [int(i in special) for i in places],
        "n_unknown": 0,
    }


def words(markup: str) -> str:
    return html.unescape(TAG.sub("", markup))


@given(st.text(max_size=40))
def test_what_a_token_spells_is_never_markup(text):
    assert not re.search(r"<(?!/?i\b)", _tokens.spelled(text))
    assert "<script" not in _tokens.chip(text, 1, text, 0)


@given(st.binary(max_size=8))
def test_any_bytes_can_be_shown(raw):
    shown = _tokens.spelled(raw)
    assert "\udc80" not in shown
    shown.encode("utf-8")


def test_white_space_bytes_and_word_pieces_are_visible():
    assert words(_tokens.spelled(" 안\n")) == "␣안↵"
    assert words(_tokens.spelled("안".encode() + b"\xeb")) == "안EB"
    assert words(_tokens.spelled("##s")) == "##s"
    # A lone vowel of decomposed Hangul is shown as the letter that a reader knows.
    assert words(_tokens.spelled("##\u1161")) == "##ㅏ"
    assert _tokens.spelled("\u1112\u1161\u11ab") == "\u1112\u1161\u11ab"


def test_neighbours_never_share_a_hue_and_special_tokens_have_none():
    tokens = ["[CLS]", *"abcdefghijklmnop", "[UNK]", "q", "[SEP]"]
    markup = _tokens.chips(entry(tokens, special=(0, 19)), tokens, "[UNK]", "en")
    hues = [int(hue) for hue in re.findall(r"mc-hue-(\d)", markup)]
    assert len(hues) == 17 and all(a != b for a, b in zip(hues, hues[1:], strict=False))
    assert markup.count("tk-special") == 2 and markup.count("tk-unk") == 1


def test_id_and_token_stand_in_the_title():
    markup = _tokens.chips(entry(["Ġhi"]), [" hi"], None, "en")
    assert 'data-id="0"' in markup and "Ġhi" in markup and "id 0" in markup


def test_many_tokens_are_counted_but_not_drawn():
    tokens = ["a"] * 5_000
    markup = _tokens.chips(entry(tokens), tokens, None, "en", most=100)
    assert markup.count('class="tk ') == 100 and "4,900" in markup


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_nothing_typed_becomes_markup_in_any_view(lang):
    one = entry([ATTACK, "b"])
    pieces = [ATTACK, "b"]
    found = {"id": 1, "token": ATTACK, "text": ATTACK, "special": False}
    byte_view = {
        "tokens": [{"token": ATTACK, "id": 1}],
        "characters": [{"char": "<", "letters": [], "codepoints": ["U+003C"], "bytes": [["3C", 0]], "split": False}],
        "changed": True,
    }
    trip = {"text": "a", "decoded": ATTACK, "equal": False, "first_difference": 0, "reasons": ["lower", "unknown"]}
    chat = {"text": ATTACK, "tokens": [ATTACK], "ids": [1], "offsets": [[0, 1]], "roles": ["user"]}
    step = {"tokens": [ATTACK], "n_tokens": 2, "vocabulary": 2}
    cost = {"ko": 2, "en": 1, "ko_unknown": 1, "en_unknown": 0, "ratio": 2.0}
    cost["rows"] = [{"ko": ATTACK, "en": ATTACK, "ko_tokens": 2, "en_tokens": 1}]
    views = [
        _tokens.card(ATTACK, _tokens.chips(one, pieces, None, lang)),
        _tokens.problem(ATTACK, ATTACK),
        _tokens.figures(one, 5, 2, (2.0, 0.5), lang),
        tools.matrix([one], [pieces], lang),
        tools.byte_table(byte_view, lang),
        tools.trip(trip, lang),
        tools.trip(trip | {"decoded": ATTACK * 20}, lang),
        tools.found({"size": 2, "entry": found, "pieces": [], "matches": [found], "n_matches": 9}, ATTACK, lang),
        tools.found({"size": 2, "entry": None, "pieces": [found], "matches": [], "n_matches": 0}, ATTACK, lang),
        tools.conversation(chat, [ATTACK], lang),
        tools.replay({"merges": [[ATTACK, "b", 2]], "steps": [step, step]}, 500, lang),
        tools.costs({ATTACK: cost}, {ATTACK: cost}, lang),
        tools.level(ATTACK, one, pieces, lang),
    ]
    for view in views:
        assert "<img" not in view
        assert 'onerror="' not in view.replace("&quot;", "")


def test_the_matrix_greys_padding_and_cuts_what_is_too_wide():
    short, long = entry(["a", "[PAD]"]), entry(["a"] * 100)
    short["attention_mask"], short["special_mask"] = [1, 0], [0, 1]
    markup = tools.matrix([short], [["a", "[PAD]"]], "en")
    assert markup.count("tk-pad") == 3 and "(1, 2)" in markup
    assert tools.matrix([long] * 20, [["a"] * 48] * 12, "en").count("<tr>") == 12 * 3
    assert "token_type_ids" in tools.matrix([long | {"token_type_ids": None}], [["a"] * 48], "en")


def test_stable_hues_differ_between_neighbours():
    hue = _tokens.stable_hue("가", None)
    assert _tokens.stable_hue("가", hue) != hue and _tokens.stable_hue("가", None) == hue
