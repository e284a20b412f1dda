"""pocket/entail-ko: pairs of sentences written for this test, what it is offered for, and what it is not."""

from pathlib import Path

import pytest

from pipelines import catalog, loading, text_tasks
from pipelines.errors import VisitorError
from settings import POCKET

LABELS = {"entailment", "neutral", "contradiction"}
HERE = Path(__file__).parent
ROWS = (HERE / "pairs_ko.tsv").read_text(encoding="utf-8").splitlines()
PAIRS = [tuple(row.split("\t")) for row in ROWS]

pytestmark = pytest.mark.models


@pytest.fixture(autouse=True, scope="module")
def fresh():
    text_tasks.MEMO.clear()


def test_everyday_pairs_are_told_apart_far_better_than_by_chance():
    found = [text_tasks.entail(premise, hypothesis).result["label"] for _, premise, hypothesis in PAIRS]
    assert len(PAIRS) == 30 and set(found) == LABELS
    assert sum(label == wanted for label, (wanted, *_) in zip(found, PAIRS, strict=True)) / len(PAIRS) >= 0.6


def test_the_chances_are_of_three_answers_and_name_their_model():
    run = text_tasks.entail("비가 와서 길이 젖었다.", "길이 젖었다.")
    assert run.model == "pocket/entail-ko" and run.note is None
    assert set(run.result["scores"]) == LABELS and sum(run.result["scores"].values()) == pytest.approx(1, abs=1e-3)


def test_korean_subjects_are_weighed_by_entailment():
    run = text_tasks.zero_shot("공격수가 결승전에서 두 골을 넣었다.", "정치, 운동, 요리")
    assert run.model == "pocket/entail-ko" and run.method is None and run.note is None
    assert run.result["labels"][0] == "운동" and sum(run.result["scores"]) == pytest.approx(1, abs=1e-3)


def test_the_right_topic_is_found_more_often_than_not():
    lines = [line.split("\t", 1) for line in (HERE / "topics_ko.tsv").read_text(encoding="utf-8").splitlines()]
    topics = sorted({topic for topic, _ in lines})
    found = [text_tasks.zero_shot(text, topics).result["labels"][0] for _, text in lines]
    assert sum(a == b for a, (b, _) in zip(found, lines, strict=True)) / len(lines) >= 0.5  # chance is 0.125


def test_pairs_in_english_are_left_to_the_hub(monkeypatch):
    monkeypatch.setattr(loading.hub, "offline", lambda: True)
    with pytest.raises(VisitorError, match="needs_hub"):
        text_tasks.entail("A dog runs.", "An animal moves.")
    assert loading.default_model("entail", "개가 뛴다.") == "pocket/entail-ko"


def test_the_folder_is_small():
    assert sum(file.stat().st_size for file in (POCKET / "entail-ko").iterdir()) <= 11e6
    assert catalog.card("pocket/entail-ko").languages == ("ko",)


def test_a_long_pair_is_cut_and_says_so():
    assert text_tasks.entail("아주 긴 문장이 이어진다. " * 80, "문장이 길다.").note == "note.truncated"
