"""The page in Chromium: time until it can be used, and time from a keystroke to recoloured tokens."""

from __future__ import annotations

import shutil
import statistics

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
SENTENCE = "오늘은 날씨가 좋아서 공원에 갔어요. The weather was lovely."
# Resolves with the milliseconds between typing one more letter and the next change of the drawn tokens.
KEYSTROKE = """(letter) => new Promise((resolve) => {
  const view = document.querySelector("#mc-tokenizer-view, .mc-tok-view") || document.body;
  const field = document.querySelector("#mc-tokenizer-text textarea");
  let start;
  new MutationObserver((_, watcher) => { watcher.disconnect(); resolve(performance.now() - start); })
    .observe(view, { childList: true, subtree: true, characterData: true });
  field.value += letter;
  start = performance.now();
  field.dispatchEvent(new Event("input", { bubbles: true }));
})"""

# Playwright looks for an element at most twice a second; a page that is ready just after a look would count as slow.
USABLE = """
const look = () => {
  const field = [...document.querySelectorAll("textarea")].find((each) => each.checkVisibility() && !each.disabled);
  if (field) window.usableAt = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def usable_ms(browser: object, url: str, visits: int) -> float:
    """Median milliseconds from navigation until the first text field can be typed in."""
    times = []
    for _ in range(visits):
        context = browser.new_context()
        page = context.new_page()
        page.add_init_script(USABLE)
        page.goto(url, wait_until="commit")
        times.append(page.wait_for_function("() => window.usableAt").json_value())
        context.close()
    return statistics.median(times)


def typing_ms(browser: object, url: str, keystrokes: int) -> list[float]:
    """Milliseconds from each of some keystrokes in the tokenizer to the recoloured tokens."""
    page = browser.new_context(locale="en-US").new_page()
    page.goto(url + "/?tab=tokenizer")
    field = page.locator("#mc-tokenizer-text textarea")
    field.wait_for()
    page.wait_for_timeout(1500)
    field.fill(SENTENCE)
    page.wait_for_timeout(1500)
    times = []
    for i in range(keystrokes):
        times.append(page.evaluate(KEYSTROKE, "abc 가나다"[i % 7]))
        page.wait_for_timeout(60)
    page.context.close()
    return times


def chromium(playwright: object) -> object:
    """Launch the installed Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    return playwright.chromium.launch(executable_path=path, args=FLAGS.split())
