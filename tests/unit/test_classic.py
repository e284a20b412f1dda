"""The four pipelines that transformers 5 dropped answer by their old names, in their old shapes, correctly."""

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.pipelines import PIPELINE_REGISTRY

from pipelines import classic
from tests.unit.tiny_models import loaded, wordpiece

CONTEXT = "Anna lives in Seoul . the cat sat on a mat in Berlin . 나는 서울에 산다"
QUESTION = "where is Anna"


@pytest.fixture(autouse=True, scope="module")
def registered():
    torch.set_num_threads(1)
    classic.register()


@pytest.fixture(scope="module")
def qa():
    return loaded("answer").pipe


@pytest.fixture(scope="module")
def t5():
    return loaded("summarize").pipe.model


def make(task, t5, **options):
    return transformers.pipeline(task, model=t5, tokenizer=wordpiece(), device="cpu", **options)


def test_registering_twice_changes_nothing():
    before = {task: entry["impl"] for task, entry in PIPELINE_REGISTRY.supported_tasks.items()}
    assert classic.register() == []
    assert {task: entry["impl"] for task, entry in PIPELINE_REGISTRY.supported_tasks.items()} == before


def test_a_task_the_library_has_is_left_to_the_library(monkeypatch):
    theirs = {"impl": object, "pt": ()}
    monkeypatch.setitem(PIPELINE_REGISTRY.supported_tasks, "summarization", theirs)
    assert classic.register() == []
    assert PIPELINE_REGISTRY.supported_tasks["summarization"] is theirs


@pytest.mark.parametrize("task", ["no-such-task", "translation_en", "translation_a_b_c_d"])
def test_other_names_are_still_refused(task):
    with pytest.raises(KeyError):
        PIPELINE_REGISTRY.check_task(task)


def test_a_saved_model_is_loaded_by_the_old_names(tmp_path, t5):
    t5.save_pretrained(tmp_path)
    wordpiece().save_pretrained(tmp_path)
    for task, name in (
        ("summarization", "summary_text"),
        ("translation_en_to_ko", "translation_text"),
        ("text2text-generation", "generated_text"),
    ):
        pipe = transformers.pipeline(task, model=str(tmp_path), device="cpu")
        assert list(pipe("the cat", max_new_tokens=3)[0]) == [name]


def test_answer_has_the_old_shape(qa):
    for found in (
        qa(question=QUESTION, context=CONTEXT),
        qa({"question": QUESTION, "context": CONTEXT}),
        qa(QUESTION, CONTEXT),
        qa([{"question": QUESTION, "context": CONTEXT}])[0],
        qa(question=[QUESTION, QUESTION], context=CONTEXT)[1],
    ):
        assert set(found) == {"score", "start", "end", "answer"}
        assert found["answer"] == CONTEXT[found["start"] : found["end"]]


def test_answer_is_the_best_span_of_the_models_own_logits(qa):
    encoded = qa.tokenizer(QUESTION, CONTEXT, return_tensors="pt", return_offsets_mapping=True)
    offsets = encoded.pop("offset_mapping")[0].tolist()
    with torch.inference_mode():
        output = qa.model(**encoded)
    ours = [i for i, part in enumerate(encoded.sequence_ids(0)) if part == 1]
    start = output.start_logits[0, ours].double().softmax(-1)
    end = output.end_logits[0, ours].double().softmax(-1)
    spans = {(i, j): float(start[i] * end[j]) for i in range(len(ours)) for j in range(i, min(i + 4, len(ours)))}
    first, last = max(spans, key=spans.__getitem__)
    found = qa(question=QUESTION, context=CONTEXT, max_answer_len=4, align_to_words=False)
    assert (found["start"], found["end"]) == (offsets[ours[first]][0], offsets[ours[last]][1])
    assert found["score"] == pytest.approx(spans[first, last], rel=1e-5)


def test_several_answers_come_best_first_without_repeats(qa):
    found = qa(question=QUESTION, context=CONTEXT * 6, top_k=5)
    assert len({(each["start"], each["end"]) for each in found}) == len(found) == 5
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)


def test_a_long_context_is_read_to_its_end(qa):
    context = CONTEXT * 20
    windows = list(qa.preprocess({"question": QUESTION, "context": context}))
    inside = [[o for o, ours in zip(w["offsets"], w["in_context"], strict=True) if ours] for w in windows]
    assert inside[-1][-1][1] == len(context)
    assert all(before[-1][1] > after[0][0] for before, after in zip(inside, inside[1:], strict=False))
    assert all(w["input_ids"].shape[1] <= 48 for w in windows)


def test_no_answer_is_the_first_tokens_probability(qa):
    outputs = [
        {
            "start": torch.tensor([[9.0, 0.0, 0.0, 1.0, 0.0]]),
            "end": torch.tensor([[9.0, 0.0, 0.0, 0.0, 1.0]]),
            "example": {"question": "q", "context": "ab"},
            "in_context": np.array([False, False, False, True, True]),
            "offsets": [(0, 0), (0, 1), (0, 0), (0, 1), (1, 2)],
            "words": [None, 0, None, 0, 1],
        }
    ]
    assert qa.postprocess(outputs, handle_impossible_answer=True)["answer"] == ""
    assert qa.postprocess(outputs)["answer"] == "ab"


@pytest.mark.parametrize("bad", [{"top_k": 0}, {"max_answer_len": 0}])
def test_bad_parameters_are_refused(qa, bad):
    with pytest.raises(ValueError):
        qa(question=QUESTION, context=CONTEXT, **bad)
    with pytest.raises(ValueError):
        qa(question=QUESTION, context="  ")


@settings(max_examples=25, deadline=None)
@given(
    st.text(
        alphabet=st.sampled_from("ab Seoul서울한e\u0301😀\u202e\u1112\u1161\u11ab\n\t.?"), min_size=1, max_size=200
    ),
    st.booleans(),
)
def test_an_answer_is_always_a_piece_of_the_context(context, align):
    if not context.strip():
        return
    found = loaded("answer").pipe(question="who 한?", context=context, align_to_words=align)
    assert found["answer"] == context[found["start"] : found["end"]]


def test_output_is_what_generate_writes(t5):
    tokenizer = wordpiece()
    inputs = tokenizer("the cat sat", return_tensors="pt")
    ids = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    expected = tokenizer.decode(t5.generate(**ids, num_beams=4, max_new_tokens=6)[0], skip_special_tokens=True)
    assert make("text2text-generation", t5)("the cat sat", max_new_tokens=6) == [{"generated_text": expected}]
    assert make("summarization", t5, max_new_tokens=6)("the cat sat") == [{"summary_text": expected}]
    both = make("translation", t5)(["the cat sat", "the cat sat"], max_new_tokens=6)
    assert both == [{"translation_text": expected}] * 2


def test_several_sequences_and_token_ids(t5):
    pipe = make("text2text-generation", t5)
    assert len(pipe("the cat", num_return_sequences=2, max_new_tokens=3)) == 2
    assert pipe("the cat", return_tensors=True, max_new_tokens=3)[0]["generated_token_ids"].ndim == 1


def test_prefix_and_settings_come_from_the_configuration(t5, monkeypatch):
    params = {
        "summarization": {"prefix": "the dog ", "max_length": 5, "num_beams": 2},
        "translation_en_to_de": {"prefix": "Anna ", "max_length": 4},
    }
    monkeypatch.setattr(t5.config, "task_specific_params", params, raising=False)
    pipe = make("summarization", t5)
    assert pipe.preprocess("sat")["input_ids"].tolist() == [wordpiece()("the dog sat")["input_ids"]]
    assert pipe("sat", return_tensors=True)[0]["summary_token_ids"].shape[0] <= 5
    assert pipe._generate_kwargs == {"max_length": 5, "num_beams": 2}
    german = make("translation_en_to_de", t5)
    assert german.preprocess("sat")["input_ids"].tolist() == [wordpiece()("Anna sat")["input_ids"]]
    assert make("translation", t5).prefix == ""
    assert params["summarization"]["prefix"], "the model's configuration stays as it was"


def test_what_the_caller_says_beats_the_configuration(t5, monkeypatch):
    params = {"summarization": {"max_length": 30, "num_beams": 1}}
    monkeypatch.setattr(t5.config, "task_specific_params", params, raising=False)
    pipe = make("summarization", t5, max_length=4)
    assert pipe("the cat", return_tensors=True)[0]["summary_token_ids"].shape[0] <= 4


def test_languages_reach_a_tokenizer_that_knows_them(t5):
    class Many:
        def __init__(self, tokenizer):
            self.tokenizer, self.asked = tokenizer, None

        def __getattr__(self, name):
            return getattr(self.tokenizer, name)

        def _build_translation_inputs(self, text, src_lang, tgt_lang, **options):
            self.asked = (src_lang, tgt_lang)
            return {**self.tokenizer(text, **options), "forced_bos_token_id": 7}

    pipe = make("translation_en_to_ko", t5)
    pipe.tokenizer = Many(wordpiece())
    ids = pipe("the cat", max_new_tokens=3, return_tensors=True)[0]["translation_token_ids"]
    assert pipe.tokenizer.asked == ("en", "ko")
    assert ids[1] == 7
