"""Both languages are complete: every key exists in both, with the same placeholders, and every key used exists."""

import ast
import json
import re
import string
from pathlib import Path

import pytest

from pipelines import catalog
from pipelines.errors import VisitorError
from tabs import TABS, _i18n

ROOT = Path(__file__).resolve().parents[2]
TABLES = {lang: json.loads((ROOT / "assets/i18n" / f"{lang}.json").read_text("utf-8")) for lang in ("ko", "en")}
FILES = sorted([ROOT / "app.py", *ROOT.glob("tabs/*.py"), *ROOT.glob("pipelines/*.py")])


def placeholders(sentence):
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def literal_keys():
    """(file, key) of every i18n key written as a literal in the code."""
    calls = {"label": 0, "both": 0, "say": 1, "intro": 0, "empty_panel": 0, "hint": 0, "VisitorError": 0}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            place = calls.get(name)
            if place is None or len(node.args) <= place or not isinstance(node.args[place], ast.Constant):
                continue
            key = node.args[place].value
            if isinstance(key, str):
                yield path.name, f"error.{key}" if name == "VisitorError" else key


def test_both_languages_have_the_same_keys():
    assert set(TABLES["ko"]) == set(TABLES["en"])


@pytest.mark.parametrize("key", sorted(TABLES["en"]))
def test_both_languages_fill_the_same_blanks(key):
    assert placeholders(TABLES["ko"][key]) == placeholders(TABLES["en"][key])
    assert TABLES["ko"][key].strip() and TABLES["en"][key].strip()


def test_every_key_in_the_code_exists():
    missing = {(file, key) for file, key in literal_keys() if "." in key and key not in TABLES["en"]}
    assert not missing


def test_every_computed_key_exists():
    wanted = {f"task.{task}" for task in catalog.TASKS} | {f"tab.{name}" for name in TABS}
    wanted |= {f"text.intro.{task}" for task in catalog.TASKS} | {f"text.empty.{task}" for task in catalog.TASKS}
    wanted |= {f"trained_on.{card.trained_on}" for card in catalog.MODELS if card.trained_on}
    assert not wanted - set(TABLES["en"])


def test_korean_is_written_in_hangul():
    plain = [key for key, text in TABLES["ko"].items() if not re.search("[가-힣]", text)]
    assert len(plain) < 0.1 * len(TABLES["ko"]), plain


def test_an_error_is_said_in_the_visitors_language():
    error = VisitorError("wrong_task", model="a/b", task="answer", made_for="sentiment")
    assert "감정 분석" in _i18n.sentence(error, "ko")
    assert "sentiment" in _i18n.sentence(error, "en")


class _Request:
    def __init__(self, cookies, accept):
        self.cookies, self.headers = cookies, {"accept-language": accept}


@pytest.mark.parametrize(
    ("cookies", "accept", "expected"),
    [
        ({}, "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ({}, "en-US,en;q=0.9,ko;q=0.8", "en"),
        ({}, "fr-FR,fr;q=0.9", "en"),
        ({}, "fr-FR,ko;q=0.5", "ko"),
        ({"classroom_lang": "en"}, "ko-KR", "en"),
        ({"classroom_lang": "<script>"}, "ko-KR", "ko"),
    ],
)
def test_the_switch_beats_the_browser(cookies, accept, expected):
    assert _i18n.language(_Request(cookies, accept)) == expected


def test_what_a_visitor_sent_does_not_bury_the_sentence():
    told = _i18n.sentence(VisitorError("unknown_task", task=[{"x" * 5_000: 1}], tasks="a, b"), "en")
    assert "no task called" in told and len(told) < 400
