"""The switch "this machine / Inference Providers" of the text and picture tabs, and objects found in a picture, with a
router on this machine."""

from __future__ import annotations

import json
import re

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import expect

from tests.browser.conftest import fits
from tests.conftest import served
from tests.hub import local_objects
from tests.hub.local_provider import Answer, LocalProvider, offer, picture_file

TOKEN = "hf_browserVisitor"
READER, WRITER = "owner/reader", "owner/writer"
FINDER = "facebook/detr-resnet-50"
PAINTER = "black-forest-labs/FLUX.1-schnell"
SOON = {"timeout": 20_000}


@pytest.fixture(scope="module")
def provider():
    with LocalProvider() as server:
        server.offers[READER] = offer("hf-inference", task="text-classification")
        server.offers[WRITER] = offer("together", task="conversational")
        server.offers[FINDER] = offer("hf-inference", task="object-detection")
        server.offers[PAINTER] = offer("hf-inference", "fal-ai")
        yield server


@pytest.fixture(scope="module")
def address(provider, tmp_path_factory):
    there = {"ROUTER": provider.url, "HF_ENDPOINT": provider.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_theOwners"}
    # Nothing fits this machine.
    small = {"CLASSROOM_PRELOAD": "0", "CLASSROOM_MEMORY_BUDGET_MB": "1"}
    with served(["-m", "tests.browser.elsewhere_app"], tmp_path_factory, **small, **there) as url:
        yield url


@pytest.fixture(autouse=True)
def anew(provider):
    provider.answers.clear()
    provider.requests.clear()
    provider.released.clear()


def fill(page, task, model, **fields):
    page.locator(f"#mc-text_tasks-task input[value={task}]").check(force=True)
    box = page.locator(f"#mc-text_tasks-{task}-model input")
    box.fill(model)
    box.press("Enter")
    for name, value in fields.items():
        page.locator(f"#mc-text_tasks-{task}-{name} textarea").fill(value)


def go_elsewhere(page, token, tab="text_tasks"):
    page.locator(f"#mc-{tab}-where").get_by_text("Inference Providers", exact=True).click()
    field = page.locator(f"#mc-{tab}-token input")
    field.wait_for()
    field.fill(token)


def run(page):
    page.locator("button.mc-run >> visible=true").click()


def nowhere(page, token):
    """Tell whether the page keeps a token nowhere but in its field."""
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href, document.cookie])")
    return token not in stored and token not in page.content()


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 390)])
def test_a_provider_answers_with_a_good_token_and_a_bad_one_is_said(visit, provider, language, width):
    page = visit(language, width, "/?tab=text_tasks")
    fill(page, "sentiment", READER, texts="a good film\nnot one")
    expect(page.locator("#mc-text_tasks-token")).to_have_count(0)
    go_elsewhere(page, TOKEN)
    run(page)
    panel = page.locator(".mc-panel >> visible=true").first
    panel.locator(".mc-timing").wait_for()
    expect(panel.locator(".mc-timing")).to_contain_text("Inference Providers · hf-inference", **SOON)
    expect(panel).to_contain_text("positive" if language == "en" else "긍정", **SOON)
    posts = provider.asked("POST")
    assert [each.body["inputs"] for each in posts] == ["a good film", "not one"]
    assert {each.headers["authorization"] for each in posts} == {f"Bearer {TOKEN}"}
    panel.locator(".mc-code summary").click()
    code = panel.locator(".mc-code pre").inner_text()
    assert "InferenceClient" in code and 'os.environ["HF_TOKEN"]' in code and TOKEN not in code
    assert nowhere(page, TOKEN) and fits(page)

    page.locator(".mc-stages-button").click()
    expect(page.locator(".mc-stages.block")).to_contain_text("hf-inference", **SOON)

    provider.answers.append(Answer(401, f"Invalid token {TOKEN}".encode()))
    run(page)
    error = page.locator(".mc-error >> visible=true")
    error.wait_for()
    expect(error).to_contain_text(
        "does not accept this token" if language == "en" else "토큰을 받아 주지 않아요", **SOON
    )
    expect(panel).to_contain_text("a good film", **SOON)  # what stood there still does
    page.locator("#mc-text_tasks-token input").fill("")
    run(page)
    expect(error).to_contain_text("huggingface.co/settings/tokens", **SOON)
    assert nowhere(page, TOKEN) and fits(page)


def test_a_short_wait_is_counted_and_a_long_one_said(visit, provider):
    page = visit("en", path="/?tab=text_tasks")
    fill(page, "sentiment", READER, texts="a good film")
    go_elsewhere(page, TOKEN)
    provider.answers.append(Answer(429, headers={"Retry-After": "3"}))
    run(page)
    expect(page.locator(".mc-wait >> visible=true").first).to_contain_text("going on in", **SOON)
    page.locator(".mc-panel .mc-timing >> visible=true").wait_for()
    provider.answers.append(Answer(429, headers={"Retry-After": "600"}))
    run(page)
    expect(page.locator(".mc-error >> visible=true")).to_contain_text("600 seconds", **SOON)


def test_a_chat_is_written_piece_by_piece_and_stays_as_it_is(visit, provider):
    page = visit("en", path="/?tab=text_tasks")
    fill(page, "generate", WRITER, prompt="Tell a story.")
    go_elsewhere(page, TOKEN)
    provider.answers.append(Answer(pace=0.15))
    run(page)
    text = page.locator(".mc-generated")
    expect(text).to_contain_text("Once", **SOON)
    expect(text).to_contain_text("upon a time.", **SOON)
    panel = page.locator(".mc-panel >> visible=true").first
    expect(panel.locator(".mc-timing")).to_contain_text("together", **SOON)
    page.locator(".mc-token").nth(1).click()
    other = page.locator(".mc-next button.mc-alt")
    expect(other.first).to_contain_text("other", **SOON)
    assert other.first.is_disabled()
    page.wait_for_timeout(1000)  # a click while the last run's event is ending counts for nothing
    # A provider that tells no chances.
    provider.answers.append(Answer(400, b'{"error":"logprobs"}'))
    run(page)
    expect(panel).to_contain_text("does not tell how likely", **SOON)
    page.wait_for_timeout(1000)
    assert page.locator(".mc-next").count() == 0
    run(page)
    expect(page.locator(".mc-versions li")).to_have_count(3, **SOON)


def test_markup_from_a_provider_is_shown_not_run(visit, provider):
    page = visit("en", path="/?tab=text_tasks")
    fill(page, "sentiment", READER, texts="a good film")
    go_elsewhere(page, TOKEN)
    evil = [[{"label": "<img src=x onerror=alert(1)>", "score": 0.9}, {"label": "${alert(2)}", "score": 0.1}]]
    provider.answers.append(Answer(body=json.dumps(evil).encode()))
    run(page)
    page.locator(".mc-panel .mc-timing >> visible=true").wait_for()
    assert "<img src=x" in page.locator(".mc-panel >> visible=true").first.inner_text()
    assert page.locator(".mc-panel img").count() == 0


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 390)])
def test_what_does_not_fit_here_is_offered_there(visit, language, width):
    page = visit(language, width, "/?tab=text_tasks")
    fill(page, "sentiment", "pocket/sentiment-ko", texts="좋은 영화")
    line = page.locator(".mc-model-line")
    offered = line.locator(".mc-offer button")
    expect(offered).to_be_visible(**SOON)
    assert fits(page)
    offered.click()
    page.locator("#mc-text_tasks-token input").wait_for()
    expect(line).to_be_hidden()


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 390)])
def test_a_picture_that_does_not_fit_here_is_painted_there(visit, provider, language, width):
    page = visit(language, width, "/?tab=image_generation")
    page.locator("#mc-image_generation-prompt textarea").fill("a red apple")
    expect(page.locator("#mc-image_generation-token")).to_have_count(0)
    run(page)
    offered = page.locator(".mc-error-line .mc-offer button")
    expect(offered).to_be_visible(timeout=60_000)
    assert fits(page)
    offered.click()
    token = page.locator("#mc-image_generation-token input")
    token.wait_for()
    expect(offered).to_be_hidden()
    # The pocket model runs here only: one that providers have stands in its place, with its own options.
    expect(page.locator("#mc-image_generation-model input")).to_have_value(re.compile(PAINTER), **SOON)
    run(page)
    error = page.locator(".mc-error >> visible=true")
    expect(error).to_contain_text("huggingface.co/settings/tokens", **SOON)
    token.fill(TOKEN)
    box = page.locator("#mc-image_generation-provider input")
    box.fill("fal-ai")
    box.press("Enter")
    run(page)
    panel = page.locator(".mc-paint .mc-panel").first
    expect(panel.locator(".mc-timing")).to_contain_text("Inference Providers · fal-ai", timeout=60_000)
    (order,) = provider.asked("POST")
    assert order.path.startswith("/router/fal-ai/") and order.body["prompt"] == "a red apple"
    assert (order.body["image_size"]["width"], order.body["num_inference_steps"]) == (1024, 4)
    assert order.headers["authorization"] == f"Bearer {TOKEN}"
    panel.locator(".mc-code summary").click()
    code = panel.locator(".mc-code pre").inner_text()
    assert "InferenceClient" in code and TOKEN not in code
    assert nowhere(page, TOKEN) and fits(page)


def test_two_prompts_with_one_seed_are_painted_there_too(visit, provider):
    page = visit("en", path=f"/?tab=image_generation&prompt=a+red+apple&model={PAINTER}&seed=5")
    go_elsewhere(page, TOKEN, "image_generation")
    page.locator("#mc-paint-twice button").first.click()
    page.locator("#mc-image_generation-second textarea").fill("a blue apple")
    page.locator(".mc-paint-go").click()
    expect(page.locator(".mc-paint-compare")).to_be_visible(timeout=60_000)
    sent = [order.body["parameters"]["seed"] for order in provider.asked("POST")]
    assert sent == [5, 5] and nowhere(page, TOKEN)


def test_a_painter_too_large_for_this_machine_says_so_when_it_is_chosen(visit, provider):
    page = visit("en", path="/?tab=image_generation&model=pocket/flux-emoji")
    line = page.locator("#mc-image_generation-model-line")
    expect(line).to_contain_text("Too big for this machine", timeout=60_000)
    line.locator(".mc-offer button").click()
    page.locator("#mc-image_generation-token input").wait_for()
    expect(line).to_be_hidden()


def ask_for_objects(page, token=TOKEN, size=(400, 300)):
    page.locator("#mc-clip-mode input[value=objects]").check(force=True)
    field = page.locator("#mc-clip-token input")
    field.wait_for()
    file = {"name": "room.png", "mimeType": "image/png", "buffer": picture_file(*size, "navy")}
    page.locator("#mc-clip-picture input[type=file]").first.set_input_files(file)
    page.locator("#mc-clip-picture img").wait_for()
    field.fill(token)
    run(page)


def within(inner, outer):
    """Tell whether a rectangle lies in another, give or take a pixel."""
    return (
        inner["x"] >= outer["x"] - 1
        and inner["y"] >= outer["y"] - 1
        and inner["x"] + inner["width"] <= outer["x"] + outer["width"] + 1
        and inner["y"] + inner["height"] <= outer["y"] + outer["height"] + 1
    )


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_objects_are_found_there_and_stand_in_the_picture(visit, provider, language, width):
    page = visit(language, width, "/?tab=clip")
    ask_for_objects(page)
    panel = page.locator(".mc-panel >> visible=true").first
    expect(panel.locator(".mc-timing")).to_contain_text("Inference Providers · hf-inference", **SOON)
    (order,) = provider.asked("POST")
    assert order.headers["authorization"] == f"Bearer {TOKEN}" and order.body["parameters"] == {"threshold": 0.5}
    assert local_objects.sent(order.body).startswith(b"\xff\xd8\xff")  # written anew: what was given is a PNG
    frame = panel.locator(".mc-objects-frame img").bounding_box()
    marks = panel.locator(".mc-object-mark :is(i, b)")
    assert marks.count() == 4 and frame["width"] / frame["height"] == pytest.approx(4 / 3, rel=0.02)
    assert all(within(mark.bounding_box(), frame) for mark in marks.all())
    cat = panel.locator(".mc-object-mark[data-object='1'] i").bounding_box()
    assert cat["width"] == pytest.approx(frame["width"] / 2, abs=2) and cat["x"] == pytest.approx(frame["x"], abs=2)
    rows = panel.locator("ol button.mc-object")
    assert "cat" in rows.nth(0).inner_text() and "96.9 %" in rows.nth(0).inner_text()
    shown = panel.locator(".mc-object-mark.mc-shown")
    rows.nth(1).focus()
    expect(shown).to_have_attribute("data-object", "2")
    page.keyboard.press("Enter")
    expect(rows.nth(1)).to_have_attribute("aria-pressed", "true")
    panel.locator(".mc-code summary").click()
    expect(shown).to_have_attribute("data-object", "2")  # pressed, it stays
    code = panel.locator(".mc-code pre").inner_text()
    assert "object_detection" in code and TOKEN not in code
    assert nowhere(page, TOKEN) and fits(page)
    assert page.locator(".mc-stages-button >> visible=true").count() == 0

    evil = [local_objects.row("<img src=x onerror=alert(1)> ${alert(2)}" * 4, 0.9, 390, 290, 500, 400)] * 40
    provider.answers.append(Answer(body=json.dumps(evil).encode()))
    run(page)
    expect(panel.locator(".mc-object-mark")).to_have_count(40, **SOON)
    assert "<img src=x" in rows.nth(0).inner_text() and panel.locator("img").count() == 1
    frame = panel.locator(".mc-objects-frame img").bounding_box()
    assert all(within(mark.bounding_box(), frame) for mark in marks.all()[:4]) and fits(page)
    # On a phone that many names would cover each other: only the number stands there, and the name of the one shown.
    names = panel.locator(".mc-object-mark b span >> visible=true")
    assert names.count() == (40 if width > 768 else 0)
    rows.nth(2).focus()
    expect(names).to_have_count(40 if width > 768 else 1)
    provider.answers.append(Answer(402))
    run(page)
    expect(page.locator(".mc-error >> visible=true")).to_contain_text("huggingface.co/settings/billing", **SOON)
    expect(panel.locator(".mc-object-mark")).to_have_count(40)  # what stood there still does
    assert nowhere(page, TOKEN) and fits(page)


def test_a_stop_ends_the_wait_for_objects_and_the_other_modes_are_as_they_were(visit, provider):
    page = visit("en", path="/?tab=clip&objects_model=facebook/detr-resnet-50")
    provider.answers.append(Answer(stalled=True))
    ask_for_objects(page)
    waits = page.locator(".mc-wait >> visible=true")
    waits.first.wait_for()
    page.wait_for_timeout(800)
    page.keyboard.press("Escape")
    expect(waits).to_have_count(0, **SOON)
    assert page.locator(".mc-error >> visible=true").count() == 0
    provider.released.set()
    page.locator("#mc-clip-mode input[value=match]").check(force=True)
    page.locator("#mc-clip-labels textarea").wait_for()
    assert page.locator("#mc-clip-token").count() == 0 and page.locator("button.mc-run >> visible=true").count() == 1


def test_programs_find_objects_with_a_token_of_their_own(provider, address, tmp_path):
    (tmp_path / "room.png").write_bytes(picture_file(400, 300, "navy"))
    client = Client(address, verbose=False)
    room = handle_file(str(tmp_path / "room.png"))
    found = client.predict(room, TOKEN, api_name="/detect_objects")
    assert found == [
        local_objects.row("cat", 0.96875, 0, 0, 200, 150),
        local_objects.row("dog", 0.875, 200, 75, 400, 300),
    ]
    assert provider.asked("POST")[0].headers["authorization"] == f"Bearer {TOKEN}"
    for answer, said in ((Answer(401, TOKEN.encode()), "does not accept this token"), (Answer(body=b"7"), "could not")):
        provider.answers.append(answer)
        with pytest.raises(AppError, match=said) as caught:
            client.predict(room, TOKEN, threshold=0.9, api_name="/detect_objects")
        assert TOKEN not in str(caught.value)
    with pytest.raises(AppError, match="a number from 0 to 1"):
        client.predict(room, TOKEN, None, 7, api_name="/detect_objects")
    with pytest.raises(AppError, match="token is needed"):  # the owner's is not lent
        client.predict(room, api_name="/detect_objects")
