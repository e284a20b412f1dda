"""Every endpoint through gradio_client, offline, from an empty HF_HOME: an answer, or one clear sentence."""

import json
import urllib.request

import pytest
from gradio_client import Client

pytestmark = pytest.mark.models
HUB_ONLY = [
    ("/translate", ("Good morning.",), "translation"),
    ("/entail", ("A dog runs.", "An animal moves."), "sentence pairs"),
]
ENDPOINTS = {
    *("/models", "/sentiment", "/compare_sentiment", "/zero_shot", "/entities", "/answer", "/fill_mask", "/generate"),
    *("/summarize", "/translate", "/similarity", "/keywords", "/entail", "/tokenize", "/learn_bpe", "/show_code"),
    *("/match_image", "/match_images", "/rank_images", "/detect_objects", "/generate_image"),
}


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


def ask(client, *arguments, **named):
    return client.predict(*arguments, **named)


def refusal(client, *arguments, **named):
    """The sentence with which a call is refused; a traceback or an answer fails the test."""
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError) as caught:
        client.predict(*arguments, **named)
    return str(caught.value)


def test_the_endpoints_are_those_promised_and_all_are_described(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == ENDPOINTS
    assert all(endpoint.get("description") for endpoint in named.values())


def test_models(client):
    rows = ask(client, "sentiment", api_name="/models")
    states = {row["id"]: row["state"] for row in rows}
    assert states["pocket/sentiment-ko"] == states["pocket/sentiment-en"] == "pocket"
    assert states["nlptown/bert-base-multilingual-uncased-sentiment"] == "remote"
    keys = {"id", "task", "languages", "params_m", "size_mb", "state", "gated", "license"}
    assert all(set(row) == keys for row in rows)


def test_sentiment_chooses_the_model_by_language(client):
    texts = ["What a lovely evening, thank you!", "정말 최악이었어요. 돈이 아까워요."]
    rows = ask(client, texts, api_name="/sentiment")
    assert [row["polarity"] for row in rows] == ["positive", "negative"]
    assert [row["text"] for row in rows] == texts
    assert all(abs(sum(row["scores"].values()) - 1) < 1e-3 for row in rows)


def test_compare_sentiment_with_gold(client):
    texts = ["I love it.", "I hate it.", "정말 재미있어요!"]
    result = ask(client, texts, None, ["positive", "negative", "긍정"], api_name="/compare_sentiment")
    assert [row["text"] for row in result["rows"]] == texts
    assert set(result["models"]) == {"pocket/sentiment-en", "pocket/sentiment-ko", "pocket/stars-ko"}
    for facts in result["models"].values():
        assert 0 <= facts["accuracy"] <= 1 and 0 <= facts["macro_f1"] <= 1


def test_zero_shot(client):
    text, labels = "The telescope sent pictures of a distant galaxy.", ["cooking", "science", "sports"]
    result = ask(client, text, labels, api_name="/zero_shot")
    assert result["labels"][0] == "science"
    assert result["scores"] == sorted(result["scores"], reverse=True)


def test_fill_mask(client):
    rows = ask(client, "이 영화 정말 [MASK].", 3, api_name="/fill_mask")
    assert len(rows) == 3
    assert all(row["token"] in row["sentence"] for row in rows)


def test_summarize_keeps_sentences_of_the_text(client):
    text = "Bees make honey. They live in hives. The sky is blue. Honey is sweet. Bees visit flowers for nectar."
    result = ask(client, text, 2, api_name="/summarize")
    assert 0 < len(result["summary"]) < len(text)
    assert result["method"]


def test_similarity(client):
    result = ask(client, ["A cat sleeps.", "A kitten naps.", "Taxes are due."], api_name="/similarity")
    assert result["embeddings_shape"] == [3, 384]
    matrix = result["matrix"]
    assert matrix[0][1] > matrix[0][2] and abs(matrix[0][0] - 1) < 1e-3


def test_keywords(client):
    rows = ask(client, "Volcanoes erupt when magma rises from deep below the crust.", 3, api_name="/keywords")
    assert len(rows) == 3 and any("volcano" in row["keyword"].lower() for row in rows)


def test_generate(client):
    result = ask(client, "Once upon a time", 8, 1.0, 50, 1.0, 3, api_name="/generate")
    assert result["text"].startswith("Once upon a time") and 1 <= len(result["tokens"]) <= 8
    assert all(token["alternatives"] for token in result["tokens"])


def test_tokenize(client):
    result = ask(client, ["안녕", "Hello there"], ["sentence-transformers/all-MiniLM-L6-v2"], api_name="/tokenize")
    rows = result["sentence-transformers/all-MiniLM-L6-v2"]
    assert rows[1]["ids"] == [101, 7592, 2045, 102]


def test_learn_bpe(client):
    result = ask(client, "low lower lowest", 3, api_name="/learn_bpe")
    assert len(result["merges"]) == 3 and result["steps"]


def test_show_code(client):
    python = ask(client, "sentiment", {"texts": 'it\'s "fine" \\ ${x}'}, api_name="/show_code")["python"]
    compile(python, "shown", "exec")


@pytest.mark.parametrize(("endpoint", "arguments", "task"), HUB_ONLY, ids=[row[0] for row in HUB_ONLY])
def test_a_task_that_needs_the_hub_says_so_and_what_it_would_download(client, endpoint, arguments, task):
    said = refusal(client, *arguments, api_name=endpoint)
    assert task in said and "MB" in said


@pytest.mark.parametrize(
    ("text", "kinds"),
    [("Marie Curie was born in Warsaw.", {"person", "location"}), ("이순신은 서울에서 태어났다.", {"PS", "LC"})],
)
def test_entities(client, text, kinds):
    found = client.predict(text, api_name="/entities")
    assert {each["entity"] for each in found} == kinds
    assert all(text[each["start"] : each["end"]] == each["text"] for each in found)


BAD = [
    ("/sentiment", ("",), "write some text"),
    ("/sentiment", ("x" * 1_000_000,), "too long"),
    ("/sentiment", ("good", "pocket/fill-mask-ko"), "was made for"),
    ("/sentiment", ("good", "nobody/nothing"), "not on this machine"),
    ("/sentiment", ("good", "../../etc/passwd"), "not a model id"),
    ("/sentiment", ("good", "<script>alert(1)</script>"), "not a model id"),
    ("/zero_shot", ("text", []), "label"),
    ("/models", ("${alert(1)}",), "no task called"),
]


@pytest.mark.parametrize(("endpoint", "arguments", "said"), BAD)
def test_bad_input_gets_one_sentence(client, endpoint, arguments, said):
    answer = refusal(client, *arguments, api_name=endpoint)
    assert said in answer
    assert "Traceback" not in answer and "<script>" not in answer


RAW = [
    ("fill_mask", '["이 [MASK]", NaN, null]', "top_k"),
    ("tokenize", '["abc", null, true, false, true, NaN]', "max_length"),
    ("similarity", '[{"a": 1}, null]', "글만"),
    ("learn_bpe", '["abc", 1e999]', "merges"),
    ("generate", '["hi", -5, NaN, -1, 2, "x", null]', "max_new_tokens"),
]


def post(address, endpoint, data):
    """The event a raw HTTP caller gets; JSON that gradio_client would refuse to send."""
    request = urllib.request.Request(
        f"{address}/gradio_api/call/{endpoint}",
        data=f'{{"data": {data}}}'.encode(),
        headers={"Content-Type": "application/json", "Accept-Language": "ko"},
    )
    event = json.load(urllib.request.urlopen(request, timeout=30))["event_id"]
    with urllib.request.urlopen(f"{address}/gradio_api/call/{endpoint}/{event}", timeout=60) as stream:
        kind, data = stream.read().decode().strip().split("\n", 1)
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize(("endpoint", "data", "said"), RAW)
def test_what_no_client_would_send_gets_a_sentence_too(address, endpoint, data, said):
    kind, answer = post(address, endpoint, data)
    assert kind == "error" and said in answer["error"]


def test_a_lone_surrogate_is_answered(address):
    kind, answer = post(address, "similarity", '[["a\\ud800b", "c"], null]')
    assert kind == "complete" and answer[0]["embeddings_shape"] == [2, 384]
