"""The text tab as visitors use it: examples, typing, keyboard, errors, the three stages, code and links."""

import json

import pytest

from tests.browser.conftest import WIDTHS, fits

EXAMPLES = {"ko": "영화 감상", "en": "Film reviews"}
VERDICTS = {"ko": ("긍정", "부정"), "en": ("positive", "negative")}
NASTY = "<img src=x onerror=alert(1)> ${alert(1)} <script>alert(2)</script>"


def choose(page, task):
    page.locator(f"#mc-text_tasks-task input[value={task}]").check(force=True)
    page.locator(f"#mc-text_tasks-{task}-model").wait_for()


def field(page, task, name):
    return page.locator(f"#mc-text_tasks-{task}-{name} textarea, #mc-text_tasks-{task}-{name} input").first


def run(page):
    page.locator("button.mc-run >> visible=true").click()


def answer(page):
    panel = page.locator(".mc-panel >> visible=true").first
    panel.locator(".mc-timing").wait_for()
    return panel


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_an_example_is_clicked_and_answered(visit, language, width):
    page = visit(language, width)
    page.get_by_role("button", name=EXAMPLES[language]).click()
    text = answer(page).inner_text()
    for word in VERDICTS[language]:
        assert word in text
    assert fits(page)


def test_ctrl_enter_runs_what_was_typed(visit):
    page = visit("en")
    field(page, "sentiment", "texts").fill("I had a wonderful day.")
    page.keyboard.press("Control+Enter")
    assert "wonderful" in answer(page).inner_text()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("language", "said"), [("ko", "먼저 글을 써 주세요."), ("en", "Please write some text first.")]
)
def test_an_empty_field_is_an_error_beside_the_button(visit, language, said, width):
    page = visit(language, width)
    run(page)
    page.locator(".mc-error >> visible=true").wait_for()
    assert page.locator(".mc-error >> visible=true").inner_text() == said


def test_a_failed_run_keeps_the_last_good_answer(visit):
    page = visit("en")
    field(page, "sentiment", "texts").fill("I had a wonderful day.")
    run(page)
    answer(page)
    field(page, "sentiment", "texts").fill("")
    run(page)
    page.locator(".mc-error >> visible=true").wait_for()
    assert "wonderful" in answer(page).inner_text()


OFFLINE = ("zero_shot", "entities", "answer", "fill_mask", "generate", "summarize", "similarity", "keywords")


@pytest.mark.parametrize("task", OFFLINE)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_each_task_that_works_offline_answers_its_first_example(visit, task, language):
    page = visit(language)
    choose(page, task)
    page.locator(f".mc-chip.mc-{language} >> visible=true").first.click()
    answer(page)
    assert page.locator(".mc-error >> visible=true").count() == 0


@pytest.mark.parametrize(("task", "language", "word"), [("translate", "ko", "내려받을"), ("entail", "en", "download")])
def test_a_task_that_needs_the_hub_says_what_it_would_download(visit, task, language, word):
    page = visit(language)
    choose(page, task)
    page.locator(f".mc-chip.mc-{language} >> visible=true").first.click()
    error = page.locator(".mc-error >> visible=true")
    error.wait_for()
    assert word in error.inner_text() and "MB" in error.inner_text()


def test_a_pair_of_korean_sentences_is_weighed_offline(visit):
    page = visit("ko")
    choose(page, "entail")
    page.locator(".mc-chip.mc-ko >> visible=true").first.click()
    assert "맞아요 · entailment" in answer(page).inner_text()
    assert page.locator(".mc-error >> visible=true").count() == 0


def test_markup_in_texts_and_labels_is_shown_not_run(visit):
    page = visit("en")
    choose(page, "zero_shot")
    field(page, "zero_shot", "text").fill(NASTY)
    field(page, "zero_shot", "labels").fill("<b>bold</b>, ${alert(3)}")
    run(page)
    panel = answer(page)
    assert "<b>bold</b>" in panel.inner_text()
    assert page.locator(".mc-panel img, .mc-panel b:text-is('bold')").count() == 0
    choose(page, "sentiment")
    field(page, "sentiment", "texts").fill(NASTY)
    run(page)
    assert "<img src=x" in answer(page).inner_text()
    assert page.locator(".mc-panel img").count() == 0


def test_the_three_stages_open_on_demand(visit):
    page = visit("en")
    field(page, "sentiment", "texts").fill("I had a wonderful day.")
    run(page)
    answer(page)
    page.locator(".mc-stages-button >> visible=true").click()
    stages = page.locator(".mc-stage >> visible=true")
    stages.first.wait_for()
    assert stages.count() == 3
    assert "wonderful" in stages.nth(0).inner_text()


def test_the_code_unfolds_and_can_be_taken_as_a_notebook(visit):
    page = visit("en")
    field(page, "sentiment", "texts").fill("I had a wonderful day.")
    run(page)
    panel = answer(page)
    panel.locator(".mc-code summary").click()
    assert "I had a wonderful day." in panel.locator(".mc-code pre").inner_text()
    with page.expect_download() as download:
        panel.locator("[data-mc=download]").click()
    notebook = json.loads(download.value.path().read_text("utf-8"))
    assert notebook["nbformat"] == 4 and download.value.suggested_filename == "sentiment.ipynb"


def test_a_link_opens_the_task_with_its_text(visit):
    page = visit("ko", path="/?tab=text_tasks&task=fill_mask&text=이 영화 정말 [MASK].")
    page.locator("#mc-text_tasks-fill_mask-text textarea").wait_for()
    page.wait_for_function(
        "() => document.querySelector('#mc-text_tasks-fill_mask-text textarea').value === '이 영화 정말 [MASK].'"
    )
    run(page)
    answer(page)


def test_an_unlisted_model_is_refused_in_words(visit):
    page = visit("en")
    field(page, "sentiment", "texts").fill("I had a wonderful day.")
    model = page.locator("#mc-text_tasks-sentiment-model input")
    model.fill("../../etc/passwd")
    model.press("Enter")
    run(page)
    page.locator(".mc-error >> visible=true").wait_for()
    assert "not a model id" in page.locator(".mc-error >> visible=true").inner_text()


def test_on_a_phone_the_chosen_task_stays_in_sight(visit):
    page = visit("ko", 390)
    for task in ("entail", "sentiment", "similarity"):
        chip = page.locator(f"#mc-text_tasks-task label:has(input[value={task}])")
        chip.click()
        page.locator(f"#mc-text_tasks-{task}-model").wait_for()
        # Focus on the radio inside, which is not seen, must not push the whole row away.
        box = chip.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
