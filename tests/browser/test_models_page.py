"""The page of models in a real browser: what is here, and the owner's way in and out."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import WIDTHS, fits
from tests.conftest import served
from tests.hub import raw_models
from tests.hub.local_hub import LocalHub, wait_for

MODEL = "someone/raw"
SAID = {
    "en": ("Models", "In memory", "That is not the password", "were deleted", "Back to the classroom"),
    "ko": ("모델", "메모리에 있음", "비밀번호가 맞지 않아요", "파일을 지웠어요", "교실로 돌아가기"),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with LocalHub(tmp_path_factory.mktemp("repositories")) as running:
        raw_models.classifier(running.root / MODEL)
        yield running


@pytest.fixture(scope="module")
def address(hub, tmp_path_factory):
    there = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "CLASSROOM_HUB_TIMEOUT_S": "60"}
    with served(["app.py"], tmp_path_factory, CLASSROOM_OWNER_PASSWORD="open sesame", **there) as url:
        yield url


def row(page, model):
    return page.locator("#mc-models-table tr").filter(has=page.get_by_role("rowheader", name=model, exact=True))


def enter(page, word="open sesame"):
    page.locator("#mc-models-password input").fill(word)
    page.locator("#mc-models-enter").click()


def open_models(visit, language, width):
    context = visit(language, width).context
    page = context.pages[0]
    page.locator(".mc-status a").click(timeout=60_000)
    page.locator("#mc-models-table tbody tr").first.wait_for(timeout=60_000)
    return page


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_anyone_may_look_and_nobody_may_touch(visit, language, width):
    page = open_models(visit, language, width)
    title, in_memory, _, _, back = SAID[language]
    expect(page.locator(".mc-name h1")).to_contain_text(title)
    expect(row(page, "pocket/sentiment-ko")).to_contain_text(in_memory, timeout=180_000)
    assert page.locator("[data-act]").count() == 0 and page.locator(".nav-holder:visible").count() == 0
    assert fits(page)
    page.get_by_text(back).locator("visible=true").click()
    page.locator("#mc-tabs").wait_for()


@pytest.mark.parametrize(
    ("language", "width", "loaded"), [("en", 1280, "pocket/sentiment-ko"), ("ko", 390, "pocket/sentiment-en")]
)
def test_the_owner_unloads_stops_and_deletes(visit, hub, language, width, loaded):
    _, in_memory, wrong, deleted, _ = SAID[language]
    hub.mend()
    hub.requests.clear()
    hub.fail(MODEL, "drips", "model.safetensors")
    page = open_models(visit, language, width)
    enter(page, "open sesame!")
    expect(page.locator("#mc-models-said")).to_contain_text(wrong, timeout=20_000)
    expect(page.locator("#mc-models-password input")).to_have_value("")
    assert page.locator("[data-act]").count() == 0
    enter(page)
    unload = row(page, loaded).locator("[data-act=unload]")
    unload.click(timeout=180_000)
    expect(row(page, loaded)).not_to_contain_text(in_memory, timeout=30_000)

    other = visit(language, 1280, "/?tab=text_tasks")
    box = other.locator("#mc-text_tasks-sentiment-model input")
    box.fill(MODEL)
    box.press("Enter")
    other.locator("#mc-text_tasks-sentiment-texts textarea").fill("A good text")
    other.locator(".mc-run:visible").first.click()
    row(page, MODEL).locator("progress").wait_for(timeout=90_000)
    assert wait_for(lambda: any(path.startswith("GET") and path.endswith(".safetensors") for path in hub.paths()), 60)
    row(page, MODEL).locator("[data-act=stop]").click()
    expect(other.locator(".mc-error:visible")).to_be_visible(timeout=30_000)
    delete = row(page, MODEL).locator("[data-act=delete]")
    delete.focus()
    page.keyboard.press("Enter")
    row(page, MODEL).locator("[data-act=sure]").click()
    expect(page.locator("#mc-models-said")).to_contain_text(deleted, timeout=20_000)
    expect(row(page, MODEL)).to_have_count(0)
    assert fits(page)
    page.locator("#mc-models-leave").click()
    expect(page.locator("[data-act]")).to_have_count(0)
    expect(page.locator("#mc-models-password input")).to_be_visible()
