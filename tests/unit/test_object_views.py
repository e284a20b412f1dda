"""Objects found elsewhere, as the page shows them: words escaped, boxes in place, and who is asked with what."""

import html
import io
import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines import images, remote
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import _object_views, _objects
from tabs import clip as tab

NASTY = "<img src=x onerror=alert(1)>\"'& ${alert(2)} {{value}}"
TOKEN = "hf_visitor"
REQUEST = SimpleNamespace(session_hash="s", cookies={"classroom_lang": "en"}, headers={})


def png(width=200, height=100):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def thing(label="cat", score=0.9, xmin=0, ymin=0, xmax=100, ymax=50):
    return {"label": label, "score": score, "box": {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}}


def without_picture(shown):
    return re.sub(r'src="data:image/jpeg;base64,[^"]*"', "", shown)


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=200), st.sampled_from(["ko", "en"]))
def test_any_label_is_shown_as_words_three_times(label, lang):
    shown = without_picture(_object_views.found([thing(label)], png(8, 4), 0.5, lang))
    plain = without_picture(_object_views.found([thing("x")], png(8, 4), 0.5, lang))
    assert re.findall("<[^>]*>", shown) == re.findall("<[^>]*>", plain), "no mark of its own"
    assert shown.count(html.escape(label)) >= 3 and f">{html.escape(label)}</span>" in shown


def test_markup_in_a_label_is_never_markup():
    shown = without_picture(_object_views.found([thing(NASTY)], png(), 0.5, "ko"))
    assert "<img src=x" not in shown and shown.count("<img") == 1


def test_boxes_stand_in_per_cent_of_the_picture_and_every_row_has_its_own():
    shown = _object_views.found([thing(), thing("dog", 0.875, 150, 25, 200, 100)], png(), 0.5, "en")
    assert "left:0.00%;top:0.00%;width:50.00%;height:50.00%" in shown
    assert "left:75.00%;top:25.00%;width:25.00%;height:75.00%" in shown
    assert "right:0.00%;max-width:100.00%" in shown, "a name at the right edge stands inside"
    for number in (1, 2):
        assert shown.count(f'data-object="{number}"') == 2
    assert "1<span> cat 90 %</span>" in shown and "87.5 %" in shown and "x 150–200, y 25–100 px" in shown
    assert "aspect-ratio:200/100" in shown and "2 boxes" in shown


@pytest.mark.parametrize("orientation", [1, 6])
def test_boxes_are_of_the_upright_picture(orientation):
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.new("RGB", (200, 100), "teal").save(buffer, "JPEG", exif=exif)
    small, whole = images.measured(buffer.getvalue(), 50)
    assert (whole, small.size) == (((200, 100), (50, 25)) if orientation == 1 else ((100, 200), (25, 50)))
    shape = "aspect-ratio:200/100" if orientation == 1 else "aspect-ratio:100/200"
    assert shape in _object_views.found([], buffer.getvalue(), 0.5, "en")


def test_many_objects_are_folded_and_none_is_said():
    many = _object_views.found([thing(f"kind {n}") for n in range(40)], png(), 0.5, "en")
    assert "28 more objects" in many and many.count('class="mc-object mc-object-') == 40
    none = _object_views.found([], png(), 0.35, "ko")
    assert "35 %" in none and "<ol" not in none and "data:image/jpeg" in none


def test_a_jpeg_holds_nothing_but_pixels():
    image = Image.new("RGB", (9, 9))
    image.info = {"comment": b"taken at home", "exif": b"Exif\0\0at home", "icc_profile": b"at home"}
    assert b"home" not in images.jpeg(image) and image.info["comment"] == b"taken at home"


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.setattr(_objects.hub, "offline", lambda: False)


def pressed(*events, picture="given", tmp_path=None):
    """Return what a press of Run puts on the page, and how detect was asked."""
    asked = []

    def detect(*values):
        asked.append(values)
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield event

    path = None
    if picture:
        path = tmp_path / "picture.png"
        path.write_bytes(png())
    given = (str(path) if path else None, "a/b", 0.5, f" {TOKEN} ", "auto")
    return list(_objects._running(detect)(REQUEST, *given)), asked


def test_the_provider_is_asked_with_the_visitors_token(tmp_path):
    run = Run([thing()], "a/b", timing={"remote": 3.0}, device="remote · hf-inference", code="client = 1\n")
    lines, asked = pressed(None, remote.Pause(3), run, tmp_path=tmp_path)
    ((data, token, model, threshold, provider, stop),) = asked
    assert (data, token, model, threshold, provider) == (png(), TOKEN, "a/b", 0.5, "auto")
    assert "3 s" in lines[2][0] and lines[-1][0] == "" and "hf-inference" in lines[-1][1]
    assert TOKEN not in str(lines) and stop.is_set() and _objects._under_way == {}


def test_what_goes_wrong_is_one_sentence_and_what_stood_there_stays(tmp_path):
    lines, _ = pressed(VisitorError("remote_no_credit_objects", model="a/b"), tmp_path=tmp_path)
    assert "no credit" in lines[-1][0] and lines[-1][1]["__type__"] == "update"
    lines, _ = pressed(VisitorError("stopped"), tmp_path=tmp_path)
    assert lines[-1][0] == ""
    lines, asked = pressed(picture=None)
    assert "add a picture" in lines[-1][0] and asked == []
    lines, _ = pressed(RuntimeError(TOKEN), tmp_path=tmp_path)
    assert "mc-error" in lines[-1][0] and TOKEN not in lines[-1][0]


def test_offline_nobody_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(_objects.hub, "offline", lambda: True)
    lines, asked = pressed(tmp_path=tmp_path)
    assert "needs the network" in lines[-1][0] and asked == []


def endless():
    """What stops each of the waits, and a wait without end."""
    stops = []

    def detect(*values):
        stops.append(values[-1])
        while True:
            yield None

    return stops, detect


def test_stop_reaches_the_run_of_its_own_session_only(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(png())
    stops, detect = endless()
    run = _objects._running(detect)(REQUEST, str(path), "a/b", 0.5, TOKEN, "auto")
    next(run), next(run)
    _objects._stop(SimpleNamespace(session_hash="another"))
    assert not stops[0].is_set()
    _objects._stop(REQUEST)
    assert stops[0].is_set()
    run.close()
    assert _objects._under_way == {}


def test_callers_without_a_session_cannot_stop_each_other(tmp_path):
    path, nobody = tmp_path / "picture.png", SimpleNamespace(session_hash=None, cookies={}, headers={})
    path.write_bytes(png())
    stops, detect = endless()
    runs = [_objects._running(detect)(nobody, str(path), "a/b", 0.5, TOKEN, "auto") for _ in range(2)]
    for run in runs:
        next(run), next(run)
    _objects._stop(nobody)
    assert [stop.is_set() for stop in stops] == [False, False] and _objects._under_way == {}


@pytest.mark.parametrize(("query", "mode"), [("objects_model", "objects"), ("query", "search"), ("texts", "many")])
def test_a_link_names_the_mode(query, mode):
    from_link = tab._linking([tab.MODES, (tab.ELSEWHERE,)])
    linked = from_link(SimpleNamespace(query_params={"tab": "clip", query: "a/b"}))
    assert linked[0] == mode and linked.count("a/b") == 1 and len(linked) == 10
    assert linked[1]["visible"] == (mode != "objects") and linked[2]["visible"] == (mode == "objects")
    assert len(from_link(SimpleNamespace(query_params={"tab": "text_tasks"}))) == 10
