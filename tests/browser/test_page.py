"""The page around the tabs: language, projector mode, links, keyboard."""

import pytest

from tests.browser.conftest import WIDTHS, fits

TABS = {"ko": ("글 다루기", "감정 비교", "토크나이저"), "en": ("Text tasks", "Sentiment", "Tokenizer")}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_browsers_language_decides(visit, language, width):
    page = visit(language, width)
    for name in TABS[language]:
        page.get_by_role("tab", name=name, exact=True).first.wait_for(state="attached")
    assert page.locator("html").get_attribute("lang") == language
    assert fits(page)


def test_the_switch_overrides_the_browser_and_keeps_what_was_typed(visit):
    page = visit("en")
    page.locator("#mc-text_tasks-sentiment-texts textarea").fill("Keep me, please.")
    page.locator("[data-mc=language]").click()
    page.get_by_role("tab", name=TABS["ko"][0]).wait_for()
    field = page.locator("#mc-text_tasks-sentiment-texts textarea")
    page.wait_for_function("e => e.value === 'Keep me, please.'", arg=field.element_handle())
    page.reload()
    page.get_by_role("tab", name=TABS["ko"][0]).wait_for()


def test_projector_mode_is_larger_and_stays(visit):
    page = visit("en")
    size = "parseFloat(getComputedStyle(document.documentElement).fontSize)"
    before = page.evaluate(size)
    page.locator("[data-mc=larger]").click()
    assert page.evaluate(size) > before
    page.reload()
    page.locator("#mc-tabs").wait_for()
    assert page.evaluate(size) > before


@pytest.mark.parametrize("tab", [1, 2])
def test_a_link_opens_its_tab(visit, tab):
    name = ("text_tasks", "sentiment", "tokenizer")[tab]
    page = visit("en", path=f"/?tab={name}")
    page.locator("[role=tab][aria-selected=true]", has_text=TABS["en"][tab]).first.wait_for()


def test_hangul_in_composition_does_not_run(visit):
    page = visit("ko")
    page.locator("#mc-text_tasks-sentiment-texts textarea").fill("좋아요")
    page.evaluate(
        """() => document.querySelector('#mc-text_tasks-sentiment-texts textarea').dispatchEvent(
            new KeyboardEvent('keydown', {key: 'Enter', ctrlKey: true, isComposing: true, bubbles: true}))"""
    )
    page.wait_for_timeout(600)
    assert page.locator(".mc-timing").count() == 0


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_tab_is_filled_when_it_is_first_shown(visit, language):
    page = visit(language)
    page.get_by_role("tab", name=TABS[language][2]).click()
    page.locator(".tk-answer .tk").first.wait_for(timeout=90_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_footer_can_be_read_and_the_code_scrolled_by_keyboard(visit, scheme):
    page = visit("en", scheme=scheme)
    footer = page.locator("footer button").first
    assert footer.evaluate("e => Number(getComputedStyle(e).opacity)") == 1
    page.locator(".mc-chip.mc-en >> visible=true").first.click()
    page.locator(".mc-timing >> visible=true").first.wait_for()
    assert page.locator(".mc-more pre").first.get_attribute("tabindex") == "0"


def test_examples_stand_in_one_line(visit):
    page = visit("en")
    tops = page.locator(".mc-chip >> visible=true").evaluate_all("all => all.map(e => e.getBoundingClientRect())")
    rows = {round(box["bottom"]) for box in tops}
    assert len(rows) == len({round(box["top"] / 20) for box in tops})


@pytest.mark.parametrize(("language", "said"), [("ko", "1,000,000자"), ("en", "1,000,000 characters")])
def test_a_text_far_over_the_limit_is_turned_away_and_the_field_keeps_what_it_held(visit, language, said):
    page = visit(language)
    field = page.locator("textarea >> visible=true").first
    field.fill("좋아요")
    field.evaluate(
        """(field) => {
          field.value = "가 ".repeat(500_000);
          field.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    note = page.get_by_role("alert").filter(has_text=said)
    note.wait_for()
    assert "{" not in note.inner_text()
    assert field.input_value() == "좋아요"
    field.fill("좋아요!")
    note.wait_for(state="detached")
