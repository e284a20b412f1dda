"""Sentiment, side by side, in a real browser with the pocket models and no network."""

import csv
import io

import pytest

from tests.browser.conftest import WIDTHS, fits

FIELD = "#mc-sentiment-text textarea"
# What works without a network is ticked at first.
TICKED = ("pocket/sentiment-ko", "pocket/sentiment-en", "pocket/stars-ko")
HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{value}}"


def open_tab(visit, language="en", width=1280, more=""):
    page = visit(language, width, path=f"/?tab=sentiment{more}")
    page.locator(FIELD).wait_for()
    return page


def run(page, text):
    page.locator(FIELD).fill(text)
    page.locator(FIELD).press("Control+Enter")
    settled(page)


def settled(page):
    page.locator(".mc-sc").wait_for(timeout=60_000)
    page.wait_for_function("!document.querySelector('.mc-sc-waiting') && !document.querySelector('.mc-wait')")


def sentences(page):
    return page.locator(".mc-sc tbody .mc-sc-text").all_inner_texts()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_an_example_fills_a_row_a_sentence_and_a_column_a_model(visit, language, width):
    page = open_tab(visit, language, width)
    page.locator(f".mc-chip.mc-{language}").locator("visible=true").first.click()
    settled(page)
    assert len(sentences(page)) == 6
    assert page.locator(".mc-sc tbody tr").first.locator("td").count() == len(TICKED)
    rows = page.locator(".mc-sc tbody tr").evaluate_all("rows => rows.map(row => row.className)")
    assert rows == sorted(rows, key=lambda name: "differ" not in name)
    assert fits(page)


def test_why_opens_under_its_row_for_every_model_and_closes_again(visit):
    page = open_tab(visit)
    run(page, "A wonderful film\nA dull film")
    page.locator(".mc-sc-ask").nth(1).click()
    page.locator(".mc-sc-why").nth(1).wait_for()
    settled(page)
    opened = page.locator(".mc-sc-opened")
    assert opened.count() == 1
    above = opened.locator("xpath=preceding-sibling::tr[1]").locator(".mc-sc-text").inner_text()
    assert "".join(opened.locator(".mc-sc-line").first.inner_text().split()).startswith(above.split()[0])
    page.locator(".mc-sc-switch [data-method=gradient]").click()
    page.locator(".mc-sc-switch [data-method=gradient][aria-pressed=true]").wait_for()
    settled(page)
    page.locator(".mc-sc-switch [data-why='-1']").click()
    opened.wait_for(state="detached")


def test_typed_gold_labels_give_marks_and_a_confusion_matrix(visit):
    page = open_tab(visit)
    run(page, "A wonderful film\tpositive\nA dull, stupid film\tnegative\nIt opened last week\tneutral")
    assert page.locator(".mc-sc-card").count() == len(TICKED)
    counts = page.locator(".mc-sc-confusion").first.locator("tbody td").all_inner_texts()
    assert sum(map(int, counts)) == 3


def test_a_table_is_uploaded_and_the_results_are_saved_as_one(visit, tmp_path):
    page = open_tab(visit, "ko")
    table = tmp_path / "t.csv"
    table.write_bytes("문장,정답\n=정말 좋은 영화,긍정\n시간이 아까워요,부정\n".encode("cp949"))
    page.locator(".mc-sc-files input[type=file]").set_input_files(table)
    field = page.locator(FIELD)
    page.wait_for_function("field => field.value.includes('긍정')", arg=field.element_handle())
    field.press("Control+Enter")
    settled(page)
    with page.expect_download() as saved:
        page.locator("[data-name='sentiment.csv']").click()
    data = saved.value.path().read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    head, *rows = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    assert head[:3] == ["text", "gold", "agree"] and len(head) == 3 + 3 * len(TICKED)
    assert sorted(row[0] for row in rows) == ["'=정말 좋은 영화", "시간이 아까워요"]


def test_a_wrong_file_is_one_sentence_and_leaves_the_text(visit, tmp_path):
    page = open_tab(visit)
    page.locator(FIELD).fill("keep me")
    book = tmp_path / "t.csv"
    book.write_bytes(b"PK\x03\x04 not a table")
    page.locator(".mc-sc-files input[type=file]").set_input_files(book)
    page.get_by_text("This is an Excel workbook").wait_for()
    assert page.locator(FIELD).input_value() == "keep me"


def test_without_models_one_sentence_and_the_last_answer_stays(visit):
    page = open_tab(visit)
    run(page, "A wonderful film")
    ticked = page.locator("#mc-sentiment-model input:checked")
    while ticked.count():
        ticked.first.click()
    page.locator(FIELD).press("Control+Enter")
    page.get_by_text("Please choose at least one model.").wait_for()
    assert sentences(page) == ["A wonderful film"]


def test_a_model_that_cannot_be_had_costs_only_itself(visit):
    page = open_tab(visit)
    page.locator("#mc-sentiment-model label", has_text="nlptown").click()
    run(page, "A wonderful film")
    assert page.locator(".mc-sc tbody tr").first.locator("td").count() == len(TICKED)
    assert "nlptown" in page.locator(".mc-panel .mc-error").inner_text()


def test_what_a_visitor_wrote_is_shown_and_never_run(visit):
    page = open_tab(visit)
    run(page, HOSTILE)
    assert sentences(page) == [HOSTILE]
    page.locator(".mc-sc-ask").first.click()
    page.locator(".mc-sc-why").nth(1).wait_for()
    settled(page)
    assert page.locator(".mc-panel img").count() == 0


def test_many_models_scroll_inside_the_table_and_never_the_page(visit):
    page = open_tab(visit, width=800)
    run(page, "A wonderful film " * 20 + "x" * 300)
    assert fits(page)


def test_a_link_fills_the_form(visit):
    page = open_tab(visit, more="&text=Hello%20there&model=pocket/sentiment-en,owner/other")
    page.wait_for_function("document.querySelector('#mc-sentiment-text textarea').value === 'Hello there'")
    ticked = page.locator("#mc-sentiment-model label.selected")
    page.wait_for_function("document.querySelectorAll('#mc-sentiment-model input:checked').length === 1")
    assert "sentiment-en" in ticked.inner_text()
