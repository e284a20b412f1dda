"""Hostile texts in every field of every tab, with the page's policy out of the way: nothing runs, or becomes markup.

HOSTILE_TEXTS=500 python -m pytest tests/browser/test_hostile_text.py    all of them, in each field
"""

import os
from urllib.parse import quote

import pytest
from playwright.sync_api import TimeoutError as Late

from tests.browser import hostile_text
from tests.browser.conftest import visits

MANY = int(os.environ.get("HOSTILE_TEXTS", "40"))
TASKS = [
    *("sentiment", "zero_shot", "entities", "answer", "fill_mask", "generate", "summarize", "translate", "similarity"),
    *("keywords", "entail"),
]
# What a field takes is bounded, so many texts go in turns.
TURN_CHARS = 9_000
FOUND = """() => [window.__pwned || 0, document.querySelectorAll(
    '.mc-pwn, [onerror], [onload], [ontoggle], [onfocus], [onbegin], [onanimationstart], [href^="javascript:" i]'
).length]"""


def turns(texts):
    """The texts, as lists that fit into a field."""
    turn, size = [], 0
    for text in texts:
        if turn and size + len(text) > TURN_CHARS:
            yield turn
            turn, size = [], 0
        turn.append(text)
        size += len(text) + 1
    yield turn


@pytest.fixture
def hostile(chromium, address):
    """open(path) -> a page on which scripts may run from anywhere; fails on dialogs, script errors, and what ran."""
    with visits(chromium, address, bypass_csp=True) as open_page:
        yield lambda path: open_page("en", path=path)


def unharmed(page):
    assert page.evaluate(FOUND) == [0, 0]


def fill(page, lines):
    """Write the lines into all text fields that are seen, one into those that take one; say how many there were."""
    boxes = page.locator("textarea:visible, input[type=text]:visible").all()
    filled = 0
    for number, box in enumerate(boxes):
        if not box.is_editable() or box.get_attribute("role") == "listbox":
            continue
        many = box.evaluate("box => box.tagName === 'TEXTAREA'")
        box.fill("\n".join(lines) if many else lines[number % len(lines)])
        filled += 1
    return filled


def run(page):
    """Press Run, and wait until there is an answer or a reason why not."""
    page.locator("button.mc-run:visible").first.click()
    try:
        page.locator(".mc-error:visible, .mc-timing:visible").first.wait_for(timeout=45_000)
    except Late:
        pass  # a long computation; what matters is what is on the page
    page.wait_for_timeout(300)
    for details in page.locator("details:visible > summary").all()[:6]:
        details.click()


@pytest.mark.parametrize("task", TASKS)
def test_no_text_task_runs_a_text(hostile, task):
    page = hostile("/?tab=text_tasks")
    page.locator(f"#mc-text_tasks-task input[value={task}]").check(force=True)
    page.locator(f"#mc-text_tasks-{task}-model").wait_for()
    for lines in turns(hostile_text.texts(MANY)):
        assert fill(page, lines)
        run(page)
        unharmed(page)


@pytest.mark.parametrize("tab", ["sentiment", "tokenizer", "clip", "image_generation"])
def test_no_other_tab_runs_a_text(hostile, tab):
    page = hostile(f"/?tab={tab}")
    page.locator(f"[id^=mc-{tab}-]:visible").first.wait_for()
    for lines in turns(hostile_text.texts(MANY)):
        assert fill(page, lines)
        if page.locator("button.mc-run:visible").count():
            run(page)
        page.wait_for_timeout(500)
        unharmed(page)


def test_no_link_runs_a_text(hostile):
    texts = hostile_text.texts(8, start=3)
    for name, values in (
        ("text_tasks", ("task", "texts", "model")),
        ("tokenizer", ("text", "model")),
        ("clip", ("text",)),
    ):
        said = "&".join(f"{value}={quote(text)}" for value, text in zip(values, texts, strict=False))
        page = hostile(f"/?tab={name}&{said}&lang={quote(texts[-1])}")
        page.wait_for_timeout(1_500)
        unharmed(page)


def test_the_page_would_not_run_what_slipped_in(chromium, address):
    """The policy is the second line of defence: what an error of ours put into the page would still not run."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(address)
    page.locator("#mc-tabs").wait_for()
    html = "<img src=x onerror='window.__pwned=1'><svg onload='window.__pwned=1'></svg>"
    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", html)
    page.evaluate("""() => { const s = document.createElement('script'); s.textContent = 'window.__pwned=1';
                             document.body.append(s) }""")
    page.wait_for_timeout(500)
    assert page.evaluate("window.__pwned || 0") == 0
    context.close()


def test_no_tab_breaks_the_policy(chromium, address):
    """All that the page itself does is allowed: no violation in any tab, in either language."""
    context = chromium.new_context(locale="ko-KR")
    context.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('VIOLATION', e.violatedDirective))"
    )
    page = context.new_page()
    told = []
    page.on("console", lambda message: told.append(message.text))
    for tab in ("text_tasks", "sentiment", "tokenizer", "clip", "image_generation"):
        page.goto(f"{address}/?tab={tab}")
        page.locator(f"[id^=mc-{tab}-]:visible").first.wait_for()
        page.wait_for_timeout(1_000)
    page.goto(f"{address}/models")
    page.wait_for_timeout(1_000)
    context.close()
    assert not [
        text
        for text in told
        if "VIOLATION" in text or "Content Security Policy" in text or "Permissions-Policy" in text
    ]
