"""What the tab and the API say about tokens is what `AutoTokenizer` itself says, for each kind of tokenizer."""

from __future__ import annotations

import copy
import json
import threading
import time
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import loading
from pipelines.errors import VisitorError
from pipelines.tokenizer import cost, parallel, tokenize
from pipelines.vocabulary import byte_view, chat_view, lookup, pieces, round_trip
from tests.unit.tokenizer_kinds import make_all

KINDS = ("bert-uncased", "electra", "gpt2", "llama", "marian", "qwen", "t5", "xlm-r")
SIMPLE = ("builtin/words", "builtin/characters", "builtin/bytes")
HARD = [
    "안녕하세요, 만나서 반가워요.",
    unicodedata.normalize("NFD", "안녕 한글 뷁"),
    "👨‍👩‍👧 👍🏽 🇰🇷 ❤️",
    "مرحبا بالعالم שלום",
    "a\ud800b",
    "[CLS] typed [UNK] <|im_start|> </s> <unk>",
    "Ünïcödé Café ﬁ ① ㅋㅋㅋ",
    "  두  칸\t탭\n\n줄 ",
    "▁Ġ##",
]
quiet = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_all(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture
def here(made, monkeypatch):
    """Serve the small tokenizers in place of the real ones."""
    monkeypatch.setattr(loading, "tokenizer", made.__getitem__)
    return made


def plain(tok, text):
    return tok([t.replace("\ud800", "\ufffd") for t in ([text] if isinstance(text, str) else text)], verbose=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"add_special_tokens": False}, {"truncation": True, "max_length": 6}])
def test_is_exactly_the_tokenizer(here, kind, options):
    tok, clean = here[kind], [text.replace("\ud800", "\ufffd") for text in HARD]
    expected = tok(clean, return_special_tokens_mask=True, return_offsets_mapping=tok.is_fast, **options)
    for row, entry in enumerate(tokenize(HARD, [kind], **options).result[kind]):
        assert entry["ids"] == expected["input_ids"][row]
        assert entry["tokens"] == tok.convert_ids_to_tokens(expected["input_ids"][row])
        assert entry["attention_mask"] == expected["attention_mask"][row]
        assert entry["special_mask"] == expected["special_tokens_mask"][row]
        assert entry["token_type_ids"] == (expected["token_type_ids"][row] if "token_type_ids" in expected else None)
        offsets = [list(pair) for pair in expected["offset_mapping"][row]] if tok.is_fast else None
        assert entry["offsets"] == offsets


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("gpt2", "llama")])
@pytest.mark.parametrize(
    "options",
    [
        {"padding": True},
        {"padding": "longest", "truncation": True, "max_length": 5},
        {"padding": "max_length", "max_length": 40},
        {"padding": "max_length", "max_length": 9, "truncation": True},
        {"padding": "do_not_pad"},
    ],
)
def test_pads_as_the_tokenizer_does(here, kind, options):
    texts = ["짧아요", "이 영화 정말 재미있었어요. 배우들의 연기가 훌륭하고", ""]
    expected = here[kind](texts, **options)
    entries = tokenize(texts, [kind], **options).result[kind]
    assert [entry["ids"] for entry in entries] == expected["input_ids"]
    assert [entry["attention_mask"] for entry in entries] == expected["attention_mask"]


@quiet
@given(text=st.text(max_size=80).filter(str.strip), kind=st.sampled_from(KINDS))
def test_any_text_any_kind(made, text, kind):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "tokenizer", made.__getitem__)
        (entry,) = tokenize(text, kind).result[kind]
        json.dumps(entry)
        assert entry["ids"] == plain(made[kind], text)["input_ids"][0]
        assert len({len(v) for v in entry.values() if isinstance(v, list)}) == 1
        spelled = pieces(kind, entry["tokens"])
        assert len(spelled) == len(entry["tokens"])
        assert round_trip(kind, text)["equal"] == (round_trip(kind, text)["decoded"] == text)
        view = byte_view(kind, text)
        tokens = {owner for row in view["characters"] for _, owner in row["bytes"] if owner is not None}
        assert tokens <= set(range(len(view["tokens"])))


@quiet
@given(text=st.text(max_size=60).filter(str.strip), name=st.sampled_from(SIMPLE))
def test_simple_tokenizers_cover_the_text(text, name):
    (entry,) = tokenize(text, [name]).result[name]
    assert all(0 <= start < end <= len(text) for start, end in entry["offsets"])
    if name == "builtin/bytes":
        assert bytes(entry["ids"]) == text.encode("utf-8")
    else:
        assert [text[start:end] for start, end in entry["offsets"]] == entry["tokens"]
        assert "".join("".join(entry["tokens"]).split()) == "".join(text.split())
        assert set(entry["ids"]) == set(range(1, len(set(entry["tokens"])) + 1))


def test_words_and_characters_are_numbered_by_frequency():
    result = tokenize(["나는 밥을, 나는 국을", "밥"], list(SIMPLE), padding=True).result
    words = result["builtin/words"]
    assert words[0]["tokens"] == ["나는", "밥을", ",", "나는", "국을"]
    assert words[0]["ids"] == [1, 2, 3, 1, 4]
    assert words[1]["tokens"] == ["밥", *["[PAD]"] * 4] and words[1]["attention_mask"] == [1, 0, 0, 0, 0]
    assert result["builtin/bytes"][1]["ids"][:3] == list("밥".encode())
    assert result["builtin/bytes"][1]["ids"][3:] == [256] * (len("나는 밥을, 나는 국을".encode()) - 3)


def test_unknown_tokens_are_counted(here):
    def unknown(kind, text):
        return tokenize(text, kind, add_special_tokens=True).result[kind][0]["n_unknown"]

    assert unknown("electra", "뷁 좋아요 😀") == 2
    assert unknown("t5", "뷁") == 1
    assert unknown("gpt2", "뷁😀") == unknown("llama", "뷁😀") == unknown("qwen", "뷁😀") == 0
    # GPT-2 calls its end-of-text token the unknown one.
    assert unknown("gpt2", "<|endoftext|>") == 0
    assert tokenize(["뷁", "a b c d"], "electra", padding=True).result["electra"][0]["n_unknown"] == 1


def test_100_000_characters(here):
    text = ("이 영화 정말 재미있었어요. " * 7_000)[:100_000]
    start = time.process_time()
    result = tokenize(text, ["bert-uncased", "gpt2", "t5", "qwen"]).result
    assert time.process_time() - start < 20
    assert result["qwen"][0]["ids"] == plain(here["qwen"], text)["input_ids"][0]
    with pytest.raises(VisitorError, match="text_too_long"):
        tokenize(text + "가", "qwen")
    with pytest.raises(VisitorError, match="text_too_long"):
        tokenize([text, "가"], "qwen")


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"text": ""}, "empty_text"),
        ({"text": None}, "empty_text"),
        ({"text": ["", " "]}, "empty_text"),
        ({"text": 7}, "not_text"),
        ({"text": ["a", 7]}, "not_text"),
        ({"text": ["a"] * 501}, "too_many_texts"),
        ({"tokenizers": []}, "no_tokenizers"),
        ({"tokenizers": [None]}, "no_tokenizers"),
        ({"tokenizers": {"qwen": 1}}, "no_tokenizers"),
        ({"tokenizers": ["a", "b", "c", "d", "e"]}, "too_many_tokenizers"),
        ({"padding": "yes"}, "bad_choice"),
        ({"padding": None}, "bad_choice"),
        ({"padding": 1}, "bad_choice"),
        ({"truncation": "no"}, "bad_choice"),
        ({"add_special_tokens": None}, "bad_choice"),
        ({"max_length": float("nan")}, "bad_number"),
        ({"max_length": float("inf")}, "bad_number"),
        ({"max_length": 0}, "bad_number"),
        ({"max_length": 2.5}, "bad_number"),
        ({"max_length": "9"}, "bad_number"),
        ({"max_length": True}, "bad_number"),
        ({"max_length": 10**9}, "bad_number"),
        ({"padding": True, "tokenizers": ["gpt2"]}, "no_pad_token"),
        ({"padding": "max_length", "max_length": 100_000, "text": ["a"] * 5}, "too_many_cells"),
        ({"padding": True, "text": ["a " * 45_000] + ["a"] * 400}, "too_many_cells"),
        (
            {"padding": True, "text": ["a " * 45_000] + ["a"] * 400, "tokenizers": ["builtin/words"]},
            "too_many_cells",
        ),
    ],
)
def test_bad_input_is_one_named_error(here, arguments, key):
    with pytest.raises(VisitorError) as caught:
        tokenize(**{"text": "안녕", "tokenizers": ["qwen"], **arguments})
    assert caught.value.key == key


@pytest.mark.parametrize("max_length", [1, 2, 3])
def test_a_limit_shorter_than_the_special_tokens_does_not_break(here, max_length):
    entry = tokenize("이 영화", "bert-uncased", truncation=True, max_length=max_length).result["bert-uncased"][0]
    assert entry["ids"] == here["bert-uncased"]("이 영화", truncation=True, max_length=max_length)["input_ids"]


def test_blank_lines_of_a_list_keep_their_place(here):
    assert [len(entry["ids"]) for entry in tokenize(["", "a", "  "], "t5").result["t5"]][0] == 1


def test_threads_do_not_disturb_each_other(here):
    texts = ["이 영화 정말 재미있었어요. 배우들의 연기가 훌륭하고 음악도 좋았습니다.", "짧아요"]
    asked = [{}, {"truncation": True, "max_length": 4}, {"padding": True}, {"padding": "max_length", "max_length": 50}]
    own = copy.deepcopy(here["qwen"])
    expected = [own(texts, **options)["input_ids"] for options in asked]
    wrong = []

    def ask(turn: int) -> None:
        for i in range(60):
            options = (i + turn) % 4
            entries = tokenize(texts, "qwen", **asked[options]).result["qwen"]
            if [entry["ids"] for entry in entries] != expected[options]:
                wrong.append(options)

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


def test_a_panic_in_the_library_is_one_sentence(here, monkeypatch):
    class Panic(BaseException):
        pass

    class Broken:
        is_fast, pad_token_id = True, 0

        def __call__(self, *args, **kwargs):
            raise Panic

    monkeypatch.setattr(loading, "tokenizer", lambda name: Broken())
    with pytest.raises(VisitorError, match="tokenizer_failed"):
        tokenize("a", "x")


def test_pieces_are_text_or_bytes(here):
    tokens = here["qwen"].tokenize("영화 뷁")
    spelled = pieces("qwen", tokens)
    assert any(isinstance(piece, bytes) for piece in spelled)
    assert b"".join(p if isinstance(p, bytes) else p.encode() for p in spelled).decode() == "영화 뷁"
    assert pieces("t5", ["▁the", "a", "</s>"]) == [" the", "a", "</s>"]
    assert pieces("llama", ["<0xEC>", "▁h"]) == [b"\xec", " h"]
    assert pieces("bert-uncased", ["##s", "[CLS]"]) == ["##s", "[CLS]"]
    assert pieces("builtin/bytes", ["<0x41>", "<0xEC>"]) == ["A", b"\xec"]


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen"])
def test_byte_view_of_a_rare_syllable(here, kind):
    view = byte_view(kind, "뷁")
    (row,) = [row for row in view["characters"] if row["char"] == "뷁"]
    assert row["letters"] == ["ㅂ", "ㅞ", "ㄺ"] and row["split"]
    assert bytes.fromhex("".join(byte for byte, _ in row["bytes"])).decode() == "뷁"


def test_byte_view_says_when_the_text_was_changed_first(here):
    view = byte_view("qwen", unicodedata.normalize("NFD", "영화"))
    assert view["changed"] and [row["char"] for row in view["characters"]] == ["영", "화"]
    assert not byte_view("qwen", "영화")["changed"]


def test_byte_view_by_offsets_for_word_pieces(here):
    view = byte_view("bert-uncased", "the movies")
    assert "".join(row["char"] for row in view["characters"]) == "the movies"
    space = view["characters"][3]
    assert space["bytes"] == [["20", None]]


@pytest.mark.parametrize("kind", KINDS)
def test_lookup_goes_both_ways(here, kind):
    vocabulary = here[kind].get_vocab()
    size = len(vocabulary)
    for number in (0, 5, size // 2):
        token = here[kind].convert_ids_to_tokens(number)
        assert lookup(kind, str(number))["entry"]["token"] == token
        found = lookup(kind, token)["entry"]
        assert found["id"] == number or token.isdigit() or not token.strip()
    assert lookup(kind, "zqxj뷁")["entry"] is None
    assert lookup(kind, "zqxj뷁")["n_matches"] == 0
    many = lookup(kind, "e")
    assert len(many["matches"]) <= 50 <= max(50, many["n_matches"])
    assert all("e" in entry["token"] for entry in many["matches"])
    assert many["size"] == size


def test_lookup_finds_korean_in_a_byte_level_vocabulary(here):
    found = lookup("qwen", "어요")
    assert found["entry"]["text"] == "어요" and found["entry"]["token"] != "어요"
    assert any(entry["text"] == "어요." or "어요" in entry["text"] for entry in found["matches"])
    assert [entry["text"] for entry in found["pieces"]] == ["어요"]


def test_lookup_of_nonsense(here):
    assert lookup("qwen", "999999999999999999999999")["entry"] is None
    assert lookup("qwen", "-1")["entry"] is None or lookup("qwen", "-1")["entry"]["token"] == "-1"
    for query in ("", None, 7, "a" * 201):
        with pytest.raises(VisitorError):
            lookup("qwen", query)
    with pytest.raises(VisitorError, match="simple_tokenizer"):
        lookup("builtin/words", "a")


@pytest.mark.parametrize(
    ("kind", "text", "reasons"),
    [
        ("qwen", "안녕 Hello  뷁😀", []),
        ("llama", "안녕 Hello 뷁😀", []),
        ("qwen", unicodedata.normalize("NFD", "한글"), ["nfc"]),
        ("bert-uncased", "The Movie", ["lower"]),
        ("bert-uncased", "영화", ["nfd"]),
        ("electra", "영화  뷁", ["unknown"]),
        ("t5", "the  movie", ["spaces"]),
    ],
)
def test_round_trip_says_what_was_lost(here, kind, text, reasons):
    trip = round_trip(kind, text)
    assert trip["equal"] == (not reasons)
    assert set(reasons) <= set(trip["reasons"])
    if reasons:
        at = trip["first_difference"]
        assert trip["decoded"][:at] == text[:at] and trip["decoded"][at : at + 1] != text[at : at + 1]
    else:
        assert trip["first_difference"] is None and trip["reasons"] == []


def test_chat_view_is_the_template(here):
    messages = [{"role": "system", "content": "user"}, {"role": "user", "content": "user 안녕?"}]
    view = chat_view("qwen", messages)
    assert view["text"] == here["qwen"].apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert view["ids"] == here["qwen"](view["text"], add_special_tokens=False)["input_ids"]
    said = {"system": set(), "user": set()}
    for (start, end), role in zip(view["offsets"], view["roles"], strict=True):
        if role in said:
            said[role] |= set(range(start, end))
    assert "".join(view["text"][place] for place in sorted(said["system"])) == "user"
    assert "".join(view["text"][place] for place in sorted(said["user"])) == "user 안녕?"
    assert view["roles"].count("special") == 5


def test_chat_view_when_the_template_trims(here):
    view = chat_view("llama", [{"role": "user", "content": "  the movie \n"}])
    at = view["roles"].index("user")
    assert view["offsets"][at][0] >= view["text"].index("the movie") - 1


@pytest.mark.parametrize(
    ("kind", "messages", "key"),
    [
        ("t5", [{"role": "user", "content": "a"}], "no_chat_template"),
        ("llama", [{"role": "system", "content": "a"}], "chat_template_failed"),
        ("qwen", [], "bad_messages"),
        ("qwen", "a", "bad_messages"),
        ("qwen", ["a"], "bad_messages"),
        ("qwen", [{"role": "teacher", "content": "a"}], "bad_choice"),
        ("qwen", [{"role": "user", "content": ""}], "empty_text"),
        ("qwen", [{"role": "user", "content": "a"}] * 51, "too_many_texts"),
    ],
)
def test_chat_view_refuses(here, kind, messages, key):
    with pytest.raises(VisitorError) as caught:
        chat_view(kind, messages)
    assert caught.value.key == key


def test_cost_of_parallel_sentences(here):
    rows = parallel()
    assert len(rows) >= 15
    found = cost(["qwen", "builtin/characters"])
    characters = found["builtin/characters"]
    assert characters["ko"] == sum(len(ko) for ko, _ in rows) and characters["en"] == sum(len(en) for _, en in rows)
    assert characters["ratio"] == characters["ko"] / characters["en"]
    assert found["qwen"]["rows"][0]["ko_tokens"] == len(here["qwen"](rows[0][0])["input_ids"])
    own = cost(["qwen"], [("안녕", "hello")])["qwen"]
    assert len(own["rows"]) == 1
