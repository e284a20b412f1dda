"""The page of models: what each row says, what a visitor never sees, and what the owner's buttons do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pipelines.download import Progress
from pipelines.errors import VisitorError
from pipelines.model_store import Room, Stored
from tabs import models
from tabs._models_view import View, ago, table
from tabs._owner import Door

ROOM = Room(memory=30_000_000, budget=9_000_000_000, free_disk=70_000_000_000)
ROWS = [
    Stored("pocket/a", "pocket", "memory", memory=23_000_000, disk=12_000_000, used=100.0, users=2),
    Stored("some/model", "hub", "disk", disk=268_000_000, used=100.0),
    Stored(
        "some/coming", "hub", "downloading", disk=9, progress=Progress(120_000_000, 268_000_000, 12_000_000.0, 12.0)
    ),
    Stored("owner/secret", "hub", "disk", disk=1_000_000, known=False),
]


class Request:
    cookies, headers, client = {}, {"accept-language": "en"}, SimpleNamespace(host="1.2.3.4")


def test_rows_say_where_how_large_and_when():
    html = table(ROWS, ROOM, View(), "en", now=400.0)
    assert "In memory" in html and "23 MB" in html and "in use by 2" in html and "pocket model" in html
    assert "268 MB" in html and "5 min ago" in html
    assert "120 of 268 MB" in html and "12.0 MB/s" in html and "<progress" in html
    assert "30 of 9,000 MB" in html and "70.0 GB" in html
    assert "메모리에 있음" in table(ROWS, ROOM, View(), "ko", now=400.0)


def test_a_visitor_sees_no_buttons_and_no_secret_names():
    html = table(ROWS, ROOM, View(), "en")
    assert "data-act" not in html and "owner/secret" not in html and "1 more that only the owner sees" in html
    html = table(ROWS, ROOM, View(owner=True), "en")
    assert "owner/secret" in html and "only the owner" not in html


def test_the_owners_buttons_fit_the_row():
    html = table(ROWS, ROOM, View(owner=True), "en")
    parts = {row.split("</th>")[0]: row for row in html.split('<th scope="row">')[1:]}
    acts = {name: [each.split('"')[0] for each in row.split('data-act="')[1:]] for name, row in parts.items()}
    assert acts == {
        "pocket/a": ["unload"], "some/model": ["delete"], "some/coming": ["stop"], "owner/secret": ["delete"],
    }  # fmt: skip
    html = table(ROWS, ROOM, View(owner=True, sure="some/model"), "en")
    assert 'data-act="sure" data-model="some/model"' in html and "Really delete 268 MB" in html


def test_names_are_escaped():
    html = table([Stored('a/<b>"', "hub", "disk", disk=1)], ROOM, View(owner=True), "en")
    assert "<b>" not in html and 'data-model="a/&lt;b&gt;&quot;"' in html


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "less than a minute"), (61, "1 min"), (7_300, "2 h"), (200_000, "2 d")]
)
def test_last_used_is_told_in_the_largest_unit(seconds, said):
    assert said in ago(Stored("a/b", "hub", "disk", used=1_000.0), "en", 1_000.0 + seconds)


@pytest.fixture
def page():
    """The page's handlers with what they did, and an open and a closed state."""
    done = []

    def do(name):
        def act(model):
            done.append((name, model))
            if model == "pocket/a":
                raise VisitorError("model_in_use", model=model)
            return 268_000_000

        return act

    draw = models._Drawing(lambda: ROWS, lambda: ROOM)
    acting = models._acting(draw, {"unload": do("unload"), "sure": do("delete"), "stop": do("stop")})

    def press(owner, act, model="some/model"):
        state = {"view": {"owner": owner, "sure": ""}, "drawn": 0}
        return acting(state, SimpleNamespace(act=act, model=model), Request())

    return SimpleNamespace(done=done, press=press, draw=draw)


@pytest.mark.parametrize("act", ["unload", "sure", "stop", "delete", "away"])
def test_a_visitors_presses_do_nothing(page, act):
    html, state, _, _ = page.press(False, act)
    assert not page.done and state["view"] == {"owner": False, "sure": ""} and "data-act" not in html


def test_deleting_is_asked_twice(page):
    html, state, said, _ = page.press(True, "delete")
    assert not page.done and state["view"]["sure"] == "some/model" and "Really delete" in html
    _, state, said, _ = page.press(True, "sure")
    assert page.done == [("delete", "some/model")] and "were deleted: 268 MB" in said and not state["view"]["sure"]


def test_what_is_refused_says_so(page):
    _, _, said, _ = page.press(True, "unload", "pocket/a")
    assert "in use" in said and 'role="alert"' in said


@pytest.mark.parametrize("model", [None, 7, ["a"]])
def test_odd_calls_are_ignored(page, model):
    page.press(True, "sure", model)
    assert not page.done


def test_the_clock_stops_while_nobody_looks(page):
    assert page.press(False, "away")[3].active is False and page.press(False, "look")[3].active is True


def test_the_same_table_is_not_sent_twice(page):
    html, state = page.draw.as_seen(View(), Request())
    again, _ = page.draw.again(state, Request())
    assert isinstance(html, str) and not isinstance(again, str)


def test_the_door(page):
    enter = models._entering(page.draw, Door("right"))
    closed = {"view": {"owner": False, "sure": ""}, "drawn": 0}
    table_, state, said, word, *_ = enter("wrong", closed, Request())
    assert "not the password" in said and word == "" and "view" not in state
    table_, state, said, word, *_ = enter("right", closed, Request())
    assert state["view"]["owner"] and "owner/secret" in table_ and word["value"] == "" and "right" not in str(state)
    for _ in range(9):
        said = enter("wrong", closed, Request())[2]
    assert "Please wait 10 min" in said


def test_without_a_password_there_is_no_form_and_one_line_says_why():
    closed = models.build(lambda: ROWS, lambda: ROOM, password="")
    kinds = [type(block).__name__ for block in closed.blocks.values()]
    assert "Textbox" not in kinds and any("CLASSROOM_OWNER_PASSWORD" in str(b.value) for b in _html(closed))
    opened = models.build(lambda: ROWS, lambda: ROOM, password="right")
    assert any(getattr(block, "type", "") == "password" for block in opened.blocks.values())
    assert "right" not in str([block.get_config() for block in opened.blocks.values()])


def _html(blocks):
    return [block for block in blocks.blocks.values() if type(block).__name__ == "HTML"]


def test_the_first_page_does_not_carry_it():
    import app

    config = app.build().get_config_file()
    first = set(config["page"][""]["components"])
    ids = {part["id"]: part["props"].get("elem_id") for part in config["components"]}
    assert not any((ids[number] or "").startswith("mc-models") for number in first)
    assert "mc-models-table" in {ids[number] for number in config["page"]["models"]["components"]}
