"""Objects found elsewhere: what is sent and what is not, boxes of the whole picture, and answers that are none."""

from __future__ import annotations

import base64
import io
import json
import threading
import time

import pytest
from PIL import Image

from pipelines import remote, remote_objects
from pipelines.errors import VisitorError
from pipelines.remote_objects import detect_objects
from pipelines.run import Run
from pipelines.show_code import notebook, show_code
from tests.hub import local_objects
from tests.hub.local_hub import closed_port, wait_for
from tests.hub.local_objects import row
from tests.hub.local_provider import Answer, claiming, offer, picture_file
from tests.hub.token_watch import TOKEN, as_a_visitor, fault_of, watched

pytestmark = pytest.mark.hub

MODEL = "owner/finder"
PICTURE = picture_file(200, 100, "navy")
SECRET = "taken at home"


@pytest.fixture
def provider(monkeypatch, caplog):
    with watched(monkeypatch, caplog) as server:
        server.offers[MODEL] = offer("hf-inference", task="object-detection")
        yield server


def found(image=PICTURE, token=TOKEN, model=MODEL, **options) -> Run:
    *_, last = detect_objects(image, token, model, **options)
    assert isinstance(last, Run)
    return last


def fault(image=PICTURE, token=TOKEN, model=MODEL, **options) -> VisitorError:
    return fault_of(lambda: list(detect_objects(image, token, model, **options)))


def photograph(width: int, height: int, orientation: int = 1) -> bytes:
    """Return a JPEG with what a telephone writes into one."""
    image, buffer = Image.new("RGB", (width, height), "olive"), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, SECRET
    exif.get_ifd(0x8825)[1] = "N"
    image.save(buffer, "JPEG", exif=exif, comment=SECRET.encode(), icc_profile=SECRET.encode())
    assert SECRET.encode() in buffer.getvalue()
    return buffer.getvalue()


class TestAsked:
    def test_objects_are_found_the_best_first(self, provider):
        run = found()
        assert run.result == [row("cat", 0.96875, 0, 0, 100, 50), row("dog", 0.875, 100, 25, 200, 100)]
        assert run.model == MODEL and run.provider == "hf-inference" and run.timing["remote"] > 0
        assert TOKEN not in repr(run)
        (question,), (order,) = provider.asked("GET"), provider.asked("POST")
        assert question.path == f"/api/models/{MODEL}?expand=inferenceProviderMapping"
        assert order.path == f"/router/hf-inference/models/{MODEL}"
        assert order.headers["authorization"] == f"Bearer {TOKEN}" and set(order.body) == {"inputs", "parameters"}
        assert order.body["parameters"] == {"threshold": 0.5}

    def test_the_threshold_is_sent_and_kept_to(self, provider):
        assert [each["label"] for each in found(threshold=0.3).result] == ["cat", "dog", "remote"]
        assert [each["label"] for each in found(threshold=0.9).result] == ["cat"]
        weak = [row("cat", 0.2, 0, 0, 9, 9), row("dog", 0.7, 0, 0, 9, 9)]  # from who heeds none
        provider.answers.append(Answer(body=json.dumps(weak).encode()))
        assert [each["label"] for each in found().result] == ["dog"]

    def test_nothing_found_is_an_answer(self, provider):
        provider.answers.append(Answer(body=b"[]"))
        assert found().result == []

    @pytest.mark.parametrize("orientation", [1, 3, 6])
    def test_nothing_but_pixels_goes_out_and_boxes_are_of_the_whole_upright_picture(self, provider, orientation):
        run = found(photograph(4000, 2000, orientation))
        file = local_objects.sent(provider.asked("POST")[0].body)
        sent = Image.open(io.BytesIO(file))
        upright = (2000, 4000) if orientation == 6 else (4000, 2000)
        assert max(sent.size) == remote_objects.SIDE and sent.size[0] * upright[1] == pytest.approx(
            sent.size[1] * upright[0], rel=0.01
        )
        assert SECRET.encode() not in file and not sent.getexif() and set(sent.info) <= {
            "jfif", "jfif_version", "jfif_unit", "jfif_density"
        }  # fmt: skip
        cat, dog = (each["box"] for each in run.result)
        assert (cat["xmin"], cat["ymin"]) == (0, 0) and (dog["xmax"], dog["ymax"]) == upright
        corners = (cat["xmax"], cat["ymax"], dog["xmin"], dog["ymin"])
        halves = (upright[0] / 2, upright[1] / 2, upright[0] / 2, upright[1] / 4)
        assert corners == pytest.approx(halves, abs=4)

    def test_only_who_offers_it_is_asked(self, provider):
        from huggingface_hub.inference._providers import PROVIDERS

        assert remote_objects.PROVIDERS == tuple(
            name for name, able in PROVIDERS.items() if remote_objects.TASK in able
        )
        assert found(provider="hf-inference").result and found(provider="auto").result
        assert fault(provider="together").key == "bad_choice"

    def test_the_model_may_be_left_out(self, provider):
        provider.offers[remote_objects.DEFAULT] = provider.offers[MODEL]
        for model in (None, "", "  "):
            assert found(model=model).model == remote_objects.DEFAULT


class TestRefused:
    def test_at_once_and_for_nothing(self, provider, monkeypatch):
        from huggingface_hub import constants

        assert fault(token=None).key == fault(token=" ").key == "needs_token"
        for token in ("sk-other", "hf_a\r\nX-Evil: 1"):
            assert fault(token=token).key == "remote_token_refused"
        assert fault(model="pocket/clip-emoji").key == "not_remote"
        assert fault(model="../../etc").key == fault(model=7).key == "bad_model_id"
        for threshold in (-0.1, 1.5, float("nan"), "0.5", None, True):
            assert fault(threshold=threshold).key == "bad_number"
        pictures = {None: "no_image", b"<svg/>": "not_an_image", claiming(9_000, 9_000): "image_too_large"}
        for image, key in pictures.items():
            with pytest.raises(VisitorError, match=key):
                found(image)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert fault().key == "remote_offline_objects"
        assert provider.requests == []

    def test_a_model_that_nobody_offers_for_it(self, provider):
        assert str(fault(model="owner/missing")) == "remote_not_served(model=owner/missing, task=object_detection)"
        provider.offers[MODEL] = offer("hf-inference", task="text-classification")
        assert fault().key == "remote_not_served"
        assert provider.asked("POST") == []


FAULTS = [
    (Answer(401, f"Invalid token {TOKEN}".encode()), "remote_token_refused", {}),
    (Answer(402, b'{"error":"You have exceeded your monthly included credits"}'), "remote_no_credit_objects", {}),
    (Answer(403, b'{"error":"This token lacks permissions"}'), "remote_not_allowed", {}),
    (Answer(404, b"Not Found"), "remote_gone", {}),
    (Answer(413, TOKEN.encode()), "remote_refused_objects", {"status": 413}),
    (Answer(429, headers={"Retry-After": "600"}), "remote_too_many", {"seconds": 600}),
    (Answer(500, b"x" * 5_000_000), "remote_down_objects", {"status": 500}),
    (Answer(503, b"<html>Service Unavailable</html>"), "remote_down_objects", {"status": 503}),
    (Answer(503, b'{"error":"loading","estimated_time":40.5}'), "remote_loading", {"seconds": 41}),
    (Answer(307, headers={"Location": "http://127.0.0.1:9/"}), "remote_odd", {"what": "307"}),
    (Answer(body=b'[["', cut=1), "remote_no_network_objects", {}),
    (Answer(body=b"<html>Log in</html>"), "remote_failed", {}),
    (Answer(body=b""), "remote_failed", {}),
    (Answer(body=b"[" * 200_000), "remote_failed", {}),
]


@pytest.mark.parametrize(("answer", "key", "params"), FAULTS)
def test_each_fault_has_its_sentence_in_both_languages(provider, answer, key, params):
    from tabs._i18n import sentence

    provider.answers.append(answer)
    error = fault()
    assert error.key == key and error.params.items() >= ({"model": MODEL} | params).items()
    assert len(provider.asked("POST")) == 1
    for lang, pocket in (("en", "pocket"), ("ko", "포켓")):
        told = sentence(error, lang)
        assert TOKEN not in told and pocket not in told


GOOD = row("cat", 0.9, 1, 2, 30, 40)
BOX = GOOD["box"]
NONE = [
    None,
    7,
    "text",
    {},
    {"label": "cat"},
    [None],
    ["cat"],
    [[GOOD]],
    [{}],
    [GOOD] * 10_000,
    [GOOD] * 301,
    [GOOD | {"score": float("nan")}],
    [GOOD | {"score": float("inf")}],
    [GOOD | {"score": 1.5}],
    [GOOD | {"score": -1}],
    [GOOD | {"score": "0.9"}],
    [GOOD | {"score": True}],
    [GOOD | {"score": None}],
    [GOOD | {"label": ""}],
    [GOOD | {"label": None}],
    [GOOD | {"label": ["cat"]}],
    [GOOD | {"label": "a" * 5_000}],
    [GOOD | {"label": "\u0000\u202e"}],
    [GOOD | {"box": None}],
    [GOOD | {"box": [1, 2, 30, 40]}],
    [GOOD | {"box": [BOX]}],
    [GOOD | {"box": {}}],
    [GOOD | {"box": BOX | {"xmin": float("nan")}}],
    [GOOD | {"box": BOX | {"xmax": float("inf")}}],
    [GOOD | {"box": BOX | {"ymax": 10**400}}],
    [GOOD | {"box": BOX | {"ymin": "2"}}],
    [GOOD | {"box": BOX | {"ymin": False}}],
    [GOOD | {"box": BOX | {"xmin": 31}}],  # its left is right of its right
    [row("cat", 0.9, 201, 0, 300, 50)],
    [row("cat", 0.9, -50, 0, -1, 50)],
    [row("cat", 0.9, 0, 100, 50, 120)],
    [GOOD, GOOD | {"score": float("nan")}],
]


@pytest.mark.parametrize("answer", NONE)
def test_answers_that_are_none_are_not_shown(provider, answer):
    provider.answers.append(Answer(body=json.dumps(answer).encode()))
    error = fault()
    assert error.key in ("remote_odd", "remote_failed") and error.params["model"] == MODEL
    assert len(str(error)) < 200


def test_boxes_that_stick_out_are_cut_and_labels_are_only_words(provider):
    evil = "<img src=x onerror=alert(1)>\u202e\u0007"
    provider.answers.append(Answer(body=json.dumps([row(evil, 1.0000001, -7.5, -1, 10**5, 99.2)]).encode()))
    assert found().result == [row("<img src=x onerror=alert(1)>", 1.0, 0, 0, 200, 100)]


def test_three_hundred_objects_are_allowed(provider):
    provider.answers.append(Answer(body=json.dumps([GOOD] * 300).encode()))
    assert len(found().result) == 300


def test_an_answer_that_does_not_come_is_given_up(provider, monkeypatch):
    monkeypatch.setattr(remote, "DEADLINE_S", 0.5)
    provider.answers.append(Answer(stalled=True))
    begun = time.monotonic()
    assert fault().key == "remote_slow_objects"
    assert time.monotonic() - begun < 5


def test_nobody_there(provider, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", closed_port() + "/{provider}")
    assert fault().key == "remote_no_network_objects"


def test_a_short_wait_is_counted_down(provider):
    provider.answers.append(Answer(429, headers={"Retry-After": "1"}))
    *events, last = detect_objects(PICTURE, TOKEN, MODEL)
    assert remote.Pause(1) in events and isinstance(last, Run) and len(provider.asked("POST")) == 2


def test_a_stop_returns_at_once(provider):
    provider.answers.append(Answer(stalled=True))
    stop = threading.Event()
    running = detect_objects(PICTURE, TOKEN, MODEL, stop=stop)
    assert next(running) is None or next(running) is None
    assert wait_for(lambda: provider.asked("POST"))
    begun = time.monotonic()
    stop.set()
    with pytest.raises(VisitorError, match="stopped"):
        list(running)
    assert time.monotonic() - begun < 1
    provider.released.set()
    assert wait_for(lambda: not any(thread.name == "remote" for thread in threading.enumerate()))


class TestCode:
    def test_it_does_what_was_done_without_a_token_in_it(self, provider, monkeypatch, capsys):
        run = found(threshold=0.3)
        assert 'os.environ["HF_TOKEN"]' in run.code and "hf_" not in run.code.replace("hf_inference", "")
        (order,) = provider.asked("POST")
        provider.requests.clear()
        space: dict[str, object] = {}
        with as_a_visitor(monkeypatch, provider):
            exec(run.code, space)
        result = [{"label": each.label, "score": each.score, "box": dict(each.box)} for each in space["result"]]
        assert [each["label"] for each in result] == ["dog", "cat", "remote"] and result[1] == run.result[0]
        assert provider.asked("POST")[-1].body == order.body
        assert "cat" in capsys.readouterr().out
        assert '"huggingface_hub' in "".join(notebook(run.code, "detect_objects")["cells"][1]["source"])

    def test_the_endpoint_show_code_writes_the_same_and_forgets_the_token(self, provider):
        asked = {"image": PICTURE, "model": MODEL, "threshold": 0.5}
        for more in ({}, {"token": TOKEN}):
            python = show_code("detect_objects", asked | more)["python"]
            assert python == found().code and TOKEN not in python
        with pytest.raises(VisitorError, match="bad_model_id"):
            show_code("detect_objects", asked | {"model": '"; import os'})

    def test_a_large_picture_stands_in_it_as_a_smaller_copy(self, provider):
        import os

        noise = Image.frombytes("RGB", (400, 300), os.urandom(360_000))
        code = found(noise).code
        assert "# a smaller copy of the picture" in code
        compile(code, "shown", "exec")
        data = "".join(line.strip(' "') for line in code.split("b64decode(")[1].splitlines()[1:] if '"' in line[:6])
        assert Image.open(io.BytesIO(base64.b64decode(data.split(")")[0]))).size == (400, 300)
