"""Settings: defaults without any variable, one sentence for a wrong value."""

import pytest

import settings


def test_nothing_set_gives_the_defaults():
    assert settings.read({}) == settings.Settings()


def test_values_are_read():
    read = settings.read({"CLASSROOM_MAX_TEXTS": "30", "CLASSROOM_PRELOAD": "0", "CLASSROOM_BACKEND": "INT8 "})
    assert (read.max_texts, read.preload, read.backend) == (30, False, "int8")


@pytest.mark.parametrize("name", ["CLASSROOM_LISTED_MODELS_ONLY", "CLASSROOM_ONLY_LISTED"])
def test_only_listed_models_has_two_names(name):
    assert settings.read({name: "1"}).listed_models_only


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLASSROOM_MAX_TEXTS", "many"),
        ("CLASSROOM_MAX_TEXTS", "-1"),
        ("CLASSROOM_PRELOAD", "perhaps"),
        ("CLASSROOM_BACKEND", "gpu"),
        ("CLASSROOM_PAINTER_SPEED", "fast"),
    ],
)
def test_a_wrong_value_stops_the_start_with_one_sentence(name, value):
    with pytest.raises(SystemExit, match=name):
        settings.read({name: value})


def test_the_readme_lists_every_setting():
    readme = (settings.ROOT / "README.md").read_text("utf-8")
    missing = [name for name in vars(settings.Settings()) if f"CLASSROOM_{name.upper()}" not in readme]
    assert not missing
