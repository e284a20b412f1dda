"""The CLIP tab in a real browser with the pocket model: pictures clicked, uploaded, compared, searched."""

import io

import pytest
from PIL import Image

from tests.browser.conftest import WIDTHS, fits, settle, unfold

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{value}}"


def open_tab(visit, language="en", width=1280, more="", scheme="light"):
    page = visit(language, width, path=f"/?tab=clip{more}", scheme=scheme)
    page.locator("#mc-clip-mode").wait_for()
    page.locator("button.mc-run >> visible=true").wait_for()
    return page


def choose(page, mode):
    page.locator(f"#mc-clip-mode input[value={mode}]").check(force=True)
    page.locator(".mc-clip-set >> visible=true").first.wait_for()


def answer(page):
    panel = page.locator(".mc-panel >> visible=true").first
    panel.locator(".mc-timing").wait_for(timeout=60_000)
    return panel


def png(colour="red", size=(60, 40)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def upload(page, name="picture.png", data=None, mime="image/png"):
    page.locator("#mc-clip-picture input[type=file]").first.set_input_files(
        {"name": name, "mimeType": mime, "buffer": png() if data is None else data}
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_an_example_fills_picture_and_labels_and_is_answered(visit, language, width):
    page = open_tab(visit, language, width)
    page.locator(".mc-clip-example").first.click()
    panel = answer(page)
    assert panel.locator(".mc-bar").count() == 6 and panel.locator(".mc-clip-head img").count() == 1
    labels = page.locator("#mc-clip-labels textarea").input_value().split(", ")
    assert panel.locator(".mc-big").inner_text().rsplit(" ", 2)[0].strip() in labels
    assert fits(page)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_many_pictures_and_texts_make_a_table(visit, language, width):
    page = open_tab(visit, language, width)
    choose(page, "many")
    page.locator(".mc-clip-set >> visible=true").first.click()
    table = answer(page).locator(".mc-clip-heat")
    rows, columns = table.locator("tr").count() - 1, table.locator("th[scope=col]").count()
    assert rows == columns >= 3 and table.locator("td.mc-clip-best").count() == rows
    assert table.locator("th[scope=row] img").count() == rows
    assert fits(page)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_pictures_are_searched_by_words(visit, language, width):
    page = open_tab(visit, language, width)
    choose(page, "search")
    page.locator(".mc-clip-set >> visible=true").nth(1).click()
    cards = answer(page).locator(".mc-clip-card")
    assert cards.count() >= 3 and "mc-clip-best" in cards.first.get_attribute("class")
    page.locator("#mc-clip-query textarea, #mc-clip-query input").first.fill("rocket")
    page.keyboard.press("Control+Enter")
    page.get_by_text("“rocket”").wait_for()
    assert fits(page)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_an_uploaded_picture_is_matched_with_ctrl_enter(visit, language):
    page = open_tab(visit, language)
    upload(page)
    page.locator("#mc-clip-picture img").wait_for()
    page.locator("#mc-clip-labels textarea").fill("red apple\nbanana\nfish")
    page.keyboard.press("Control+Enter")
    assert answer(page).locator(".mc-bar").count() == 3


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("language", "said"), [("ko", "열 수 있는 그림이 아니에요"), ("en", "not a picture that this page opens")]
)
def test_a_bad_picture_is_a_sentence_beside_the_button(visit, language, said, width):
    page = open_tab(visit, language, width)
    upload(page, "drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>')
    error = page.locator(".mc-error >> visible=true")
    error.wait_for()
    assert said in error.inner_text()
    page.locator("#mc-clip-labels textarea").fill("a, b")
    page.keyboard.press("Control+Enter")
    error.wait_for()
    assert said in error.inner_text() and page.locator(".mc-timing >> visible=true").count() == 0
    assert fits(page)


def test_nothing_given_is_said_and_the_last_answer_stays(visit):
    page = open_tab(visit)
    page.locator("button.mc-run >> visible=true").click()
    error = page.locator(".mc-error >> visible=true")
    error.wait_for()
    assert "add a picture" in error.inner_text()
    page.locator(".mc-clip-example").first.click()
    answer(page)
    assert error.count() == 0
    page.locator("#mc-clip-labels textarea").fill(" , ")
    page.keyboard.press("Control+Enter")
    error.wait_for()
    assert "label" in error.inner_text() and answer(page).locator(".mc-bar").count() == 6


def test_labels_are_shown_as_they_were_written(visit):
    page = open_tab(visit)
    upload(page)
    page.locator("#mc-clip-picture img").wait_for()
    page.locator("#mc-clip-labels textarea").fill(HOSTILE + "\nred apple")
    page.keyboard.press("Control+Enter")
    names = answer(page).locator(".mc-bar-name").all_inner_texts()
    assert HOSTILE in names and page.locator(".mc-panel img[src=x]").count() == 0


def test_none_of_these_can_be_the_answer(visit):
    page = open_tab(visit)
    unfold(page)
    page.get_by_label("None of these").locator("visible=true").first.check()
    page.locator(".mc-clip-example").first.click()
    panel = answer(page)
    assert panel.locator(".mc-bar").count() == 7 and panel.locator(".mc-bar .mc-clip-none").count() == 1


def test_the_stages_and_the_code_open(visit):
    page = open_tab(visit)
    page.locator(".mc-clip-example").first.click()
    panel = answer(page)
    page.locator(".mc-stages-button >> visible=true").click()
    page.locator(".mc-stage >> visible=true").first.wait_for()
    assert "image_embeds" in " ".join(page.locator(".mc-stage >> visible=true").all_inner_texts())
    panel.locator(".mc-code summary").click()
    assert "AutoProcessor" in panel.locator(".mc-code pre").inner_text()


def test_a_link_opens_its_mode_with_its_words_and_asks_nothing_more(visit):
    page, asked = visit("en"), []
    page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
    page.goto(page.url.partition("?")[0] + "?tab=clip&query=rocket")
    page.locator("#mc-clip-query").wait_for()
    settle(page)
    assert page.locator("#mc-clip-query textarea, #mc-clip-query input").first.input_value() == "rocket"
    # Its answer would come later than what the visitor does meanwhile, and empty the error of that.
    assert not [each for each in asked if each["data"] == ["search"]]
