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
