"""Every kind of listed model, by its id from the Hub: the answers are those of transformers' own classes."""

from __future__ import annotations

import json

import pytest

from tests.hub import reference
from tests.hub.tiny_models import EMOTIONS, GOOD, T5_SUMMARY

pytestmark = pytest.mark.hub
EXACT = 1e-4
SENTIMENT = [
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    "WhitePeak/bert-base-cased-Korean-sentiment",
    "nlp04/korean_sentiment_analysis_kcelectra",
    "mrm8488/deberta-v3-ft-financial-news-sentiment-analysis",
    "nlptown/bert-base-multilingual-uncased-sentiment",
]
TEXTS = [
    "이 영화 정말 재미있었어요!",
    "The movie was wonderful, and the actors were brilliant.",
    "배송이 늦고 포장이 엉망이라 실망했어요. 다시는 사지 않을 거예요.",
    "Profit fell sharply",
    "고마워요 ^^ thank you",
]
CONTEXT = "The capital of France is Paris, and Berlin is in Germany. My name is Sarah and I live in London."
KOREAN_CONTEXT = "세종대왕은 1443년에 훈민정음을 만들었고 백성에게 널리 알렸다. 대한민국의 수도는 서울이다."


@pytest.mark.parametrize("model", SENTIMENT)
def test_course_sentiment_models_answer_as_transformers_does(hub, model):
    from pipelines import catalog, text_tasks

    run = text_tasks.sentiment(TEXTS, model)
    assert run.model == model and len(run.result) == len(TEXTS)
    declared = catalog.card(model).polarity
    for row, text in zip(run.result, TEXTS, strict=True):
        expected = reference.classify(hub.root / model, text)
        assert row["text"] == text and row["scores"] == pytest.approx(expected, abs=EXACT)
        assert row["label"] == max(expected, key=expected.get) and row["score"] == max(row["scores"].values())
        assert set(row["scores"]) == set(declared) and row["polarity"] == declared[row["label"]]


def test_emotions_and_stars_fall_on_the_three_point_scale_as_declared(hub):
    from pipelines import catalog

    emotions = catalog.card("nlp04/korean_sentiment_analysis_kcelectra").polarity
    assert tuple(emotions) == EMOTIONS
    assert [list(emotions.values()).count(each) for each in ("positive", "neutral", "negative")] == [5, 2, 4]
    stars = catalog.card("nlptown/bert-base-multilingual-uncased-sentiment").polarity
    assert [stars[f"{n} star{'s' * (n > 1)}"] for n in range(1, 6)] == ["negative"] * 2 + ["neutral"] + ["positive"] * 2


def test_course_models_side_by_side(hub):
    from pipelines import sentiment

    run = sentiment.compare(TEXTS, SENTIMENT, gold=["positive", "positive", "negative", "negative", "positive"])
    assert set(run.result["models"]) == set(SENTIMENT) and not any(
        "error" in each for each in run.result["models"].values()
    )
    assert all(set(row["results"]) == set(SENTIMENT) for row in run.result["rows"])


@pytest.mark.parametrize("model", GOOD)
def test_tokenizers_by_id_give_the_ids_of_the_files(hub, model):
    from pipelines import tokenizer

    entries = tokenizer.tokenize(TEXTS, [model]).result[model]
    for entry, text in zip(entries, TEXTS, strict=True):
        assert entry["ids"] == independent_ids(hub.root / model, text)
        if entry["offsets"] is not None and all(entry["offsets"]):
            assert all(0 <= start <= end <= len(text) for start, end in entry["offsets"])


def independent_ids(folder, text: str) -> list[int]:
    """Tokenize with the `tokenizers` or `sentencepiece` library alone, from the files."""
    from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer, Tokenizer

    names = {path.name for path in folder.iterdir()}
    if "source.spm" in names:
        import sentencepiece

        vocab = json.loads((folder / "vocab.json").read_text("utf-8"))
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm")).encode(text, out_type=str)
        return [vocab.get(piece, vocab["<unk>"]) for piece in pieces] + [vocab["</s>"]]
    if "tokenizer.json" in names:
        return Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    if "vocab.txt" in names:
        lower = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))["do_lower_case"]
        return BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=lower).encode(text).ids
    ids = ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).encode(text).ids
    return [0, *ids, 2]  # <s> ... </s>


@pytest.mark.parametrize("model", ["facebook/bart-large-mnli", "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli"])
def test_zero_shot_and_entailment(hub, model):
    from pipelines import text_tasks

    labels, template = ["sports", "politics", "영화"], "This text is about {}."
    run = text_tasks.zero_shot(TEXTS[1], labels, template=template, model=model)
    expected = reference.entails(hub.root / model, TEXTS[1], [template.replace("{}", label) for label in labels])
    assert dict(zip(run.result["labels"], run.result["scores"], strict=True)) == pytest.approx(
        dict(zip(labels, expected, strict=True)), abs=EXACT
    )
    assert run.result["scores"] == sorted(run.result["scores"], reverse=True)
    run = text_tasks.entail("A dog runs in the park.", "An animal moves.", model)
    expected = reference.classify(hub.root / model, "A dog runs in the park.", "An animal moves.")
    assert run.result["scores"] == pytest.approx(expected, abs=EXACT)
    assert run.result["label"] == max(expected, key=expected.get)


def test_acceptability_takes_one_sentence(hub):
    from pipelines import text_tasks

    model = "textattack/bert-base-uncased-CoLA"
    run = text_tasks.entail("The cat sat on the mat.", model=model)
    assert run.result["scores"] == pytest.approx(
        reference.classify(hub.root / model, "The cat sat on the mat."), abs=EXACT
    )


@pytest.mark.parametrize("model", ["dslim/bert-base-NER", "Leo97/KoELECTRA-small-v3-modu-ner"])
def test_entities_are_pieces_of_the_text(hub, model):
    import transformers

    from pipelines import text_tasks

    text = CONTEXT if model.startswith("dslim") else KOREAN_CONTEXT
    found = text_tasks.entities(text, model).result
    assert found and all(each["text"] == text[each["start"] : each["end"]] for each in found)
    strategy = "first" if model.startswith("dslim") else "simple"
    own, tokenizer = reference.load(hub.root / model, "AutoModelForTokenClassification")
    pipe = transformers.pipeline("ner", model=own, tokenizer=tokenizer, aggregation_strategy=strategy)
    expected = [(each["entity_group"], each["start"], each["end"]) for each in pipe(text)]
    assert [(each["entity"], each["start"], each["end"]) for each in found] == expected
    assert [each["score"] for each in found] == pytest.approx([float(each["score"]) for each in pipe(text)], abs=EXACT)


@pytest.mark.parametrize(
    ("model", "question", "context"),
    [
        ("distilbert/distilbert-base-cased-distilled-squad", "What is the capital of France?", CONTEXT),
        ("deepset/roberta-base-squad2", "Where does Sarah live?", CONTEXT),
        ("monologg/koelectra-base-v3-finetuned-korquad", "훈민정음은 누가 만들었나?", KOREAN_CONTEXT),
    ],
)
def test_answers_are_the_best_span(hub, model, question, context):
    from pipelines import text_tasks

    found = text_tasks.answer(question, context, model).result
    assert found["answer"] == context[found["start"] : found["end"]]
    expected, score = reference.best_span(hub.root / model, question, context, none="squad2" in model)
    # English answers are widened to whole words; a model of SQuAD 2.0 may prefer no answer.
    if found["answer"]:
        assert expected.strip() in found["answer"] and found["score"] == pytest.approx(score, rel=1e-3)
    else:
        assert "squad2" in model


@pytest.mark.parametrize("model", ["google-bert/bert-base-uncased", "klue/bert-base", "FacebookAI/xlm-roberta-base"])
def test_mask_candidates_in_whichever_way_the_mask_is_written(hub, model):
    from pipelines import text_tasks

    text = "The teacher showed the [MASK] how it works." if "uncased" in model else "오늘은 학교에서 [MASK]을 먹었다."
    found = text_tasks.fill_mask(text, 5, model).result
    expected = reference.mask_candidates(hub.root / model, text, 5)
    _, tokenizer = reference.load(hub.root / model, "AutoModelForMaskedLM")
    assert [each["score"] for each in found] == pytest.approx([score for _, score in expected], abs=EXACT)
    written = [tokenizer.decode([number]).strip() or tokenizer.convert_ids_to_tokens(number) for number, _ in expected]
    assert [each["token"] for each in found] == written
    assert text_tasks.fill_mask(text.replace("[MASK]", "<mask>"), 5, model).result == found


@pytest.mark.parametrize(
    "model",
    ["openai-community/gpt2", "skt/kogpt2-base-v2", "HuggingFaceTB/SmolLM2-135M-Instruct", "Qwen/Qwen3-0.6B"],
)
def test_greedy_generation_is_that_of_generate(hub, model):
    from pipelines import text_tasks

    prompt = "Once upon a time" if "kogpt2" not in model else "옛날 옛날에"
    run = text_tasks.generate(prompt, 12, temperature=0, model=model)
    assert [each["id"] for each in run.result["tokens"]] == reference.continued(hub.root / model, prompt, 12)
    assert run.result["text"].startswith(prompt)


@pytest.mark.parametrize(
    ("model", "prefix", "options"),
    [
        ("facebook/bart-large-cnn", "", {}),
        ("sshleifer/distilbart-cnn-12-6", "", {}),
        ("google-t5/t5-small", "summarize: ", T5_SUMMARY),
    ],
)
def test_summaries_are_those_of_generate(hub, model, prefix, options):
    from pipelines import text_tasks

    text = " ".join([CONTEXT, *TEXTS[1:2]])
    run = text_tasks.summarize(text, max_length=12, model=model)
    expected = reference.rewritten(hub.root / model, prefix + text, max_new_tokens=12, min_length=0, **options)
    assert run.result["method"] == "seq2seq" and run.result["summary"].strip() == expected.strip()


def test_t5_is_told_which_translation_is_wanted(hub):
    """T5's configuration holds the prefix of each language pair that it knows; without one it does not translate."""
    from pipelines import text_tasks

    model = "google-t5/t5-small"
    run = text_tasks.translate("How old are you?", model)
    options = {"num_beams": 4, "early_stopping": True, "max_length": 16}
    assert run.result["translation"].strip() in {
        reference.rewritten(hub.root / model, f"translate English to {language}: How old are you?", **options).strip()
        for language in ("German", "French", "Romanian")
    }


@pytest.mark.parametrize("model", ["Helsinki-NLP/opus-mt-ko-en", "Helsinki-NLP/opus-mt-tc-big-en-ko"])
def test_translations_are_those_of_generate(hub, model):
    from pipelines import text_tasks

    text = TEXTS[0] if "ko-en" in model else TEXTS[1]
    run = text_tasks.translate(text, model)
    assert run.result["translation"].strip() == reference.rewritten(hub.root / model, text).strip()


@pytest.mark.parametrize(
    "model", ["sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", "jhgan/ko-sroberta-multitask"]
)
def test_similarity_is_the_cosine_of_mean_vectors(hub, model):
    from pipelines import text_tasks

    run = text_tasks.similarity(TEXTS, model)
    own = reference.vectors(hub.root / model, TEXTS)
    assert run.result["embeddings_shape"] == list(own.shape)
    for row, expected in zip(run.result["matrix"], (own @ own.T).tolist(), strict=True):
        assert row == pytest.approx(expected, abs=EXACT)
    assert text_tasks.keywords(KOREAN_CONTEXT, 3, model).result


@pytest.mark.parametrize("model", GOOD)
def test_half_precision_checkpoints_compute_in_single_precision(hub, model):
    """On a CPU half precision is slow, and some operations do not exist in it."""
    import torch

    from pipelines import catalog, loading

    with loading.use(model, catalog.card(model).tasks[0]) as loaded:
        assert {parameter.dtype for parameter in loaded.pipe.model.parameters()} == {torch.float32}
