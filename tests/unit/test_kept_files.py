"""Gradio's own files: read once, compressed once, kept by browsers; what is not there is not kept."""

import brotli
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tabs._kept_files import A_DAY, FOREVER, KeptFiles

SCRIPT = "let lines = 1;" * 200


@pytest.fixture
def files():
    """A client of files behind the middleware; `asked` lists what was asked of what stands behind it."""
    asked = []

    def answer(request):
        asked.append(request.url.path)
        gone = request.url.path.endswith("gone.js")
        return PlainTextResponse("" if gone else SCRIPT, 404 if gone else 200, {"etag": '"old"'}, "text/javascript")

    client = TestClient(KeptFiles(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "HEAD"])])))
    client.asked = asked
    return client


def test_a_file_is_read_once_and_may_be_kept_for_good(files):
    first, again = files.get("/assets/a.js"), files.get("/assets/a.js")
    assert first.text == again.text == SCRIPT and files.asked == ["/assets/a.js"]
    assert first.headers["cache-control"].encode() == FOREVER
    assert files.get("/static/f.css").headers["cache-control"].encode() == A_DAY


@pytest.mark.parametrize("coding", ["br", "gzip", "identity"])
def test_each_browser_gets_what_it_can_read(files, coding):
    with files.stream("GET", "/assets/a.js", headers={"accept-encoding": coding}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding", "identity") == coding
    assert int(answer.headers["content-length"]) == len(raw)
    assert (len(raw) < 300) == (coding != "identity")
    assert coding != "br" or brotli.decompress(raw).decode() == SCRIPT


def test_who_has_it_gets_nothing(files):
    tag = files.get("/assets/a.js").headers["etag"]
    answer = files.get("/assets/a.js", headers={"if-none-match": tag})
    assert (answer.status_code, answer.content, tag) != (200, b"", '"old"') and answer.status_code == 304


def test_the_first_question_may_be_for_a_head_or_a_part_and_the_file_is_kept_whole(files):
    assert files.head("/assets/a.js").content == b""
    assert files.get("/assets/b.js", headers={"range": "bytes=0-3"}).text == SCRIPT
    assert files.get("/assets/a.js").text == files.get("/assets/b.js").text == SCRIPT


def test_what_is_not_there_is_asked_once_each_time_and_other_addresses_pass(files):
    assert [files.get("/assets/gone.js").status_code for _ in range(2)] == [404, 404]
    assert files.get("/").text == files.get("/").text == SCRIPT
    assert files.asked == ["/assets/gone.js"] * 2 + ["/"] * 2
