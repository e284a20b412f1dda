"""Gold labels as people write them, and the metrics they give."""

from __future__ import annotations

import pytest

from pipelines.errors import VisitorError
from pipelines.gold import read_gold
from pipelines.metrics import measure

NEG, NEU, POS = "negative", "neutral", "positive"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["부정", "중립", "긍정"], [NEG, NEU, POS]),
        (["Negative", "NEU", " pos "], [NEG, NEU, POS]),
        ([0, 1, 1], [NEG, POS, POS]),
        (["0.0", "1.0"], [NEG, POS]),
        (["-1", "0", "1"], [NEG, NEU, POS]),
        ([1, 2, 3, 4, 5], [NEG, NEG, NEU, POS, POS]),
        (["긍정", "", None], [POS, None, None]),
    ],
)
def test_usual_ways_of_writing_labels_are_read(written, read):
    assert read_gold(written) == read


@pytest.mark.parametrize("written", [[0, 1, 2], [1, 2, 3], ["pos", "0"], ["pos", "-1"], [1, 2]])
def test_numbers_that_could_mean_two_things_are_refused(written):
    with pytest.raises(VisitorError, match="gold_ambiguous"):
        read_gold(written)


@pytest.mark.parametrize(("written", "row"), [(["pos", "happy"], 2), (["7", "8"], 1), (["pos", "pos", "-"], 3)])
def test_an_unreadable_label_names_its_row(written, row):
    with pytest.raises(VisitorError) as caught:
        read_gold(written)
    assert (caught.value.key, caught.value.params["row"]) == ("gold_unreadable", row)


def test_confusion_has_gold_in_rows_and_predictions_in_columns():
    assert measure([NEG, NEG, POS], [NEG, POS, POS])["confusion"] == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]


def test_macro_f1_is_the_mean_over_the_classes_that_gold_has():
    result = measure([NEG, NEG, POS], [NEG, POS, POS])
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert result["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_a_two_class_model_is_wrong_on_every_neutral():
    result = measure([NEU, POS], [POS, POS])
    assert result["accuracy"] == 0.5
    assert result["macro_f1"] == pytest.approx((0 + 2 / 3) / 2)


def test_an_unmapped_prediction_is_wrong_and_counted():
    result = measure([POS, POS], [None, POS])
    assert (result["accuracy"], result["unmapped"]) == (0.5, 1)
    assert sum(map(sum, result["confusion"])) == 1


def test_items_without_gold_do_not_count():
    assert measure([None, POS], [NEG, POS])["labelled"] == 1
