"""The endpoints that take pictures, through gradio_client and HTTP: uploads are answered, nothing else is opened."""

import json
import urllib.error
import urllib.request

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from pipelines import emoji

pytestmark = pytest.mark.models
META = {"_type": "gradio.FileData"}
REFUSED = "Please upload the picture itself"


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


def example(place):
    name = list(emoji.examples())[place]
    return handle_file(str(emoji.picture(name))), emoji.examples()[name]


def refusal(client, *arguments, **named):
    with pytest.raises(AppError) as caught:
        client.predict(*arguments, **named)
    return str(caught.value)


def test_a_picture_is_matched_with_labels_in_both_languages(client):
    picture, names = example(0)
    for language in ("en", "ko"):
        labels = [example(i)[1][language] for i in range(6)]
        result = client.predict(picture, labels, api_name="/match_image")
        assert [set(row) for row in result] == [{"label", "score"}] * 6
        assert result[0]["label"] == names[language]
        assert sum(row["score"] for row in result) == pytest.approx(1, abs=1e-4)


def test_all_but_the_picture_may_be_left_out(client):
    picture, names = example(0)
    result = client.predict(picture, api_name="/match_image")
    assert len(result) > 1_000 and names["en"] in [row["label"] for row in result[:10]]


def test_every_name_of_the_emoji_may_be_a_label(client):
    picture, _ = example(1)
    labels = [row["ko"] for row in emoji.rows()]
    assert len(client.predict(picture, labels, scoring="cosine", api_name="/match_image")) == len(set(labels))


def test_pictures_are_ranked_and_compared(client):
    pictures = [example(i)[0] for i in range(4)]
    ranked = client.predict(example(2)[1]["en"], pictures, api_name="/rank_images")
    assert ranked[0]["index"] == 2 and sorted(row["index"] for row in ranked) == [0, 1, 2, 3]
    words = [example(i)[1]["ko"] for i in range(4)]
    result = client.predict(pictures, words, api_name="/match_images")
    assert result["texts"] == words and len(result["matrix"]) == 4


@pytest.mark.parametrize("value", ["http://example.com/cat.png", "data:image/png;base64,AAAA", "/etc/passwd", 5, {}])
def test_an_address_or_a_path_is_no_picture(client, value):
    assert REFUSED in refusal(client, value, ["a"], api_name="/match_image")
    assert REFUSED in refusal(client, "cat", [value], api_name="/rank_images")


@pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:9/x.png", "data:image/png;base64,AAAA", "../app.py"])
def test_a_made_up_upload_is_not_opened(client, address, path):
    body = json.dumps({"data": [{"path": path, "url": path, "meta": META}, ["a"]]}).encode()
    request = urllib.request.Request(
        f"{address}/gradio_api/call/match_image", body, {"Content-Type": "application/json"}
    )
    try:
        event = json.load(urllib.request.urlopen(request))["event_id"]
        told = urllib.request.urlopen(f"{address}/gradio_api/call/match_image/{event}").read().decode()
    except urllib.error.HTTPError as error:
        assert error.code == 400
        told = error.read().decode()
    assert REFUSED in told


def test_bad_pictures_are_refused_in_one_sentence(client, tmp_path):
    svg = tmp_path / "drawing.png"
    svg.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    large = tmp_path / "large.png"
    Image.new("1", (13_000, 13_000)).save(large)
    broken = tmp_path / "broken.jpg"
    Image.effect_noise((200, 200), 90).convert("RGB").save(broken, "JPEG")
    broken.write_bytes(broken.read_bytes()[:3_000])
    for path, said in ((svg, "not a picture"), (large, "million pixels"), (broken, "broken or empty")):
        assert said in refusal(client, handle_file(str(path)), ["a"], api_name="/match_image")


def test_the_code_of_an_upload_holds_the_picture(client):
    picture, _ = example(0)
    code = client.predict("match_image", {"image": picture, "labels": ["a", "b"]}, api_name="/show_code")["python"]
    compile(code, "shown", "exec")
    assert REFUSED in refusal(client, "match_image", {"image": "/etc/passwd"}, api_name="/show_code")


def test_finding_objects_needs_the_network_and_an_uploaded_picture(client):
    picture, _ = example(0)
    said = refusal(client, picture, "hf_aVisitor", api_name="/detect_objects")
    assert "needs the network" in said and "hf_" not in said
    assert "Hugging Face token is needed" in refusal(client, picture, api_name="/detect_objects")
    for value in ("/etc/passwd", "http://127.0.0.1:9/x.png", {}):
        assert REFUSED in refusal(client, value, "hf_aVisitor", api_name="/detect_objects")
    code = client.predict("detect_objects", {"image": picture, "token": "hf_aVisitor"}, api_name="/show_code")["python"]
    assert "object_detection" in code and "hf_aVisitor" not in code


def test_the_models_are_listed(client):
    listed = client.predict("image_text", api_name="/models")
    assert listed[0]["id"] == "pocket/clip-emoji" and {row["task"] for row in listed} == {"image_text"}
