"""The line under the model picker, in a real browser, with a Hub on this machine."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.conftest import served
from tests.hub import raw_models
from tests.hub.local_hub import LocalHub

MODEL, OTHER, THIRD = "someone/raw", "someone/other", "someone/third"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with LocalHub(tmp_path_factory.mktemp("repositories")) as running:
        for name in (MODEL, OTHER, THIRD, "someone/fourth"):
            raw_models.classifier(running.root / name)
        raw_models.classifier(running.root / "someone/masks", architectures=["BertForMaskedLM"])
        yield running


@pytest.fixture(scope="module")
def address(hub, tmp_path_factory):
    # A server of its own: where the Hub is, is read when huggingface_hub is imported.
    there = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "CLASSROOM_PRELOAD": "0", "CLASSROOM_HUB_TIMEOUT_S": "60"}
    with served(["app.py"], tmp_path_factory, **there) as url:
        yield url


def choose(page, model):
    box = page.locator("#mc-text_tasks-sentiment-model input")
    box.fill(model)
    box.press("Enter")


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 390)])
def test_a_download_is_announced_followed_and_stopped(visit, hub, language, width):
    hub.mend()
    page = visit(language, width, "/?tab=text_tasks")
    line = page.locator("#mc-text_tasks-model-line")
    choose(page, MODEL)
    expect(line).to_contain_text("2.0 MB", timeout=60_000)
    expect(line).to_contain_text("apache-2.0")
    hub.fail(MODEL, "drips", "model.safetensors")
    page.locator("#mc-text_tasks-sentiment-texts textarea").fill("A good text")
    page.locator(".mc-run:visible").first.click()
    stop = page.locator("#mc-text_tasks-model-stop")
    expect(stop).to_be_visible(timeout=90_000)
    expect(line.locator("progress")).to_be_visible()
    expect(line).to_contain_text("MB/s" if language == "en" else "초당", timeout=30_000)
    stop.click()
    expect(page.locator(".mc-error:visible")).to_contain_text("Stopped" if language == "en" else "멈췄", timeout=20_000)
    expect(stop).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_what_cannot_be_used_is_said_when_it_is_chosen(visit, hub):
    hub.mend()
    page = visit("en", path="/?tab=text_tasks")
    choose(page, "someone/masks")
    line = page.locator("#mc-text_tasks-model-line")
    expect(line).to_contain_text("Cannot be used here", timeout=60_000)
    expect(line).to_contain_text("BertForMaskedLM")
    choose(page, "pocket/sentiment-en")
    expect(line).to_contain_text("Pocket model", timeout=60_000)


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 390)])
def test_the_sentiment_tab_tells_of_each_model_on_its_way_and_stops_it(visit, hub, language, width):
    hub.mend()
    hub.fail(OTHER, "drips", "model.safetensors")
    page = visit(language, width, f"/?tab=sentiment&text=A+good+text&model=pocket/sentiment-en,{OTHER}")
    halt = page.locator("#mc-sentiment-halt")
    expect(page.locator("#mc-sentiment-text textarea")).to_have_value("A good text", timeout=60_000)
    expect(halt).to_be_hidden()
    page.locator(".mc-run:visible").first.click()
    line = page.locator(".mc-sc-form .mc-wait")
    expect(line.locator("progress")).to_be_visible(timeout=120_000)
    expect(line).to_contain_text(f"{OTHER} · ")
    expect(line).to_contain_text("MB/s" if language == "en" else "초당", timeout=60_000)
    halt.click()
    said = page.locator(".mc-answer").filter(has_text="Stopped" if language == "en" else "멈췄")
    expect(said.first).to_be_visible(timeout=60_000)
    expect(halt).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 390)])
def test_the_tokenizer_tab_fetches_with_a_line_and_a_stop(visit, hub, language, width):
    hub.mend()
    hub.requests.clear()
    hub.fail(THIRD, "stalled", "vocab.txt")
    page = visit(language, width, f"/?tab=tokenizer&text=A+good+text&model={THIRD}")
    # A typed id says first what it costs; nothing is fetched before it is asked for.
    costs, fetch = page.locator("#mc-tokenizer-costs"), page.locator(".tk-fetch")
    expect(costs).to_contain_text("MB to fetch" if language == "en" else "MB를 받아요", timeout=120_000)
    expect(costs).to_contain_text(f"{THIRD} · ")
    assert f"GET /{THIRD}/resolve" not in " ".join(hub.paths())
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4000)
    assert len(asked) <= 5  # the clock of the costs, and nothing without end
    expect(page.locator(".tk-answer")).to_contain_text("Fetch the tokenizer" if language == "en" else "토크나이저 받기")
    fetch.click()
    line = page.locator(".mc-left .mc-wait:visible")
    expect(line).to_contain_text(THIRD, timeout=120_000)
    halt = page.locator("#mc-tokenizer-halt")
    expect(halt).to_be_visible(timeout=60_000)
    halt.click(timeout=60_000)
    said = page.locator(".tk-answer").filter(has_text="Stopped" if language == "en" else "멈췄")
    expect(said).to_contain_text("“Fetch the tokenizer”" if language == "en" else "‘토크나이저 받기’", timeout=60_000)
    expect(halt).to_be_hidden()


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 390)])
def test_the_sentiment_tab_tells_what_typed_ids_cost_before_they_run(visit, hub, language, width):
    hub.mend()
    page = visit(language, width, "/?tab=sentiment&text=A+good+text&model=pocket/sentiment-en,someone/fourth")
    costs = page.locator("#mc-sentiment-costs")
    expect(costs).to_contain_text("2.0 MB", timeout=60_000)
    expect(costs).to_contain_text("someone/fourth · ")
    page.locator(".mc-options:visible button").first.click()
    typed = page.locator(".mc-options:visible textarea, .mc-options:visible input[type=text]").first
    expect(typed).to_have_value("someone/fourth")
    page.wait_for_timeout(1000)  # the fold is still being drawn: what is typed into it at once is lost
    typed.fill("someone/fourth, someone/masks")
    typed.press("Enter")
    expect(costs).to_contain_text("BertForMaskedLM", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    typed.fill("someone/fourth")
    typed.press("Enter")
    expect(costs).not_to_contain_text("BertForMaskedLM", timeout=60_000)
    if language == "ko":  # the last of the two: from here on the model is on this machine
        page.locator(".mc-run:visible").first.click()
        expect(costs.locator("p")).to_have_count(0, timeout=120_000)


@pytest.mark.parametrize(("task", "language"), [("fill_mask", "en"), ("entities", "ko")])
def test_a_link_to_another_task_tells_of_its_model_too(visit, hub, task, language):
    hub.mend()
    page = visit(language, path=f"/?tab=text_tasks&task={task}&text=A+text&model=someone/masks")
    line = page.locator("#mc-text_tasks-model-line")
    expect(line).to_contain_text("apache-2.0" if task == "fill_mask" else "BertForMaskedLM", timeout=60_000)
    page.locator("#mc-text_tasks-task input[value=sentiment]").check(force=True)
    expect(line.locator("p")).to_have_count(0, timeout=20_000)
    page.locator(f"#mc-text_tasks-task input[value={task}]").check(force=True)
    expect(line).to_contain_text("apache-2.0" if task == "fill_mask" else "BertForMaskedLM", timeout=60_000)


def test_a_question_to_the_hub_can_be_stopped(visit, hub):
    hub.mend()
    hub.fail("someone/silent", "stalled")
    page = visit("en", path="/?tab=text_tasks")
    choose(page, "someone/silent")
    line = page.locator("#mc-text_tasks-model-line")
    expect(line).to_contain_text("Asking the Hub", timeout=60_000)
    page.locator("#mc-text_tasks-model-stop").click()
    expect(line).to_contain_text("Run asks the Hub again", timeout=30_000)
    hub.mend()
