"""Tasks that say a text in other or fewer words: summaries, translations, keywords."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipelines import batching, embeddings
from pipelines.errors import VisitorError
from pipelines.inputs import is_korean
from pipelines.outcome import Outcome
from pipelines.run import Stopwatch

if TYPE_CHECKING:
    import numpy as np

    from pipelines.loading import Loaded

MOST_SENTENCES = 300
# How NLLB, mBART and M2M100 write the two languages.
_CODES = {"ko": ("kor_Hang", "ko_KR", "ko"), "en": ("eng_Latn", "en_XX", "en")}


def summarize(
    loaded: Loaded, text: str, max_sentences: int | None, max_length: int | None, watch: Stopwatch
) -> Outcome:
    """Return {summary, method}: chosen sentences from an encoder ("lexrank"), new ones from a seq2seq model."""
    if loaded.pipe.task == "feature-extraction":
        return _extract(loaded, text, max_sentences, max_length, watch)
    summary, cut = _rewrite(loaded, text, max_length, watch)
    if max_sentences is not None:
        summary = " ".join(embeddings.sentences(summary)[:max_sentences]) or summary
    return Outcome({"summary": summary, "method": "seq2seq"}, "method.seq2seq", cut)


def translate(loaded: Loaded, text: str, watch: Stopwatch) -> Outcome:
    """Return {translation}."""
    translation, cut = _rewrite(loaded, text, None, watch)
    return Outcome({"translation": translation}, cut=cut)


def keywords(loaded: Loaded, text: str, top_k: int, watch: Stopwatch) -> Outcome:
    """Return [{keyword, score}], best first.

    Raises:
        VisitorError: no_keywords, when nothing but stop words, digits and single letters is there.
    """
    words = embeddings.candidates(text)
    if not words:
        raise VisitorError("no_keywords")
    vectors, cut = embeddings.embed(loaded, [text, *words], watch)
    with watch("postprocess"):
        return closest(words, vectors, top_k, cut)


def closest(words: list[str], vectors: np.ndarray, top_k: int, cut: bool = False) -> Outcome:
    """Return [{keyword, score}], best first, from the vectors of a text and of its words."""
    relevance = vectors[1:] @ vectors[0]
    chosen = embeddings.mmr(relevance, vectors[1:], top_k)
    result = [{"keyword": words[i], "score": float(relevance[i])} for i in chosen]
    return Outcome(sorted(result, key=lambda each: -each["score"]), "method.keybert", cut)


def languages(tokenizer: Any, text: str) -> dict[str, str]:
    """Return src_lang and tgt_lang for a tokenizer of many languages, nothing for one that has its own pair."""
    if not hasattr(tokenizer, "_build_translation_inputs"):
        return {}
    known = set(tokenizer.all_special_tokens) | set(getattr(tokenizer, "lang_code_to_id", None) or {})
    codes = {
        language: next((code for code in names if code in known or f"__{code}__" in known), None)
        for language, names in _CODES.items()
    }
    if None in codes.values():
        return {}
    source, target = ("ko", "en") if is_korean(text) else ("en", "ko")
    return {"src_lang": codes[source], "tgt_lang": codes[target]}


def languages_by_name(model_id: str, text: str) -> dict[str, str]:
    """Return src_lang and tgt_lang for a model of many languages that only its name tells of; nothing for others."""
    families = ("nllb", "mbart", "m2m100")
    family = next((number for number, name in enumerate(families) if name in model_id.lower()), None)
    if family is None:
        return {}
    source, target = ("ko", "en") if is_korean(text) else ("en", "ko")
    return {"src_lang": _CODES[source][family], "tgt_lang": _CODES[target][family]}


def split(text: str) -> list[str]:
    """Return the sentences that a summary may choose from, the first 300."""
    return embeddings.sentences(text)[:MOST_SENTENCES] or [text.strip()]


def how_many(pieces: list[str], max_sentences: int | None) -> int:
    """Return how many sentences a summary has: a third of the text's, three at most, when nobody says."""
    return max_sentences or max(1, min(3, math.ceil(len(pieces) / 3)))


def prepare(pipe: Any, text: str, max_length: int | None = None) -> tuple[Any, bool, dict[str, Any]]:
    """Return what a seq2seq model reads of a text, whether the text was cut, and the arguments of generate()."""
    limit = batching.max_length(pipe)
    prefix, during = ("", {}) if max_length is None else ("", {"max_new_tokens": max_length, "min_length": 0})
    pair = {}
    if pipe.task == "translation":
        pair = languages(pipe.tokenizer, text)
        prefix, settings = direction(pipe.model.config)
        during = {**settings, **during}
    before, during, _ = pipe._sanitize_parameters(
        truncation=True, tokenizer_kwargs={"max_length": limit}, **pair, **during
    )
    inputs = pipe.preprocess(prefix + text, **before)
    full = inputs["input_ids"].shape[1] >= limit
    cut = full and len(pipe.tokenizer(prefix + text, truncation=False, verbose=False)["input_ids"]) > limit
    return inputs, cut, during


def direction(config: Any) -> tuple[str, dict[str, Any]]:
    """Return T5's prefix and settings for English to German (or the first pair it has); nothing for other models."""
    tasks = getattr(config, "task_specific_params", None) or {}
    pairs = sorted(name for name in tasks if name.startswith("translation_"))
    if not pairs:
        return "", {}
    settings = dict(tasks["translation_en_to_de" if "translation_en_to_de" in pairs else pairs[0]])
    return settings.pop("prefix", ""), settings


def _rewrite(loaded: Loaded, text: str, max_length: int | None, watch: Stopwatch) -> tuple[str, bool]:
    pipe = loaded.pipe
    with watch("tokenize"):
        inputs, cut, during = prepare(pipe, text, max_length)
    with watch("model"):
        outputs = pipe.forward(inputs, **during)
    with watch("postprocess"):
        best = pipe.postprocess(outputs)[0]
    return next(iter(best.values())), cut


def _extract(loaded: Loaded, text: str, max_sentences: int | None, max_length: int | None, watch: Stopwatch) -> Outcome:
    """Choose the most central sentences that do not repeat each other, in the order of the text."""
    pieces = split(text)
    vectors, shortened = embeddings.embed(loaded, pieces, watch)
    with watch("postprocess"):
        order = central(pieces, vectors, max_sentences)
        if max_length is not None:
            order = _within(loaded.pipe.tokenizer, pieces, order, max_length)
        summary = " ".join(pieces[i] for i in sorted(order))
    return Outcome({"summary": summary, "method": "lexrank"}, "method.lexrank", shortened)


def central(pieces: list[str], vectors: np.ndarray, max_sentences: int | None) -> list[int]:
    """Return which sentences are most central and do not repeat each other, best first."""
    rank = embeddings.lexrank(vectors)
    return embeddings.mmr(rank / rank.max(), vectors, how_many(pieces, max_sentences))


def _within(tokenizer: Any, pieces: list[str], order: list[int], max_length: int) -> list[int]:
    """Keep the best sentences whose tokens together fit; the best one stays in any case."""
    kept, used = [], 0
    for i in order:
        used += len(tokenizer(pieces[i], add_special_tokens=False, verbose=False)["input_ids"])
        if kept and used > max_length:
            break
        kept.append(i)
    return kept
