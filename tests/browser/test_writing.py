"""Writing on in a real browser, with a writer whose pace the tests set: controls, alternatives, "what if", Stop."""

import pytest

from tests.browser.conftest import WIDTHS, fits, unfold
from tests.conftest import served

WORDS = {"en": "all others", "ko": "나머지 모두"}
JUMPS = """() => {
  window.tops = new Set();
  const watch = () => {
    const bars = document.querySelector(".mc-next");
    if (bars) tops.add(Math.round(bars.getBoundingClientRect().top + scrollY));
    requestAnimationFrame(watch);
  };
  watch();
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Address of the app with the writer of tests/browser/fake_writing.py."""
    with served(["-m", "tests.browser.fake_writing"], tmp_path_factory) as url:
        yield url


def open_form(visit, language="en", width=1280, options=True, **more):
    page = visit(language, width, path="/?tab=text_tasks&task=generate", **more)
    page.locator("#mc-text_tasks-generate-prompt textarea").wait_for()
    if options:
        unfold(page, {"en": "Options", "ko": "더 정하기"}[language])
    return page


def field(page, name):
    return page.locator(f"#mc-text_tasks-generate-{name}")


def tokens(page, count):
    """Set how many tokens are written."""
    number = field(page, "max_new_tokens").locator("input[type=number]")
    number.fill(str(count))
    number.press("Tab")


def write(page, prompt, versions=None):
    field(page, "prompt").locator("textarea").fill(prompt)
    page.keyboard.press("Control+Enter")
    return written(page, versions)


def written(page, versions=None):
    """Wait for the text to be complete, as the newest of so many versions."""
    if versions:
        page.wait_for_function(f"document.querySelectorAll('.mc-versions button:enabled').length === {versions}")
    page.locator(".mc-written[data-live='0']").wait_for()
    return page.locator(".mc-generated").inner_text()


def other(page, number=0):
    return page.locator("button.mc-alt").nth(number)


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize(
    ("method", "there", "gone"),
    [
        ("sample", ("temperature", "top_k", "top_p", "seed"), ("num_beams",)),
        ("greedy", (), ("temperature", "top_k", "top_p", "num_beams", "seed")),
        ("beam", ("num_beams",), ("temperature", "top_k", "top_p", "seed")),
    ],
)
def test_only_controls_that_have_an_effect_are_there(visit, language, method, there, gone):
    page = open_form(visit, language)
    page.locator(f"input[value={method}]").check(force=True)
    for name in ("max_new_tokens", "repetition_penalty", *there):
        assert field(page, name).is_visible()
    assert not [name for name in gone if field(page, name).is_visible()]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_text_comes_with_the_bars_of_its_newest_token(visit, language, width):
    page = open_form(visit, language, width)
    tokens(page, 9)
    assert write(page, "Once").endswith((" w9", " x9", " y9", " z9"))
    assert page.locator(".mc-next-title b").inner_text() == "␣" + page.locator(".mc-token").last.inner_text().strip()
    assert page.locator(".mc-alt").count() == 6 and page.locator(".mc-alt-written").count() == 1
    assert WORDS[language] in page.locator(".mc-alt-others").inner_text()
    assert fits(page)


def test_the_seed_is_shown_kept_and_drawn_anew(visit):
    page = open_form(visit)
    seed = field(page, "seed").locator("input, textarea").first
    tokens(page, 5)
    assert seed.input_value() == ""
    first = write(page, "Once")
    shown = page.locator("[data-seed]").get_attribute("data-seed")
    assert f"seed {shown}" in page.locator(".mc-facts").inner_text()
    page.locator("[data-seed]").click()
    page.wait_for_function(
        f"document.querySelector('#mc-text_tasks-generate-seed :is(input, textarea)').value === '{shown}'"
    )
    assert write(page, "Once", versions=2) == first
    page.locator(".mc-dice").click()
    page.wait_for_function(
        f"document.querySelector('#mc-text_tasks-generate-seed :is(input, textarea)').value !== '{shown}'"
    )
    assert seed.input_value().isdecimal()


@pytest.mark.parametrize(("language", "said"), [("en", "seed must be"), ("ko", "seed에는")])
def test_a_seed_that_is_none_is_said_beside_the_button(visit, language, said):
    page = open_form(visit, language)
    field(page, "seed").locator("input, textarea").first.fill("seven")
    field(page, "prompt").locator("textarea").fill("Once")
    page.keyboard.press("Control+Enter")
    page.locator(".mc-error >> visible=true").filter(has_text=said).wait_for()


def test_a_followed_link_empties_no_error_that_came_since(visit):
    page, late = visit("en"), []

    def hold(route):
        late.append(route) if route.request.post_data_json["data"] == ["generate"] else route.continue_()

    page.route("**/gradio_api/run/predict*", hold)
    page.goto(page.url.partition("?")[0] + "?tab=text_tasks&task=generate")
    field(page, "prompt").locator("textarea").wait_for()
    unfold(page)
    field(page, "seed").locator("input, textarea").first.fill("seven")
    field(page, "prompt").locator("textarea").fill("Once")
    page.keyboard.press("Control+Enter")
    error = page.locator(".mc-error >> visible=true").filter(has_text="seed must be")
    error.wait_for()
    for route in late:
        with page.expect_response("**/gradio_api/run/predict*"):
            route.continue_()
    page.wait_for_timeout(300)
    assert error.is_visible() and field(page, "seed").locator("input, textarea").first.input_value() == "seven"


@pytest.mark.parametrize("width", WIDTHS)
def test_what_if_another_token_had_stood_there(visit, width):
    page = open_form(visit, width=width)
    tokens(page, 8)
    field(page, "seed").locator("input, textarea").first.fill("0")
    assert write(page, "Once") == "Once w1 w2 w3 w4 w5 w6 w7 w8"
    page.locator(".mc-token").nth(2).click()
    assert "Token 3 of 8" in page.locator(".mc-next-title").inner_text()
    assert page.locator(".mc-token[aria-pressed=true]").inner_text().strip() == "w3"
    other(page, 1).click()
    assert written(page, versions=2) == "Once w1 w2 y3 w4 w5 w6 w7 w8 w9 w10 w11"
    assert page.locator(".mc-swapped").inner_text().strip() == "y3"
    assert "“w3” → “y3”" in page.locator(".mc-versions button[aria-current=true]").inner_text()
    assert fits(page)
    page.locator(".mc-versions button").nth(1).click()
    page.wait_for_function("document.querySelectorAll('.mc-token').length === 8")
    assert page.locator(".mc-generated").inner_text() == "Once w1 w2 w3 w4 w5 w6 w7 w8"
    page.locator(".mc-code summary >> visible=true").click()
    assert "kept = " not in page.locator(".mc-code pre >> visible=true").inner_text()


def test_a_token_too_narrow_to_be_hit_is_reached_step_by_step(visit):
    page = open_form(visit, width=390)
    tokens(page, 4)
    write(page, "Once")
    before, after = (page.locator(".mc-next-title button").nth(number) for number in (0, 1))
    assert after.is_disabled()
    for place in (3, 2, 1):
        before.click()
        assert f"Token {place} of 4" in page.locator(".mc-next-title").inner_text()
    assert before.is_disabled() and page.evaluate("document.activeElement.textContent") == "→"
    after.click()
    assert "Token 2 of 4" in page.locator(".mc-next-title").inner_text()


def test_it_all_goes_by_keyboard(visit):
    page = open_form(visit)
    tokens(page, 6)
    field(page, "seed").locator("input, textarea").first.fill("0")
    write(page, "Once")
    page.locator(".mc-token").last.focus()
    for key in ("ArrowLeft", "ArrowLeft", "Home", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.textContent") == " w2"
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Put “ x2” here (25.0 %)")
    page.keyboard.press("Enter")
    assert written(page, versions=2).startswith("Once w1 x2 w3")
    page.wait_for_function("document.activeElement.textContent === ' x2'")
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    while page.evaluate("!document.activeElement.dataset.version"):
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelectorAll('.mc-token').length === 6")


def test_a_text_is_written_by_hand_one_token_at_a_time(visit):
    page = open_form(visit, options=False)
    field(page, "prompt").locator("textarea").fill("Once")
    page.locator(".mc-next-only").click()
    written(page)
    assert page.locator(".mc-token").count() == 1
    for count in (2, 3):
        other(page).click()
        written(page, versions=count)
        assert page.locator(".mc-token").count() == count
        assert f"Token {count} of {count}" in page.locator(".mc-next-title").inner_text()


def test_stop_leaves_a_text_that_can_be_gone_on_from(visit):
    page = open_form(visit, options=False)
    field(page, "prompt").locator("textarea").fill("slow")
    page.keyboard.press("Control+Enter")
    page.wait_for_function("document.querySelectorAll('.mc-token').length > 2")
    assert page.locator("button.mc-alt:enabled").count() == 0
    page.keyboard.press("Escape")
    written(page)
    assert page.locator(".mc-token").count() < 40
    other(page).click()
    page.locator(".mc-versions").wait_for()


def test_while_it_is_written_nothing_jumps(visit):
    page = open_form(visit)
    tokens(page, 12)
    page.evaluate(JUMPS)
    write(page, "slow")
    assert len(page.evaluate("[...tops]")) == 1


@pytest.mark.parametrize(("language", "said"), [("en", "side by side"), ("ko", "나란히")])
def test_beams_are_seen_side_by_side(visit, language, said):
    page = open_form(visit, language)
    page.locator("input[value=beam]").check(force=True)
    tokens(page, 3)
    field(page, "prompt").locator("textarea").fill("slow")
    page.keyboard.press("Control+Enter")
    page.locator(".mc-beams li >> visible=true").first.wait_for()
    assert page.locator(".mc-beams li").count() == 3 and said in page.locator(".mc-next").inner_text()
    written(page)
    assert "num_beams 3" in page.locator(".mc-facts").inner_text() and page.locator("[data-seed]").count() == 0


def test_what_fails_on_the_way_keeps_the_text(visit):
    page = open_form(visit, options=False)
    write(page, "broken")
    page.locator(".mc-error >> visible=true").wait_for()
    assert page.locator(".mc-token").count() == 3
    assert other(page).is_enabled()


def test_markup_in_prompt_and_tokens_is_shown_not_run(visit):
    page = open_form(visit)
    tokens(page, 2)
    assert "<img src=x onerror=alert(1)> ${alert(2)}" in write(page, "<img src=x onerror=alert(1)> ${alert(2)}")
    other(page, 3).click()
    assert "<b>&" in written(page, versions=2)
    assert "<b>&" in page.locator(".mc-versions").inner_text()
    assert page.locator(".mc-panel img, .mc-generated b, .mc-versions span b").count() == 0
