"""The pocket CLIP: it knows the example pictures by their names in both languages, answers quickly, and says so."""

import time

import pytest

from pipelines import catalog, clip, clip_stages, emoji, hub, images, show_code

pytestmark = pytest.mark.models


@pytest.fixture(autouse=True)
def there():
    """A missing model or missing pictures are a failure, never a skip."""
    assert hub.state(clip.POCKET) == "pocket"
    assert len(emoji.examples()) >= 12 and len(emoji.rows()) > 1_000


@pytest.mark.parametrize("language", ["en", "ko"])
def test_example_pictures_are_known_by_their_names(language):
    names = [row[language] for row in emoji.examples().values()]
    right = 0
    for name, row in emoji.examples().items():
        run = clip.match_image(emoji.picture(name), names)
        assert run.model == clip.POCKET and run.method == "method.softmax"
        right += run.result[0]["label"] == row[language]
    assert right >= 0.8 * len(names)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_words_find_their_picture(language):
    chosen = list(emoji.examples())[:12]
    found = sum(
        clip.rank_images(emoji.examples()[name][language], [emoji.picture(each) for each in chosen]).result[0]["index"]
        == place
        for place, name in enumerate(chosen)
    )
    assert found >= 9


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_table_of_pictures_and_names_has_its_best_cells_on_the_diagonal(language):
    chosen = list(emoji.examples())[:6]
    words = [emoji.examples()[name][language] for name in chosen]
    matrix = clip.match_images([emoji.picture(name) for name in chosen], words).result["matrix"]
    assert sum(row.index(max(row)) == i for i, row in enumerate(matrix)) >= 5


def test_without_labels_all_names_are_compared():
    result = clip.match_image(emoji.picture(next(iter(emoji.examples())))).result
    assert len(result) > 1_000 and sum(row["score"] for row in result) == pytest.approx(1, abs=1e-4)


def test_a_new_picture_and_ten_new_labels_answer_within_three_tenths_of_a_second():
    first, *others = emoji.examples()
    clip.match_image(emoji.picture(first), ["warm", "up"])
    times = []
    for i, name in enumerate(others[:5]):
        start = time.perf_counter()
        clip.match_image(emoji.picture(name), [f"label {i} {j}" for j in range(10)])
        times.append(time.perf_counter() - start)
    assert sorted(times)[2] < 0.3


def test_the_code_that_is_shown_runs_and_agrees(monkeypatch):
    from settings import ROOT

    monkeypatch.chdir(ROOT)
    name = next(iter(emoji.examples()))
    arguments = {"image": images.read(emoji.picture(name)), "labels": ["cat", "피자", "rocket"]}
    code = show_code.show_code("match_image", arguments)["python"]
    assert f"assets/examples/images/{name}.png" in code
    values: dict = {}
    exec(compile(code, "shown", "exec"), values)
    expected = {row["label"]: row["score"] for row in clip.match_image(**arguments).result}
    assert dict(values["result"]) == pytest.approx(expected, abs=1e-4)


def test_the_stages_name_both_towers():
    name = next(iter(emoji.examples()))
    opened = clip_stages.stages([emoji.picture(name)], ["cat"], "softmax", clip.POCKET)
    assert opened["tokens"] and opened["tensors"][1]["shape"][1] == opened["tensors"][2]["shape"][1]


def test_the_page_says_what_it_learned_from():
    assert catalog.card(clip.POCKET).trained_on == "emoji"
