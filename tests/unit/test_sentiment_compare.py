"""Several models side by side, with models that are functions."""

from __future__ import annotations

import pytest

from pipelines import sentiment
from pipelines.errors import VisitorError
from pipelines.run import Run

LABELS = {"negative": "NEG", "neutral": "NEU", "positive": "POS", None: "??"}
KO, EN = "pocket/sentiment-ko", "pocket/sentiment-en"


def classifier(answers: dict[str, list[str | None] | Exception]):
    """Return a classify function that answers each model's polarities in order, or raises."""

    def classify(texts: list[str], model: str) -> Run:
        said = answers[model]
        if isinstance(said, Exception):
            raise said
        rows = [
            {
                "text": text,
                "label": LABELS[polarity],
                "polarity": polarity,
                "score": 0.9,
                "scores": {"negative": 0.05, "neutral": 0.05, "positive": 0.9},
            }
            for text, polarity in zip(texts, said, strict=True)
        ]
        return Run(rows, model, timing={"load": 500.0, "tokenize": 1.0, "model": 4.0})

    return classify


def compare(texts, answers, gold=None):
    return list(sentiment.compare_each(texts, list(answers), gold, classify=classifier(answers)))[-1].result


def test_rows_keep_their_order_and_say_whether_the_models_agree():
    result = compare("a\nb", {KO: ["positive", "negative"], EN: ["positive", "positive"]})
    assert [row["text"] for row in result["rows"]] == ["a", "b"]
    assert [row["agree"] for row in result["rows"]] == [True, False]
    assert result["rows"][0]["results"][KO]["label"] == "POS"


def test_one_model_neither_agrees_nor_disagrees():
    assert compare(["a"], {KO: ["positive"]})["rows"][0]["agree"] is None


def test_an_unmapped_label_takes_no_part_in_the_agreement():
    result = compare(["a"], {"x/a": ["positive"], "x/b": [None], "x/c": ["positive"]})
    assert result["rows"][0]["agree"] is True


def test_loading_is_not_counted_as_latency():
    facts = compare(["a"], {KO: ["positive"]})["models"][KO]
    assert facts["ms"] == 5.0
    assert facts["languages"] == ["ko"]
    assert facts["size_mb"] > 0


def test_a_model_says_which_polarities_its_labels_mean():
    result = compare(["a"], {KO: ["positive"]})
    assert result["models"][KO]["says"] == ["negative", "neutral", "positive"]


def test_a_sentence_in_another_language_than_the_models_is_marked():
    result = compare(["정말 좋아요", "very good", "^^ 10/10 !"], {KO: ["positive"] * 3, EN: ["positive"] * 3})
    foreign = {name: [row["results"][name]["foreign"] for row in result["rows"]] for name in (KO, EN)}
    assert foreign[EN] == [True, False, False]
    assert foreign[KO] == [False, True, False]


def test_a_failing_model_costs_only_its_own_column():
    result = compare(["a"], {KO: ["positive"], "x/gone": VisitorError("no_network", model="x/gone")})
    assert result["models"]["x/gone"] == {"error": {"key": "no_network", "params": {"model": "x/gone"}}}
    assert list(result["rows"][0]["results"]) == [KO]


def test_a_crashing_model_costs_only_its_own_column():
    result = compare(["a"], {"x/broken": RuntimeError("out of memory"), KO: ["positive"]})
    assert result["models"]["x/broken"]["error"]["key"] == "model_failed"
    assert result["rows"][0]["results"][KO]["polarity"] == "positive"


def test_when_every_model_fails_the_first_error_is_raised():
    answers = {"x/a": VisitorError("no_network", model="x/a"), "x/b": VisitorError("gated", model="x/b")}
    with pytest.raises(VisitorError, match="no_network"):
        compare(["a"], answers)


def test_columns_arrive_one_by_one_and_what_arrived_stays():
    answers = {KO: ["positive"], EN: ["negative"]}
    steps = list(sentiment.compare_each(["a"], list(answers), classify=classifier(answers)))
    assert [list(step.result["models"]) for step in steps] == [[KO], [KO, EN]]
    assert list(steps[0].result["rows"][0]["results"]) == [KO]


def test_disagreements_come_first_the_sharpest_before_the_rest():
    answers = {
        KO: ["positive", "neutral", "negative", "positive"],
        EN: ["positive", "positive", "positive", "positive"],
    }
    rows = compare(["same", "near", "apart", "same too"], answers)["rows"]
    assert [row["text"] for row in sentiment.disagreements_first(rows)] == ["apart", "near", "same", "same too"]


def test_gold_labels_give_each_model_its_metrics():
    result = compare(["a", "b"], {KO: ["positive", "positive"]}, gold=["긍정", "부정"])
    facts = result["models"][KO]
    assert facts["accuracy"] == 0.5
    assert facts["confusion"] == [[0, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert [row["gold"] for row in result["rows"]] == ["positive", "negative"]


def test_a_blank_text_goes_with_its_gold_label():
    result = compare(["a", " ", "b"], {KO: ["positive", "negative"]}, gold=["pos", "neu", "neg"])
    assert [row["gold"] for row in result["rows"]] == ["positive", "negative"]
    assert result["models"][KO]["accuracy"] == 1.0


def test_without_any_gold_label_there_are_no_metrics():
    result = compare(["a"], {KO: ["positive"]}, gold=[""])
    assert "accuracy" not in result["models"][KO]
    assert "gold" not in result["rows"][0]


@pytest.mark.parametrize(
    ("texts", "models", "gold", "key"),
    [
        ("", [KO], None, "empty_text"),
        (None, [KO], None, "empty_text"),
        (["a"], [], None, "no_models"),
        (["a"], [3], None, "no_models"),
        (["a"], {"a": 1}, None, "no_models"),
        (["a"], [f"x/m{i}" for i in range(9)], None, "too_many_models"),
        (["a", "b"], [KO], ["pos"], "gold_count"),
        (["a"], [KO], "pos", "gold_not_list"),
        (["a"], [KO], ["sideways"], "gold_unreadable"),
        (["a"] * 501, [KO], None, "too_many_texts"),
    ],
)
def test_bad_input_is_one_clear_error(texts, models, gold, key):
    with pytest.raises(VisitorError) as caught:
        sentiment.compare(texts, models, gold)
    assert caught.value.key == key


def test_a_model_named_twice_runs_once():
    asked = []
    classify = classifier({KO: ["positive"]})

    def counting(texts, model):
        asked.append(model)
        return classify(texts, model)

    list(sentiment.compare_each(["a"], [KO, KO], classify=counting))
    assert asked == [KO]


def test_whoever_stops_a_download_stops_those_after_it(monkeypatch):
    states = {KO: "pocket", "x/a": "remote", "x/b": "remote"}
    monkeypatch.setattr(sentiment, "state_of", states.get)
    answers = {"x/a": VisitorError("stopped"), "x/b": AssertionError("was asked"), KO: ["positive"]}
    facts = compare(["a"], answers)["models"]
    assert facts["x/a"]["error"]["key"] == facts["x/b"]["error"]["key"] == "stopped"
    assert "error" not in facts[KO]
