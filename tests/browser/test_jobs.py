"""Runs that outlive a reload and a broken connection, in a real browser: found again, and run once."""

import socket
import threading

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import fits
from tests.conftest import served

PATIENCE_MS = 60_000  # a page that is loaded anew takes its time on a busy machine
SAID = {
    "ko": {"gone": "연결이 끊겼어요", "broke off": "연결이 끊겨서 멈췄어요", "stopped": "멈췄어요"},
    "en": {"gone": "The connection is gone", "broke off": "The connection broke off", "stopped": "Stopped"},
}
BOTH = pytest.mark.parametrize("language", ["ko", "en"])


class Wire:
    """A way to the server that can be cut: then nothing gets through, and what was under way breaks off."""

    def __init__(self, url):
        self.there = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        self.whole, self.open = True, set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            if not self.whole:
                near.close()
                continue
            far = socket.create_connection(self.there)
            self.open |= {near, far}
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
        except OSError:
            pass
        self._end(source, sink)

    def _end(self, *ends):
        for end in ends:
            self.open.discard(end)
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def cut(self):
        self.whole = False
        self._end(*list(self.open))

    def mend(self):
        self.whole = True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("painting")


@pytest.fixture(scope="module")
def wire(folder, tmp_path_factory):
    with served(["-m", "tests.browser.fake_jobs"], tmp_path_factory, FAKE_PAINTING=str(folder)) as url:
        wire = Wire(url)
        yield wire
        wire.listener.close()


@pytest.fixture
def address(wire):
    return wire.url


@pytest.fixture
def gate(folder, wire):
    """The file that lets the work go on; the work that began so far is forgotten."""
    (folder / "begun").write_text("")
    (folder / "open").unlink(missing_ok=True)
    yield folder / "open"
    (folder / "open").touch()
    wire.mend()


def begun(folder):
    return (folder / "begun").read_text("utf-8").split("\n")[:-1]


def open_tab(visit, language, tab, width=1280):
    page = visit(language, width, f"/?tab={tab}")
    page.set_default_timeout(PATIENCE_MS)
    field(page, tab).wait_for()
    return page


def field(page, tab="image_generation"):
    name = {"image_generation": "prompt", "sentiment": "text"}[tab]
    return page.locator(f"#mc-{tab}-{name} textarea")


def run(page, text, tab="image_generation"):
    field(page, tab).fill(text)
    field(page, tab).press("Control+Enter")


def halfway(page):
    """Wait until the picture stands at the step behind which its gate is."""
    expect(page.locator("[role=progressbar]")).to_have_attribute("aria-valuenow", "5", timeout=PATIENCE_MS)


def finished(page, alt):
    expect(page.locator(".mc-paint-picture")).to_have_attribute("alt", alt, timeout=PATIENCE_MS)
    page.wait_for_function("sessionStorage.getItem('mc-jobs') === '{}'")
    expect(page.locator("[role=progressbar], .mc-paint .mc-wait")).to_have_count(0)


@BOTH
def test_a_reload_in_the_middle_of_a_picture_finds_it_and_its_form(visit, folder, gate, language):
    page = open_tab(visit, language, "image_generation", 390 if language == "ko" else 1280)
    run(page, "gate apple")
    halfway(page)
    page.goto(page.url.split("?")[0])  # another tab comes first here
    halfway(page)
    assert field(page).input_value() == "gate apple" and fits(page)
    gate.touch()
    finished(page, "gate apple")
    assert begun(folder) == ["gate apple"]
    page.reload()
    page.locator(".mc-run:visible").wait_for()
    assert page.locator(".mc-paint-picture").count() == 0  # what was shown to its end is over


@BOTH
@pytest.mark.parametrize("how", ["cut", "offline"])
def test_a_connection_that_breaks_is_followed_again_and_nothing_typed_is_lost(visit, wire, folder, gate, language, how):
    page = open_tab(visit, language, "image_generation")
    page.evaluate("window.same = true")
    run(page, "gate apple")
    halfway(page)
    wire.cut() if how == "cut" else page.context.set_offline(True)
    notice = page.locator("#mc-connection")
    expect(notice).to_contain_text(SAID[language]["gone"], timeout=PATIENCE_MS)
    field(page).fill("pear")
    page.wait_for_timeout(2_000)
    wire.mend() if how == "cut" else page.context.set_offline(False)
    expect(notice).to_have_count(0, timeout=PATIENCE_MS)
    gate.touch()
    finished(page, "gate apple")
    assert begun(folder) == ["gate apple"]
    assert page.evaluate("window.same") and field(page).input_value() == "pear"
    field(page).press("Control+Enter")
    finished(page, "pear")


def test_what_became_ready_meanwhile_is_shown_once(visit, wire, folder, gate):
    page = open_tab(visit, "en", "image_generation")
    run(page, "gate apple")
    halfway(page)
    wire.cut()
    gate.touch()
    expect(page.locator("#mc-connection")).to_have_count(1, timeout=PATIENCE_MS)
    field(page).press("Control+Enter")  # impatience starts no second one
    page.wait_for_timeout(2_000)
    wire.mend()
    finished(page, "gate apple")
    assert begun(folder) == ["gate apple"]


@BOTH
def test_stop_ends_a_run_that_was_found_again(visit, folder, gate, language):
    page = open_tab(visit, language, "image_generation")
    run(page, "gate apple")
    halfway(page)
    page.reload()
    halfway(page)
    page.keyboard.press("Escape")
    expect(page.locator(".mc-paint .mc-error")).to_contain_text(SAID[language]["stopped"], timeout=PATIENCE_MS)
    expect(page.locator("[role=progressbar]")).to_have_count(0)
    run(page, "pear")
    finished(page, "pear")
    assert begun(folder) == ["gate apple", "pear"]


def test_two_prompts_are_found_again_with_the_second_one(visit, folder, gate):
    page = open_tab(visit, "en", "image_generation")
    field(page).fill("gate apple")
    page.get_by_text("Same seed, one word changed").click()
    page.locator("#mc-image_generation-second").locator("textarea, input").first.fill("green pear")
    page.get_by_role("button", name="Paint both").click()
    halfway(page)
    page.reload()
    halfway(page)
    page.get_by_text("Same seed, one word changed").click()
    expect(page.locator("#mc-image_generation-second").locator("textarea, input").first).to_have_value("green pear")
    gate.touch()
    expect(page.locator(".mc-paint-compare img")).to_have_count(2, timeout=PATIENCE_MS)
    assert begun(folder) == ["gate apple", "green pear"]


def test_a_window_does_not_find_the_run_of_another(visit, gate):
    first = open_tab(visit, "en", "image_generation")
    run(first, "gate apple")
    halfway(first)
    second = first.context.new_page()
    second.goto(first.url)
    second.locator(".mc-run:visible").wait_for(timeout=PATIENCE_MS)
    second.wait_for_timeout(2_000)
    assert second.locator("[role=progressbar]").count() == 0 and field(second).input_value() == ""


def test_a_page_loaded_anew_before_the_server_heard_of_its_run_begins_it_and_keeps_no_token(visit, wire, folder, gate):
    page = open_tab(visit, "en", "image_generation")
    gate.touch()
    wire.cut()
    run(page, "apple")
    page.wait_for_function("JSON.parse(sessionStorage.getItem('mc-jobs')).image_generation?.values?.[0] === 'apple'")
    wire.mend()
    page.reload()
    finished(page, "apple")
    assert field(page).input_value() == "apple" and begun(folder) == ["apple"]
    secret = "mcJobs.call('x', ['', 'apple', 'hf_secret'], 1)[2] + sessionStorage.getItem('mc-jobs')"
    told = page.evaluate(secret)
    assert told.startswith("hf_secret") and "hf_secret" not in told[9:] and "apple" not in told[9:]


def test_a_run_that_the_server_does_not_know_makes_no_noise(visit, gate):
    page = open_tab(visit, "en", "image_generation")
    page.evaluate(
        "sessionStorage.setItem('mc-jobs', JSON.stringify({ image_generation: { id: 'a'.repeat(40) }, x: '<b>' }))"
    )
    page.reload()
    page.wait_for_function("sessionStorage.getItem('mc-jobs') === '{}'", timeout=PATIENCE_MS)
    assert page.locator(".mc-error, .mc-wait, [role=progressbar]").count() == 0


@BOTH
@pytest.mark.parametrize("how", ["reload", "cut"])
def test_a_comparison_is_found_again(visit, wire, folder, gate, language, how):
    page = open_tab(visit, language, "sentiment")
    run(page, "gate one\ntwo", "sentiment")
    waiting = page.locator(".mc-sc-waiting")
    expect(waiting).not_to_have_count(0)
    if how == "reload":
        page.reload()
    else:
        wire.cut()
        expect(page.locator("#mc-connection")).to_have_count(1, timeout=PATIENCE_MS)
        wire.mend()
        expect(page.locator("#mc-connection")).to_have_count(0, timeout=PATIENCE_MS)
    expect(waiting).not_to_have_count(0, timeout=PATIENCE_MS)
    assert field(page, "sentiment").input_value() == "gate one\ntwo"
    gate.touch()
    expect(waiting).to_have_count(0, timeout=PATIENCE_MS)
    page.wait_for_function("sessionStorage.getItem('mc-jobs') === '{}'")
    expect(page.locator(".mc-sc tbody .mc-sc-text")).to_have_count(2)
    assert begun(folder) == ["gate one"]


@BOTH
def test_a_quick_run_that_broke_off_says_so_until_the_next(visit, wire, gate, language):
    page = open_tab(visit, language, "sentiment")
    gate.touch()
    run(page, "gate one", "sentiment")
    page.locator(".mc-sc-ask").first.wait_for()
    gate.unlink()
    page.wait_for_function("sessionStorage.getItem('mc-jobs') === '{}'")
    page.locator(".mc-sc-ask").first.click()
    line = page.locator(".mc-left .mc-wait:visible")
    line.wait_for()
    wire.cut()
    expect(page.locator("#mc-connection")).to_have_count(1, timeout=PATIENCE_MS)
    wire.mend()
    expect(line).to_contain_text(SAID[language]["broke off"], timeout=PATIENCE_MS)
    run(page, "gate two", "sentiment")
    expect(line).not_to_contain_text(SAID[language]["broke off"])
