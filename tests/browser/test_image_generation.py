"""The Images tab in a real browser: with the pocket model, and with a painter whose pace the tests set."""

import base64
from pathlib import Path

import pytest

from pipelines import picture_files
from tests.browser.conftest import WIDTHS, fits, unfold
from tests.conftest import ROOT, served

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{value}}"
POCKET = ROOT / "assets" / "pocket" / "flux-emoji" / "model_index.json"
DROP = """([data, name]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0)), files = new DataTransfer();
  files.items.add(new File([bytes], name, { type: "image/png" }));
  window.fire = (kind) => document.querySelector(".mc-paint .mc-panel").dispatchEvent(
    new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: files }));
  fire("dragover");
}"""


def open_tab(visit, language="en", width=1280, more="", scheme="light"):
    page = visit(language, width, path=f"/?tab=image_generation{more}", scheme=scheme)
    page.locator("#mc-image_generation-prompt").wait_for()
    page.locator("button.mc-run >> visible=true").wait_for()
    return page


def prompt(page):
    return page.locator("#mc-image_generation-prompt textarea")


def write(page, text):
    prompt(page).fill(text)
    page.keyboard.press("Control+Enter")


def answer(page):
    page.locator(".mc-paint .mc-timing").wait_for(timeout=60_000)
    page.wait_for_function("!document.querySelector('.mc-paint .mc-left .mc-wait')")
    return page.locator(".mc-paint .mc-panel").first


def shown_seed(page):
    return page.locator("#mc-image_generation-shown-seed input").input_value()


def kept(page, count):
    page.wait_for_function(f"document.querySelectorAll('.mc-paint-kept button').length === {count}")
    return page.locator(".mc-paint-kept button")


def options(page):
    unfold(page)
    page.locator("#mc-image_generation-seed input").wait_for()


def saved(page, place=0):
    with page.expect_download() as download:
        page.locator("[data-paint=save]").nth(place).click()
    return Path(download.value.path()).read_bytes()


@pytest.mark.skipif(not POCKET.exists(), reason="the pocket painter is not in this checkout")
@pytest.mark.parametrize(("language", "words"), [("ko", "빨간 사과"), ("en", "red apple")])
def test_the_pocket_model_paints_an_example(visit, language, words):
    page = open_tab(visit, language)
    page.locator(f".mc-chip.mc-{language} >> visible=true").first.click()
    assert answer(page).locator(".mc-paint-picture").get_attribute("alt") == words
    assert page.locator(".mc-paint-film li").count() > 5
    assert picture_files.details(saved(page))["prompt"] == words


class TestWithASlowPainter:
    @pytest.fixture(scope="class")
    def address(self, tmp_path_factory):
        """Address of the app with the painter of tests/browser/fake_painting.py."""
        with served(["-m", "tests.browser.fake_painting"], tmp_path_factory) as url:
            yield url

    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("language", ["ko", "en"])
    def test_an_example_is_painted_and_kept(self, visit, language, width):
        page = open_tab(visit, language, width)
        page.locator(".mc-chip >> visible=true").first.click()
        panel = answer(page)
        assert panel.locator(".mc-paint-picture").count() == 1 and panel.locator(".mc-paint-film li").count() == 20
        assert shown_seed(page).isdecimal() and fits(page)
        kept(page, 1)

    def test_progress_preview_and_stop(self, visit):
        page = open_tab(visit)
        page.get_by_text("it begins at once").first.wait_for()
        write(page, "slow apple")
        bar = page.locator("[role=progressbar]")
        bar.wait_for()
        assert bar.get_attribute("aria-valuemax") == "20" and "left" in page.locator(".mc-paint-bar").inner_text()
        assert page.locator(".mc-paint-live img").get_attribute("src").startswith("data:image/")
        height = page.locator(".mc-paint .mc-panel").first.bounding_box()["height"]
        page.keyboard.press("Escape")
        error = page.locator(".mc-error >> visible=true")
        error.wait_for(timeout=3_000)
        assert "Stopped" in error.inner_text() and bar.count() == 0
        assert page.locator(".mc-paint .mc-panel").first.bounding_box()["height"] == height

    def test_stop_while_waiting_for_a_turn(self, visit):
        page = open_tab(visit)
        write(page, "queue")
        page.get_by_text("Ahead of you: 2, about 12 s").first.wait_for()
        page.locator(".mc-stop >> visible=true").click()
        page.get_by_text("Stopped").first.wait_for(timeout=3_000)

    def test_an_error_leaves_the_last_picture(self, visit):
        page = open_tab(visit)
        write(page, "apple")
        answer(page)
        write(page, "broken")
        page.locator(".mc-error >> visible=true").wait_for()
        assert page.locator(".mc-paint-picture").get_attribute("alt") == "apple"
        write(page, "  ")
        page.get_by_text("Write what the picture should show").first.wait_for()

    def test_what_was_written_stays_text(self, visit):
        page = open_tab(visit)
        write(page, HOSTILE)
        answer(page)
        kept(page, 1).click()
        page.locator(".mc-paint-large").wait_for()
        assert HOSTILE in page.locator(".mc-paint-large figcaption").inner_text()
        assert page.locator(".mc-paint-picture").get_attribute("alt") == HOSTILE
        assert page.locator("img[src=x]").count() == 0

    def test_the_history_outlives_a_refresh_and_fills_the_form(self, visit):
        page = open_tab(visit)
        write(page, "apple")
        answer(page)
        seed = shown_seed(page)
        write(page, "rocket")
        kept(page, 2)
        page.reload()
        kept(page, 2).last.click()
        page.wait_for_function("document.querySelector('#mc-image_generation-prompt textarea').value === 'apple'")
        options(page)
        assert page.locator("#mc-image_generation-seed input").input_value() == seed
        page.locator("[data-paint=clear]").click()
        kept(page, 0)
        page.reload()
        page.locator("button.mc-run >> visible=true").wait_for()
        kept(page, 0)

    def test_a_full_or_broken_storage_does_no_harm(self, visit):
        page = open_tab(visit)
        for value in ("{", '[{"src": "javascript:alert(1)", "made": {}}, null, 3]'):
            page.evaluate("(value) => localStorage.setItem('mc-pictures', value)", value)
            page.reload()
            page.locator("button.mc-run >> visible=true").wait_for()
            kept(page, 0)
        page.evaluate("localStorage.clear(); localStorage.setItem('other', 'x'.repeat(5_242_000))")
        write(page, "apple")
        answer(page)
        page.evaluate("localStorage.clear()")

    def test_only_the_last_pictures_are_kept(self, visit):
        page = open_tab(visit)
        page.evaluate(
            """() => localStorage.setItem('mc-pictures', JSON.stringify([...Array(24)].map((_, seed) =>
              ({ src: 'data:image/png;base64,iVBORw0KGgo=', made: { prompt: 'old', seed } }))))"""
        )
        write(page, "apple")
        answer(page)
        page.wait_for_function("JSON.parse(localStorage.getItem('mc-pictures'))[0].made.prompt === 'apple'")
        kept(page, 24)

    def test_the_seed_is_kept_on_request(self, visit):
        page = open_tab(visit)
        write(page, "apple")
        answer(page)
        seed = shown_seed(page)
        page.get_by_text("Keep this seed").click()
        options(page)
        page.wait_for_function(f"document.querySelector('#mc-image_generation-seed input').value === '{seed}'")
        write(page, "pear")
        page.locator(".mc-paint-picture[alt=pear]").wait_for()
        assert shown_seed(page) == seed

    def test_a_png_dropped_in_fills_the_form(self, visit):
        page = open_tab(visit)
        write(page, "apple with a hat")
        answer(page)
        data = saved(page)
        assert picture_files.details(data)["prompt"] == "apple with a hat"
        prompt(page).fill("")
        page.evaluate(DROP, [base64.b64encode(data).decode(), "made.png"])
        page.locator("#mc-image_generation-file input[type=file]").wait_for(state="attached")
        page.evaluate("fire('drop')")
        page.wait_for_function(
            "document.querySelector('#mc-image_generation-prompt textarea').value === 'apple with a hat'"
        )

    @pytest.mark.parametrize(
        ("language", "title", "said"),
        [
            ("ko", "PNG에서 설정 가져오기", "적혀 있지 않아요"),
            ("en", "Take the settings", "does not say how it was made"),
        ],
    )
    def test_a_picture_from_elsewhere_is_a_sentence(self, visit, language, title, said):
        page = open_tab(visit, language, 390)
        page.get_by_text(title).click()
        page.locator("#mc-image_generation-file input[type=file]").set_input_files(ROOT / "assets" / "screenshot.png")
        page.locator("#mc-paint-read .mc-error").first.wait_for()
        assert said in page.locator("#mc-paint-read .mc-error").first.inner_text() and fits(page)

    @pytest.mark.parametrize("width", WIDTHS)
    def test_two_prompts_are_compared_with_the_arrow_keys(self, visit, width):
        page = open_tab(visit, width=width)
        write(page, "a red apple")
        answer(page)
        seed = shown_seed(page)
        page.get_by_text("Same seed, one word changed").click()
        second = page.locator("#mc-image_generation-second").locator("textarea, input").first
        second.fill("a green apple")
        page.get_by_role("button", name="Paint both").click()
        page.locator(".mc-paint-compare").wait_for()
        assert shown_seed(page) == seed
        assert page.locator(".mc-paint-words mark").all_inner_texts() == ["red", "green"]
        page.locator(".mc-paint-compare input").focus()
        page.keyboard.press("ArrowRight")
        clip = "getComputedStyle(document.querySelectorAll('.mc-paint-pair img')[1]).clipPath"
        assert "51%" in page.evaluate(clip) and fits(page)
        assert picture_files.details(saved(page, 1))["prompt"] == "a green apple"

    def test_the_options_follow_the_model(self, visit):
        page = open_tab(visit)
        options(page)
        negative, size = page.locator("#mc-image_generation-negative"), page.locator("#mc-image_generation-size")
        assert negative.count() == 0 or not negative.is_visible()
        page.locator("#mc-image_generation-model input").click()
        page.get_by_role("option", name="stable-diffusion-v1-5").click()
        negative.wait_for()
        size.locator("label").nth(1).click()
        page.locator("#mc-image_generation-steps input[type=number]").fill("6")
        page.locator("#mc-image_generation-count input[type=number]").fill("3")
        page.keyboard.press("Tab")
        negative.locator("textarea, input").first.fill("rain <b>")
        write(page, "apple")
        panel = answer(page)
        assert panel.locator(".mc-paint-picture").count() == 3 and "without: rain <b>" in panel.inner_text()
        assert "768 × 512" in panel.inner_text() and panel.locator(".mc-paint-film li").count() == 6

    def test_a_link_fills_the_form_and_holds_the_seed(self, visit):
        page = open_tab(visit, more="&prompt=blue%20heart&seed=42")
        page.wait_for_function("document.querySelector('#mc-image_generation-prompt textarea').value === 'blue heart'")
        page.locator("button.mc-run >> visible=true").click()
        answer(page)
        assert shown_seed(page) == "42"
        page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        page.locator(".mc-paint .mc-link").click()
        page.wait_for_function("window.copied")
        link = page.evaluate("window.copied")
        assert "tab=image_generation" in link and "prompt=blue+heart" in link and "seed=42" in link
