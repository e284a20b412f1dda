"""What stands before the web server, over real HTTP, on a small page with small bounds."""

import http.client
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import httpx2 as httpx
import pytest
from starlette.middleware import Middleware

from settings import Settings
from tabs import _upload_folder, _wrong_calls
from tabs._front_page import FrontPage
from tabs._guard import CLOSED, FREE, OPEN_API, Guard

HEAD = "<script>window.later = 1</script>"
SMALL = {"max_body_mb": 1, "max_upload_mb": 1, "max_files": 3}
release = threading.Event()


def echo(text: str = "") -> str:
    return text


def wait(text: str = "") -> str:
    release.wait(20)
    return text


@contextmanager
def serving(folder, most_uploads=0, **bounds):
    """Serve a page of two endpoints behind a guard with these bounds; yield a client."""
    limits = Settings(**bounds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        patch.setattr(_wrong_calls._waiting.bound, "__defaults__", (limits,))
        with _wrong_calls.Page(analytics_enabled=False) as page:
            gr.Markdown("a page")
            gr.api(echo, api_name="echo", queue=False)
            gr.api(wait, api_name="wait", concurrency_limit=1)
        page.queue()
        room = _upload_folder.Room(most_uploads)
        middleware = [
            Middleware(Guard, room=room, bounds=limits),
            Middleware(FrontPage, paths=("",), head=HEAD),
            Middleware(_wrong_calls.InWords),
        ]
        _, url, _ = page.launch(
            prevent_thread_lock=True, quiet=True, ssr_mode=False, head=HEAD, run_history=False, show_error=False,
            app_kwargs={"middleware": middleware}, max_file_size="20mb",
        )  # fmt: skip
        try:
            with httpx.Client(base_url=url, timeout=30, headers={"accept-language": "en"}) as client:
                client.page = page
                yield client
        finally:
            release.set()
            page.close()
            release.clear()


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory):
    """A page with small bounds on size, and none on how often."""
    folder = tmp_path_factory.mktemp("uploads")
    with serving(folder, calls_per_s=0, address_calls_per_s=0, **SMALL) as client:
        client.folder = folder
        yield client


def call(client, text, session=None, endpoint="echo", **options):
    return client.post(f"/gradio_api/run/{endpoint}", json={"data": [text], "session_hash": session}, **options)


def at_once(client, times, **options):
    """The answers to so many calls, sixteen at a time."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda _: call(client, "x", **options), range(times)))


def said(answer):
    """The one sentence of a refusal."""
    told = answer.json()["error"] if "json" in answer.headers["content-type"] else answer.text
    assert "\n" not in told and "Traceback" not in told and len(told) < 200
    return told


def left(client):
    return [path for path in client.folder.rglob("*") if path.is_file() and path.name != ".alive"]


def test_an_ordinary_call_passes(ordinary):
    assert call(ordinary, "안녕").json()["data"] == ["안녕"]


@pytest.mark.parametrize(("lang", "sentence"), [("en", "takes at once (1 MB)"), ("ko", "1 MB까지")])
def test_a_large_body_is_refused_by_what_it_says_of_itself(ordinary, lang, sentence):
    start = time.monotonic()
    answer = call(ordinary, "x" * 8_000_000, headers={"accept-language": lang})
    assert answer.status_code == 413 and sentence in said(answer)
    assert time.monotonic() - start < 10


def test_a_large_body_without_a_length_is_refused_as_it_comes(ordinary):
    def chunks():
        yield b'{"data": ["'
        for _ in range(30):
            yield b"x" * 100_000
        yield b'"]}'

    for path in ("run/echo", "queue/join", "call/echo", "cancel"):
        headers = {"content-type": "application/json"}
        answer = ordinary.post(f"/gradio_api/{path}", content=chunks(), headers=headers)
        assert answer.status_code == 413 and "1 MB" in said(answer)


def test_a_length_that_lies_is_no_way_in(ordinary):
    host = ordinary.base_url.netloc.decode()
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.putrequest("POST", "/gradio_api/run/echo")
    connection.putheader("Content-Length", "99999999999999999999")
    connection.endheaders()
    connection.send(b"{}")
    assert connection.getresponse().status in (400, 413)
    connection.close()


def test_very_many_values_are_refused_and_very_many_commas_in_a_text_are_not(ordinary):
    headers = {"content-type": "application/json"}
    answer = ordinary.post("/gradio_api/run/echo", content=b'{"data":[' + b"1," * 90_000 + b"1]}", headers=headers)
    assert answer.status_code == 413 and "50,000 values" in said(answer)
    assert call(ordinary, ',\\",' * 60_000).status_code == 200


def test_deep_json_is_refused(ordinary):
    body = b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    headers = {"content-type": "application/json"}
    assert ordinary.post("/gradio_api/run/echo", content=body, headers=headers).status_code == 400


def upload(client, *files, **options):
    return client.post("/gradio_api/upload", files=[("files", (f"{n}.bin", data)) for n, data in enumerate(files)])


def test_uploads_are_bounded_in_bytes_and_in_number_and_leave_nothing_behind(ordinary):
    kept = upload(ordinary, b"a", b"b", b"c")
    assert kept.status_code == 200
    assert len(left(ordinary)) == 3
    much = upload(ordinary, b"x" * 600_000, b"y" * 600_000)
    assert much.status_code == 413 and "1 MB together" in said(much)
    many = upload(ordinary, *[b"x"] * 4)
    assert many.status_code == 413 and "at most 3 files" in said(many)
    assert upload(ordinary, *[b"x"] * 1_000).status_code == 413
    assert len(left(ordinary)) == 3


def test_an_upload_without_a_length_is_counted_as_it_comes(ordinary):
    def chunks():
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(20):
            yield b"x" * 100_000
        yield b"\r\n--b--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = ordinary.post("/gradio_api/upload", content=chunks(), headers=headers)
    assert answer.status_code == 413 and "1 MB together" in said(answer)
    assert len(left(ordinary)) == 3


def test_a_full_folder_is_said(tmp_path):
    with serving(tmp_path, most_uploads=10) as client:
        assert upload(client, b"x" * 5).status_code == 507 or upload(client, b"x" * 5).status_code == 507
        answer = upload(client, b"y")
        assert answer.status_code == 507 and "after an hour" in said(answer) and "retry-after" in answer.headers


def test_a_page_that_calls_too_often_waits_and_others_do_not(tmp_path):
    with serving(tmp_path, calls_per_s=1, address_calls_per_s=0) as client:
        answers = at_once(client, 60, session="loud")
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 10 <= sum(answer.status_code == 200 for answer in answers) < 50 and refused
        assert "again in" in said(refused[0]) and 1 <= int(refused[0].headers["retry-after"]) <= 3
        assert call(client, "x", session="quiet").status_code == 200
        assert call(client, "x").status_code == 200
        time.sleep(3)
        assert call(client, "x", session="loud").status_code == 200


def test_the_name_of_a_session_is_not_taken_from_a_text(tmp_path):
    with serving(tmp_path, calls_per_s=1, address_calls_per_s=0) as client:
        for _ in range(14):
            assert call(client, '"session_hash": "victim"').status_code == 200
        assert call(client, "x", session="victim").status_code == 200


def test_an_address_that_calls_too_often_is_slowed_down_but_gets_its_files(tmp_path):
    with serving(tmp_path, calls_per_s=0, address_calls_per_s=1) as client:
        statuses = [answer.status_code for answer in at_once(client, 60)]
        assert statuses.count(200) >= 5 and 429 in statuses
        page = next(page for page in (client.get("/") for _ in range(60)) if page.status_code != 200)
        assert page.status_code == 429 and "text/html" in page.headers["content-type"] and "seconds" in page.text
        assert client.get("/theme.css").status_code == 200 and client.get("/gradio_api/app_id").status_code == 200


def seen(address, forwarded, proxies=0, space=False):
    """The address that a request is counted for."""
    guard = Guard(None, _upload_folder.Room(0), Settings(proxies=proxies))
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPACE_ID", "a/b") if space else patch.delenv("SPACE_ID", raising=False)
        return guard._address({"client": (address, 1), "headers": headers})


def test_without_a_proxy_nobody_chooses_their_address():
    assert seen("10.0.0.1", "10.9.9.9") == "10.0.0.1"
    assert seen("2001:db8:1:2::5", "") == seen("2001:db8:1:2:ffff::9", "") != seen("2001:db8:1:3::5", "")


def test_behind_proxies_each_visitor_has_an_address_of_its_own_and_cannot_make_one_up():
    assert seen("10.0.0.1", "1.2.3.4", proxies=1) == seen("10.0.0.1", "6.6.6.6, 1.2.3.4", proxies=1) == "1.2.3.4"
    assert seen("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", proxies=2) == "1.2.3.4"
    assert seen("10.0.0.1", "6.6.6.6, 1.2.3.4", space=True) == "1.2.3.4"
    assert seen("10.0.0.1", "1.2.3.4", proxies=2) == "10.0.0.1" and seen("10.0.0.1", "", proxies=1) == "10.0.0.1"


def test_only_so_many_requests_are_open_at_once(tmp_path):
    with serving(tmp_path, max_open=2, address_calls_per_s=0) as client:
        with (
            client.stream("GET", "/gradio_api/heartbeat/a") as one,
            client.stream("GET", "/gradio_api/heartbeat/b") as two,
        ):
            beats = [one.iter_text(), two.iter_text()]
            assert all(next(each) for each in beats)
            start = time.monotonic()
            answer = call(client, "x", headers={"accept-language": "ko"})
            assert answer.status_code == 503 and "초 뒤에" in said(answer)
            assert time.monotonic() - start < 1
            assert client.get("/theme.css").status_code == 200
        for _ in range(50):
            if call(client, "x").status_code == 200:
                return
            time.sleep(0.1)
        raise AssertionError("the streams are closed, and still nobody is let in")


def join(client, session):
    number = next(n for n, each in client.page.fns.items() if each.api_name == "wait")
    body = {"data": ["x"], "fn_index": number, "session_hash": session}
    return client.post("/gradio_api/queue/join", json=body, headers={"accept-language": "ko"})


def test_a_page_may_have_only_so_much_under_way(tmp_path):
    with serving(tmp_path, page_waiting=2, address_calls_per_s=0) as client:
        answers = [join(client, "mine") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert "이미 2개" in said(answers[-1]) and answers[-1].json()["detail"] == said(answers[-1])
        assert join(client, "another").status_code == 200


def test_a_full_queue_is_said_at_once_and_leaves_other_work_alone(tmp_path):
    with serving(tmp_path, max_waiting=3, address_calls_per_s=0) as client:
        answers = [join(client, f"s{n}") for n in range(8)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused and "기다리고" in said(refused[0]) and refused[0].headers["retry-after"]
        assert all(answer.elapsed.total_seconds() < 1 for answer in refused)
        assert call(client, "x").status_code == 200


SHUT = [
    *(
        "proxy=http://127.0.0.1:1/x",
        "proxy=https://x.hf.space/",
        "file=http://127.0.0.1:1/",
        "file=https://example.com/x",
    ),
    *("file=/etc/passwd", "file=settings.py", "file=..%2F..%2Fetc%2Fpasswd", "file=data:text/html,x", "file=ftp://x/y"),
    *("file=//127.0.0.1/x", "file/etc/passwd", "deep_link?session_hash=a", "dev/reload", "token", "vibe-code"),
    *("custom_component/x/client/a/b", "stream/a/b/1/playlist.m3u8", "monitoring", "run-history/buckets", "new-in-7"),
]


@pytest.mark.parametrize("path", SHUT)
def test_what_the_page_does_not_use_is_not_there(ordinary, path):
    answer = ordinary.get(f"/gradio_api/{path}")
    assert answer.status_code == 404 and said(answer) == "There is nothing at this address."


@pytest.mark.parametrize(
    "path", ["component_server", "process_recording", "vibe-edit", "stream/x", "run-history/connect"]
)
def test_nothing_is_taken_where_the_page_sends_nothing(ordinary, path):
    assert ordinary.post(f"/gradio_api/{path}", json={}).status_code == 404


@pytest.mark.parametrize("path", ["login", "logout", "monitoring", "monitoring/summary", "openapi.json", "docs"])
def test_gradios_other_pages_are_closed(ordinary, path):
    assert ordinary.get(f"/{path}", headers={"x-forwarded-host": "evil.example"}).status_code == 404


def routes(router, prefix=""):
    for route in getattr(router, "original_router", router).routes:
        if hasattr(route, "original_router"):
            yield from routes(route)
        elif getattr(route, "path", None):
            yield route.path


# What a later gradio adds must be looked at before anybody can ask for it.
KNOWN_CLOSED = re.compile(
    r"/gradio_api/(?:token|dev/reload|login_check|deep_link|custom_component/.*|proxy=.*|file/.*|stream/.*|runs"
    r"|component_server|process_recording|vibe-.*|undo-vibe-edit|monitoring|run-history/.*|profiling/.*)/?"
)
OUR_PAGES = {"/", "/models", "/models/", "/config", "/config/"}


def test_every_route_of_gradio_is_known(ordinary):
    found = {path.replace("{path_or_url:path}", "x") for path in routes(ordinary.page.server_app)}
    assert len(found) > 60
    unknown = {
        path
        for path in found
        if not (
            OPEN_API.fullmatch(path) or FREE.fullmatch(path) or CLOSED.fullmatch(path) or KNOWN_CLOSED.fullmatch(path)
        )
    }
    assert unknown <= OUR_PAGES


def test_an_upload_is_served_and_cannot_run(ordinary):
    path = upload(ordinary, b"<script>alert(1)</script>").json()[0]
    answer = ordinary.get(f"/gradio_api/file={path}")
    assert answer.status_code == 200
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].startswith("attachment")
    Path(path).unlink()


def test_every_answer_has_the_headers(ordinary):
    for answer in (ordinary.get("/"), ordinary.get("/theme.css"), call(ordinary, "x"), ordinary.get("/login")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "microphone=()" in answer.headers["permissions-policy"]
        allowed = answer.headers["content-security-policy"]
        assert "object-src 'none'" in allowed and "frame-ancestors 'self' https://huggingface.co" in allowed
        assert "unsafe-inline" not in re.search("script-src [^;]*", allowed)[0]


def test_the_page_is_made_once_and_sent_small(ordinary):
    one, two = ordinary.get("/"), ordinary.get("/?tab=x", headers={"accept-encoding": "identity"})
    assert one.text == two.text and one.headers["content-encoding"] == "br"
    assert ordinary.get("/", headers={"if-none-match": one.headers["etag"]}).status_code == 304
    other = ordinary.get("/", headers={"x-forwarded-host": "school.example"})
    assert "school.example" in other.text and "school.example" not in ordinary.get("/").text


def test_an_answer_that_breaks_off_ends_in_order(ordinary):
    answer = ordinary.get("/gradio_api/call/echo/nobody")
    assert answer.status_code == 200 and "error" in answer.text


def test_values_that_fit_no_field_are_one_sentence_and_do_not_come_back(ordinary):
    answer = ordinary.post("/gradio_api/run/echo", json={"data": "x" * 9_000})
    assert answer.status_code == 422 and "xxx" not in answer.text and said(answer)


def test_a_batch_is_one_sentence(ordinary):
    number = next(n for n, each in ordinary.page.fns.items() if each.api_name == "echo")
    body = {"data": [["x"]], "fn_index": number, "batched": True, "session_hash": "b"}
    answer = ordinary.post("/gradio_api/run/predict", json=body)
    assert answer.status_code == 400 and "names no endpoint" in said(answer)


def test_what_gradio_cannot_read_does_not_come_back(ordinary):
    for path in ("reset", "cancel", "queue/join", "run/echo"):
        answer = ordinary.post(
            f"/gradio_api/{path}", content=b"--x SECRET", headers={"content-type": "multipart/form-data"}
        )
        assert answer.status_code in (400, 422) and "SECRET" not in answer.text and said(answer)
