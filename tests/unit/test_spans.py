"""Entities, answers and masks: what is shown is exactly the text at the place that is given."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import spans, text_tasks
from pipelines.errors import VisitorError
from tests.unit.tiny_models import LENGTH, install, loaded

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
TEXT = st.text(
    st.sampled_from("aAb Seoul서울한e\u0301😀👩‍👩‍👧\u202e\u05d0\u0627\u1112\u1161\u11ab\n\t\x00\x07.?\ud800"),
    min_size=1,
    max_size=160,
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    torch.set_num_threads(1)
    text_tasks.MEMO.clear()
    install(
        monkeypatch,
        entities=loaded("entities", TAGS),
        answer=loaded("answer"),
        fill_mask=loaded("fill_mask"),
    )


def clean(text):
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


@settings(max_examples=25, deadline=None)
@given(TEXT)
def test_an_entity_is_the_text_at_its_place(text):
    if not text.strip():
        return
    found = text_tasks.entities(text).result
    places = [(each["start"], each["end"]) for each in found]
    assert all(each["text"] == clean(text)[each["start"] : each["end"]] != "" for each in found)
    assert all(each["text"] == each["text"].strip() for each in found)
    assert places == sorted(places)


@settings(max_examples=15, deadline=None)
@given(TEXT, TEXT)
def test_an_answer_is_the_text_at_its_place(question, context):
    if not question.strip() or not context.strip():
        return
    found = text_tasks.answer(question, context).result
    assert set(found) == {"answer", "start", "end", "score"}
    assert found["answer"] == clean(context)[found["start"] : found["end"]]


def test_entities_of_a_long_text_reach_its_end():
    found = text_tasks.entities("Anna works in Berlin . " * 40).result
    assert found and found[-1]["end"] > 800
    assert all(before["end"] <= after["start"] for before, after in zip(found, found[1:], strict=False))


@pytest.mark.parametrize(
    ("text", "offsets", "tags", "expected"),
    [
        ("투르치노프는", [(0, 1), (1, 3), (3, 6)], ["B-PER", "I-LOC", "O"], ["B-PER", "I-PER", "O"]),
        ("배우정우성", [(0, 2), (2, 5)], ["O", "B-PER"], ["O", "B-PER"]),
        ("하루마", [(0, 2), (2, 3)], ["O", "I-PER"], ["O", "O"]),
        ("하루 마", [(0, 2), (3, 4)], ["O", "I-PER"], ["O", "I-PER"]),
        ("(하루", [(0, 1), (1, 3)], ["O", "I-PER"], ["O", "I-PER"]),
        ("가나다", [(0, 1), (1, 2), (2, 3)], ["B-LOC", "I-PER", "I-PER"], ["B-LOC", "I-LOC", "I-LOC"]),
    ],
)
def test_inside_a_word_a_name_stays_what_it_began_as(text, offsets, tags, expected):
    labels = dict(enumerate(TAGS))
    logits = torch.zeros(1, len(tags), len(TAGS))
    for i, tag in enumerate(tags):
        logits[0, i, TAGS.index(tag)] = 2.0 + i
    output = {"logits": logits, "offset_mapping": torch.tensor([offsets])}
    settled = spans.settle(output, text, labels)["logits"][0]
    assert [labels[number] for number in settled.argmax(-1).tolist()] == expected
    assert settled.max(-1).values.tolist() == [2.0 + i for i in range(len(tags))]
    assert [labels[number] for number in logits[0].argmax(-1).tolist()] == tags


def test_an_entity_without_offsets_is_looked_up_in_the_text():
    group = {"start": None, "end": None, "word": "Anna"}
    assert spans._place("Anna and Anna", group, 4) == (9, 13)
    assert spans._place("nobody", group, 0) == (0, 0)


@pytest.mark.parametrize("mask", ["[MASK]", "<mask>"])
def test_a_mask_may_be_written_in_several_ways(mask):
    found = text_tasks.fill_mask(f"the cat {mask} on a mat", 3).result
    assert [set(each) for each in found] == [{"token", "score", "sentence"}] * 3
    assert found == text_tasks.fill_mask("the cat [MASK] on a mat", 3).result


def test_candidates_are_the_models_probabilities_without_special_tokens():
    pipe = loaded("fill_mask").pipe
    inputs = pipe.tokenizer("the [MASK] sat", return_tensors="pt")
    where = inputs["input_ids"][0].tolist().index(pipe.tokenizer.mask_token_id)
    with torch.inference_mode():
        probabilities = pipe.model(**inputs).logits[0, where].softmax(-1)
    ids = [i for i in probabilities.argsort(descending=True).tolist() if i not in pipe.tokenizer.all_special_ids]
    found = text_tasks.fill_mask("the [MASK] sat", 5).result
    assert [each["token"] for each in found] == [pipe.tokenizer.decode([i]) for i in ids[:5]]
    assert [each["score"] for each in found] == pytest.approx(probabilities[ids[:5]].tolist())


def test_the_sentence_is_the_text_with_the_word_in_it():
    for each in text_tasks.fill_mask("  the cat [MASK] 한글\n", 20).result:
        if each["token"].startswith("##"):
            assert each["sentence"] == f"  the cat{each['token'][2:]} 한글\n"
        else:
            assert each["sentence"] == f"  the cat {each['token']} 한글\n"


def test_a_long_text_is_cut_around_its_mask():
    text = "the cat sat " * 60 + "[MASK]" + " the dog sat" * 60
    run = text_tasks.fill_mask(text, 2)
    assert run.note == "note.truncated"
    assert run.result[0]["sentence"].startswith("the cat") and len(run.result[0]["sentence"]) > 1_300
    inputs, cut = spans.around_mask(loaded("fill_mask").pipe, "the cat sat " * 60, " the dog sat" * 60)
    assert cut and inputs["input_ids"].shape[1] <= LENGTH and 4 in inputs["input_ids"]


@pytest.mark.parametrize(
    ("text", "key"),
    [("no hole", "no_mask"), ("[MASK] and [MASK]", "one_mask"), ("[MASK] <mask>", "one_mask"), ("", "empty_text")],
)
def test_exactly_one_mask_is_needed(text, key):
    with pytest.raises(VisitorError) as caught:
        text_tasks.fill_mask(text)
    assert caught.value.key == key


def test_only_models_trained_for_it_may_say_there_is_no_answer():
    from pipelines.catalog import card

    assert spans.knows_no_answer(card("deepset/roberta-base-squad2"), "deepset/roberta-base-squad2")
    assert spans.knows_no_answer(None, "someone/bert-SQuAD_2")
    assert not spans.knows_no_answer(None, "someone/bert-squad")
    assert not spans.knows_no_answer(card("distilbert/distilbert-base-cased-distilled-squad"), "")
