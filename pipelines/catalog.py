"""Which models each task offers: one table, a line a model.

Adding a model is one entry in MODELS. Facts that could not be looked up stay None; `source` names the page the others
come from. Where a page gives no number of parameters, it is the size of the weights by the bytes each takes there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.errors import VisitorError

TASKS = (
    "sentiment",
    "zero_shot",
    "entities",
    "answer",
    "fill_mask",
    "generate",
    "summarize",
    "translate",
    "similarity",
    "keywords",
    "entail",
)
IMAGE_TASKS = ("image_text", "image_generation")
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before it is loaded.

    Attributes:
        id: Hub id, or pocket/<name>.
        tasks: The tasks (of TASKS, IMAGE_TASKS, or "tokenize") that list it; the first is what it was made for.
        languages: ISO 639-1 codes of what it reads, "multilingual" for many more; empty when unknown.
        params_m: Parameters in millions.
        size_mb: Bytes to download (pocket: to read), in MB of 10^6; of the tokenizer alone, where only that is offered.
        license: SPDX name, or as the Hub writes it.
        polarity: Sentiment label -> negative/neutral/positive, declared, never guessed.
        trained_on: Name of the sentence in assets/i18n ("trained_on.<name>") that says what it was trained on.
        base: Hub or pocket id of the model that an adapter folder adapts.
        pickled: Its repository has no safetensors on `main`: read by torch's restricted unpickler.
        gated: The Hub asks for a licence to be accepted first.
        weak_at: Those of `tasks` in which it is wrong more often than right; an answer says so.
        source: Page that these facts were taken from.
    """

    id: str
    tasks: tuple[str, ...]
    languages: tuple[str, ...] = ()
    params_m: float | None = None
    size_mb: float | None = None
    license: str | None = None
    polarity: dict[str, str] | None = None
    trained_on: str | None = None
    base: str | None = None
    pickled: bool = False
    gated: bool = False
    weak_at: tuple[str, ...] = ()
    source: str | None = None

    @property
    def pocket(self) -> bool:
        return self.id.startswith("pocket/")


_TWO = {"NEGATIVE": "negative", "POSITIVE": "positive"}
_THREE = {"negative": "negative", "neutral": "neutral", "positive": "positive"}
_NUMBERED = {"LABEL_0": "negative", "LABEL_1": "positive"}
_STARS = {
    "1 star": "negative",
    "2 stars": "negative",
    "3 stars": "neutral",
    "4 stars": "positive",
    "5 stars": "positive",
}
_EMOTIONS = {
    "기쁨(행복한)": "positive",
    "고마운": "positive",
    "설레는(기대하는)": "positive",
    "사랑하는": "positive",
    "즐거운(신나는)": "positive",
    "일상적인": "neutral",
    "생각이 많은": "neutral",
    "슬픔(우울한)": "negative",
    "힘듦(지침)": "negative",
    "짜증남": "negative",
    "걱정스러운(불안한)": "negative",
}
_MANY = ("en", "ko", "ja", "zh", "de", "fr", "es", "ru", "vi", "ar", "multilingual")
_XNLI = ("en", "ar", "bg", "de", "el", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh", "ko", "multilingual")


def _hub(
    model_id: str,
    tasks: str,
    languages: tuple[str, ...],
    params_m: float | None,
    size_mb: float | None,
    license: str | None,
    trained_on: str,
    page: str,
    **more: Any,
) -> ModelCard:
    """A model of the Hub; `tasks` parted by spaces, `page` below the model's own address unless it is a whole one."""
    source = page if page.startswith("https:") else f"https://huggingface.co/{model_id}/{page}"
    facts = {"license": license, "trained_on": trained_on, "source": source, **more}
    return ModelCard(model_id, tuple(tasks.split()), languages, params_m, size_mb, **facts)


_POCKET = (
    ModelCard("pocket/sentiment-ko", ("sentiment",), ("ko",), 5.8, 12, "apache-2.0", _THREE, "nsmc"),
    ModelCard("pocket/sentiment-en", ("sentiment",), ("en",), 22.7, 6, "apache-2.0", _TWO, "sst2", base=MINILM),
    ModelCard(
        "pocket/answer-en",
        ("answer",),
        ("en",),
        22.7,
        3,
        "apache-2.0",
        trained_on="squad2",
        base=MINILM,
        weak_at=("answer",),
    ),
    ModelCard("pocket/entities-en", ("entities",), ("en",), 22.7, 3, "apache-2.0", trained_on="wnut17", base=MINILM),
    ModelCard(
        "pocket/stars-ko", ("sentiment",), ("ko",), 5.8, 1, "apache-2.0", _STARS, "nsmc_stars", "pocket/sentiment-ko"
    ),
    ModelCard("pocket/fill-mask-ko", ("fill_mask", "tokenize"), ("ko",), 5.8, 6, "apache-2.0", trained_on="nsmc"),
    ModelCard(
        "pocket/stories-en", ("generate", "tokenize"), ("en",), 3.1, 6, "apache-2.0", trained_on="children_classics"
    ),
    ModelCard("pocket/entities-ko", ("entities",), ("ko",), 2.4, 5, "cc-by-sa-4.0", trained_on="klue_ner"),
    ModelCard("pocket/clip-emoji", ("image_text",), ("ko", "en"), 3.8, 8, "apache-2.0", trained_on="emoji"),
    ModelCard(
        "pocket/flux-emoji", ("image_generation",), ("ko", "en"), 13.2, 33, "apache-2.0", trained_on="emoji_pictures"
    ),
    ModelCard("pocket/tokenizer-bpe", ("tokenize",), ("ko", "en"), license="apache-2.0"),
    ModelCard("pocket/tokenizer-unigram", ("tokenize",), ("ko", "en"), license="apache-2.0"),
    ModelCard(
        MINILM,
        ("similarity", "keywords", "zero_shot", "summarize", "tokenize"),
        ("en",),
        22.7,
        91,
        "apache-2.0",
        trained_on="sentence_pairs",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    ),
    ModelCard(
        "pocket/entail-ko",
        ("entail", "zero_shot"),
        ("ko",),
        9.6,
        10,
        "cc-by-sa-4.0",
        trained_on="nli_ko",
    ),
    ModelCard(
        "pocket/sentences-ko",
        ("similarity", "keywords", "zero_shot", "summarize"),
        ("ko",),
        4.1,
        4,
        "cc-by-sa-4.0",
        trained_on="sentences_ko",
        weak_at=("zero_shot",),
    ),
)
# The first of each task is its default when nothing is on this machine, so the smaller come first.
# fmt: off
_SENTIMENT = (
    _hub("WhitePeak/bert-base-cased-Korean-sentiment", "sentiment", ("ko",), 178, 711, "apache-2.0",
         "shopping_ko", "tree/3f25995316f53db896bfc819ba2d79cfe091187a", polarity=_NUMBERED, pickled=True),
    _hub("nlp04/korean_sentiment_analysis_kcelectra", "sentiment", ("ko",), 128, 511, "mit",
         "emotions_ko", "tree/4ceacd617e1896e9cd2bb51bb5de0bf3c8e6de33", polarity=_EMOTIONS, pickled=True),
    _hub("distilbert/distilbert-base-uncased-finetuned-sst-2-english", "sentiment", ("en",), 67, 268, "apache-2.0",
         "sst2", "tree/714eb0fa89d2f80546fda750413ed43d93601a13", polarity=_TWO),
    _hub("mrm8488/deberta-v3-ft-financial-news-sentiment-analysis", "sentiment", ("en",), 142, 568, "mit",
         "financial_news", "tree/e6569dbc7ebcac028c8e8ff7c76b3ba7796c7533", polarity=_THREE),
    _hub("nlptown/bert-base-multilingual-uncased-sentiment", "sentiment", ("en", "nl", "de", "fr", "it", "es"), 167,
         669, "mit", "product_reviews", "tree/e1f410a314fd334fdc630abd757c228236bd911d", polarity=_STARS),
)
_PAIRS = (
    _hub("MoritzLaurer/mDeBERTa-v3-base-mnli-xnli", "zero_shot entail", _XNLI, 279, 558, "mit", "xnli", "tree/main"),
    _hub("facebook/bart-large-mnli", "zero_shot entail", ("en",), 407, 1630, "mit", "mnli", "tree/main"),
    _hub("textattack/bert-base-uncased-CoLA", "entail", ("en",), 110, 438, None,
         "cola", "tree/5875d5642eb3f8b89ae5bd712b5e286b8a4f39a5", pickled=True),
)
_SPANS = (
    _hub("Leo97/KoELECTRA-small-v3-modu-ner", "entities", ("ko",), 14.1, 56, None,
         "modu_ner", "tree/d38fddb83e55e0fdc54d99c52b53cbd284134809"),
    _hub("dslim/bert-base-NER", "entities", ("en",), 108, 433, "mit",
         "conll2003", "tree/3453501e45dd6876165d3b59ea3e5f1d7cafabde"),
    _hub("distilbert/distilbert-base-cased-distilled-squad", "answer", ("en",), 65, 261, "apache-2.0",
         "squad", "tree/refs%2Fpr%2F1"),
    _hub("monologg/koelectra-base-v3-finetuned-korquad", "answer", ("ko",), 112, 449, None,
         "korquad", "tree/404527d908cbf815953fcc06bc778249acf8119a"),
    _hub("deepset/roberta-base-squad2", "answer", ("en",), 124, 496, "cc-by-4.0",
         "squad2", "https://huggingface.co/djovak/roberta-base-squad2-deepset/tree/main"),
    _hub("google-bert/bert-base-uncased", "fill_mask tokenize", ("en",), 110, 440, "apache-2.0",
         "books_wikipedia", "tree/refs%2Fpr%2F23"),
    _hub("klue/bert-base", "fill_mask tokenize", ("ko",), 111, 445, "cc-by-sa-4.0",
         "klue", "tree/77c8b3d707df785034b4e50f2da5d37be5f0f546"),
    _hub("FacebookAI/xlm-roberta-base", "fill_mask tokenize", _MANY, 280, 1120, "mit", "web_100", "tree/main"),
)
_WRITERS = (
    _hub("HuggingFaceTB/SmolLM2-135M-Instruct", "generate tokenize", ("en",), 135, 269, "apache-2.0",
         "smollm2", "tree/e682e54cd28bfbd993ed4549dbab7aafbd3e44b7"),
    _hub("skt/kogpt2-base-v2", "generate tokenize", ("ko",), 125, 513, "cc-by-nc-sa-4.0", "korean_web",
         "https://huggingface.co/ComCom/skt_kogpt2-base-v2/tree/a01a98c40194cd000722ab4ca05b73dfe82b0a91",
         pickled=True),
    _hub("distilbert/distilgpt2", "generate", ("en",), None, None, "apache-2.0",
         "openwebtext", "blob/refs%2Fpr%2F21/tokenizer.json"),
    _hub("openai-community/gpt2", "generate tokenize", ("en",), 137, 548, "mit",
         "webtext", "tree/b452cd07ba2ae5772fd2c0fa6b9ca20450544144"),
    _hub("Qwen/Qwen3-0.6B", "generate tokenize", _MANY, 600, 1500, "apache-2.0", "qwen3", "tree/main"),
    _hub("gogamza/kobart-summarization", "summarize", ("ko",), 124, 496, "mit",
         "kobart", "tree/31f181b155a0ad74bd93bd90ee04310ff72691f4"),
    _hub("sshleifer/distilbart-cnn-12-6", "summarize", ("en",), 306, 1220, "apache-2.0",
         "cnn_dailymail", "tree/refs%2Fpr%2F13", pickled=True),
    _hub("facebook/bart-large-cnn", "summarize", ("en",), 407, 1630, "mit", "cnn_dailymail", "tree/refs%2Fpr%2F25"),
    _hub("Helsinki-NLP/opus-mt-ko-en", "translate", ("ko",), 78, 312, "apache-2.0",
         "opus_ko_en", "tree/9a900cd71ac2666c247c13c5d1bf850ebb6ff15f", pickled=True),
    _hub("Helsinki-NLP/opus-mt-tc-big-en-ko", "translate", ("en",), 209, 418, "cc-by-4.0", "opus_en_ko", "tree/main"),
    _hub("google-t5/t5-small", "summarize translate tokenize", ("en", "fr", "ro", "de"), 60.5, 242, "apache-2.0",
         "t5", "tree/215266055fa208c3518c33bee141d4c1da861b9f"),
)
_ENCODERS = (
    _hub("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", "similarity keywords", _MANY, 118, 471,
         "apache-2.0", "paraphrases_50", "tree/main"),
    _hub("jhgan/ko-sroberta-multitask", "similarity keywords", ("ko",), 111, 443, None,
         "kor_nli_sts", "tree/refs%2Fpr%2F3", pickled=True),
)
_TOKENIZERS = (
    _hub("google-bert/bert-base-multilingual-cased", "tokenize", _MANY, 178, 3, "apache-2.0",
         "wikipedia_104", "https://huggingface.co/bert-base-multilingual-cased/tree/main"),
    _hub("monologg/koelectra-base-v3-discriminator", "tokenize", ("ko",), 113, 0.3, "apache-2.0",
         "koelectra", "tree/6305ecb97def7f515da5b4e3c95d07d3825185de", pickled=True),
)
_IMAGE_TEXT = (
    _hub("openai/clip-vit-base-patch32", "image_text", ("en",), 151, 605, None, "web_pictures",
         "https://huggingface.co/timm/vit_base_patch32_clip_224.openai/tree/ab5b8ef490e86faa07d3523926b842c765de1de5",
         pickled=True),
    _hub("google/siglip2-base-patch16-224", "image_text", _MANY, 375, 1501, "apache-2.0",
         "webli", "https://gr.tbb.rip/models/google/siglip2-base-patch16-224"),
    _hub("Bingsu/clip-vit-large-patch14-ko", "image_text", ("ko",), 428, 1710, "mit",
         "clip_ko", "tree/refs%2Fpr%2F1"),
)
_PAINTERS = (
    _hub("stabilityai/sd-turbo", "image_generation", ("en",), 1290, 5160, None, "laion",
         "tree/b335f733db09ff60444334351a3bbf6ab4b64332"),
    _hub("stable-diffusion-v1-5/stable-diffusion-v1-5", "image_generation", ("en",), 1066, 4270,
         "creativeml-openrail-m", "laion", "tree/main"),
    _hub("stabilityai/sdxl-turbo", "image_generation", ("en",), 3470, 13900, "sai-nc-community",
         "sdxl_pictures", "tree/cf0e5cbf9cb1ce0f632875ea8e1b996a9df869d8"),
    _hub("black-forest-labs/FLUX.2-klein-4B", "image_generation", ("en",), 4000, 16000, "apache-2.0",
         "flux_pictures", "tree/main"),
    _hub("black-forest-labs/FLUX.1-schnell", "image_generation", ("en",), 12000, 34000, "apache-2.0",
         "flux_pictures", "tree/main"),
    _hub("black-forest-labs/FLUX.1-dev", "image_generation", ("en",), 12000, 34000,
         "flux-1-dev-non-commercial-license", "flux_pictures", "tree/main", gated=True),
)
# fmt: on

_HUB = (*_SENTIMENT, *_PAIRS, *_SPANS, *_WRITERS, *_ENCODERS, *_TOKENIZERS, *_IMAGE_TEXT, *_PAINTERS)

MODELS: tuple[ModelCard, ...] = (*_POCKET, *_HUB)

_BY_ID = {card.id: card for card in MODELS}
_OFFERED = {task: tuple(card for card in MODELS if task in card.tasks) for task in (*TASKS, *IMAGE_TASKS, "tokenize")}


def offered(task: str) -> tuple[ModelCard, ...]:
    """Return the models listed for a task, in the table's order.

    Raises:
        VisitorError: unknown_task.
    """
    if not isinstance(task, str) or task not in _OFFERED:
        raise VisitorError("unknown_task", task=task, tasks=", ".join(TASKS))
    return _OFFERED[task]


def card(model_id: str) -> ModelCard | None:
    """Return the listed model's card, or None for an id that is not listed."""
    return _BY_ID.get(model_id)
