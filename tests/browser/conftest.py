"""The page in a real browser: a fresh page for each test, on the server that all tests share."""

import os
import shutil
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from tabs import TABS

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = (1280, 390)
LOCALES = {"ko": "ko-KR", "en": "en-US"}


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser" in str(item.path).replace(os.sep, "/"):
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def visits(chromium, address, **shown):
    """Yield open(language, width=1280, path="/", scheme="light") -> a page that is ready; fails on script errors.

    `shown` goes to every context as it is.
    """
    contexts, problems = [], []

    def open_page(language, width=1280, path="/", scheme="light"):
        context = chromium.new_context(
            locale=LOCALES[language], viewport={"width": width, "height": 900}, color_scheme=scheme, **shown
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(address + path)
        page.locator("#mc-tabs").wait_for()
        # Gradio covers the page until every part of it answers.
        page.wait_for_function("!document.querySelector('.main > [data-testid=status-tracker]')")
        tab = parse_qs(urlsplit(path).query).get("tab", [""])[0]
        if tab in TABS:
            page.locator(f'#mc-tabs [data-tab-id="{tab}"][aria-selected=true]').first.wait_for(state="attached")
            settle(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture
def visit(chromium, address):
    """Return open(...) of `visits`, for the app that all tests share."""
    with visits(chromium, address) as open_page:
        yield open_page


def unfold(page, words="Options"):
    """Open an accordion, so that a test can type into its fields."""
    page.get_by_text(words, exact=True).locator("visible=true").click()
    settle(page)


def settle(page):
    """Wait until gradio has given fields shown for the first time their values, some frames after it shows them.

    A visitor cannot type in so few; what a test types in them would be overwritten.
    """
    page.evaluate(
        """async () => {
          for (let frame = 0; frame < 5; frame++) await new Promise(requestAnimationFrame);
          await new Promise((done) => setTimeout(done, 100));
        }"""
    )


def fits(page):
    """Tell whether the page scrolls only downwards."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
