"""The text tasks: one function each, plain values in, a Run out whose result is what the API endpoint returns.

    >>> sentiment("What a lovely film").result[0]["polarity"]
    'positive'

Every function takes any object for its arguments and raises VisitorError for what it cannot use. Leaving `model` out
takes the task's default that works on this machine now. The same request again is answered from memory, except where
tokens are drawn at random. How each task is computed is in classification.py, spans.py, rewriting.py, generation.py and
beams.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from pipelines import (
    beams,
    classification,
    embeddings,
    generation,
    hub,
    inputs,
    languages,
    loading,
    rewriting,
    rounding,
    spans,
)
from pipelines.errors import VisitorError
from pipelines.memo import Memo
from pipelines.outcome import Outcome
from pipelines.run import Run, Stopwatch

if TYPE_CHECKING:
    from pipelines.loading import Loaded

MEMO = Memo(32_000_000)
ROUNDED = " int8 + fp32"
MOST_COMPARED = 100
# The transformers tasks whose passes visitors share (batching.py); a model of any other is locked for each request.
SHARED = ("text-classification", "zero-shot-classification", "feature-extraction")
TEMPLATES = {
    "embeddings": {"en": "This text is about {}.", "ko": "이 글은 {}에 관한 것이다."},
    "nli": {"en": "This example is {}.", "ko": "이 글은 {}에 관한 것이다."},
}


def sentiment(texts: object, model: object = None) -> Run:
    """Say whether texts are negative, neutral or positive.

    Args:
        texts: One text, or a list; blank ones are dropped.
        model: Id of a sentiment model; None takes the default of each text's language.

    Returns:
        Run of [{text, label, polarity, score, scores: {label: probability}, model}], in the order of the texts.
        `polarity` is None where nothing declares what the model's label means. Of a hundred texts and more most are
        computed in 8 bits where that is faster, with the same labels (see `rounding`); the device then says so.
    """
    clean, named = inputs.texts(texts), _model(model)
    chosen = [named or loading.default_model("sentiment", text) for text in clean]
    # What was computed for a table, in 8 bits, is no answer to one sentence.
    kept = [("sentiment", name, text) for name, text in zip(chosen, clean, strict=True)]
    table = len(clean) >= rounding.FROM
    rows: list[Any] = [MEMO.get(key) or (MEMO.get((*key, "rounded")) if table else None) for key in kept]
    remembered = all(rows)
    watch, device = Stopwatch(), rows[0].device if remembered else "cpu"
    for name in dict.fromkeys(chosen):
        new = [i for i, each in enumerate(chosen) if each == name and rows[i] is None]
        if not new:
            continue
        batch = [clean[i] for i in new]
        with _using(name, "sentiment") as loaded:
            outcomes = classification.sentiment(loaded, batch, watch)
            device = loaded.device
            notes = [_note(outcome, loaded, text) for outcome, text in zip(outcomes, batch, strict=True)]
        for i, outcome, note in zip(new, outcomes, notes, strict=True):
            where = device + ROUNDED if outcome.rounded else device
            rows[i] = Run(outcome.result, name, note=note, timing=watch.timing, device=where)
            MEMO.put((*kept[i], "rounded") if outcome.rounded else kept[i], rows[i])
    timing = rows[0].timing if remembered else watch.timing
    note = _together({row.note for row in rows})
    used = ", ".join(dict.fromkeys(chosen))
    device = next((row.device for row in rows if row.device.endswith(ROUNDED)), device)
    return Run([row.result for row in rows], used, None, note, dict(timing), device, remembered)


def zero_shot(
    text: object, labels: object, multi_label: object = False, template: object = None, model: object = None
) -> Run:
    """Say which of the visitor's own labels fits a text, without training on them.

    A model trained on entailment reads text and filled template as premise and hypothesis. An embedding model (the
    offline default; method "method.embeddings_zero_shot") compares their vectors: cosine, then softmax at
    `embeddings.TEMPERATURE`; with `multi_label` each label keeps its own cosine, from 0 to 1.

    Args:
        text: The text.
        labels: A list, or one string parted by commas.
        multi_label: Labels do not exclude each other.
        template: Sentence with {} where the label goes; None takes one in the text's language.
        model: Id of an entailment or embedding model.

    Returns:
        Run of {labels, scores}, best first.
    """
    clean, names = inputs.text(text), inputs.labels(labels)
    several = _flag(multi_label, "multi_label")
    pattern = None if template is None else own_template(template)

    def compute(loaded: Loaded, watch: Stopwatch) -> Outcome:
        kind = "embeddings" if loaded.pipe.task == "feature-extraction" else "nli"
        return classification.zero_shot(loaded, clean, names, pattern or template_for(kind, clean), several, watch)

    return _run("zero_shot", model, clean, (tuple(names), several, pattern), compute)


def template_for(kind: str, text: str) -> str:
    """Return the default zero-shot template of "embeddings" or "nli" models in the text's language."""
    return TEMPLATES[kind]["ko" if inputs.is_korean(text) else "en"]


def own_template(value: object) -> str:
    """Return a visitor's template.

    Raises:
        VisitorError: bad_template, when no {} says where the label goes.
    """
    clean = inputs.text(value, limit=300, what="template")
    if "{}" not in clean:
        raise VisitorError("bad_template", slot="{}")
    return clean


def entities(text: object, model: object = None) -> Run:
    """Find the names of people, places, organisations and the like in a text.

    Returns:
        Run of [{entity, text, start, end, score}], in the order of the text, with text == input[start:end].
    """
    clean = inputs.text(text)
    return _run("entities", model, clean, (), lambda loaded, watch: spans.entities(loaded, clean, watch))


def answer(question: object, context: object, model: object = None) -> Run:
    """Answer a question with a piece of a text.

    Returns:
        Run of {answer, start, end, score}, with answer == context[start:end]; a model trained to see when a text holds
        no answer may return the empty string.
    """
    asked = inputs.text(question, limit=1_000, what="question")
    clean = inputs.text(context, what="context")
    return _run("answer", model, clean, (asked,), lambda loaded, watch: spans.answer(loaded, asked, clean, watch))


def fill_mask(text: object, top_k: object = 5, model: object = None) -> Run:
    """Say what could stand where a sentence has a hole.

    Args:
        text: Sentence with exactly one mask, written [MASK], <mask> or as the model writes it.
        top_k: How many candidates, 1 to 50.
        model: Id of a masked language model.

    Returns:
        Run of [{token, score, sentence}], best first; the sentence is the text with the token filled in.

    Raises:
        VisitorError: no_mask; one_mask, for two masks and more.
    """
    clean = inputs.text(text)
    count = inputs.number(top_k, "top_k", 1, 50, whole=True)
    spans.one_mask(clean)
    return _run("fill_mask", model, clean, (count,), lambda loaded, watch: spans.fill_mask(loaded, clean, count, watch))


def generate(
    prompt: object,
    max_new_tokens: object = 50,
    temperature: object = 1.0,
    top_k: object = 50,
    top_p: object = 1.0,
    seed: object = None,
    model: object = None,
    repetition_penalty: object = None,
    num_beams: object = 1,
) -> Run:
    """Continue a text. Arguments as in `generate_stream`.

    Returns:
        Run of {text, tokens: [{token, id, probability, alternatives: [{token, id, probability}]}]}.
    """
    how = (max_new_tokens, temperature, top_k, top_p, seed, model, repetition_penalty, num_beams)
    return list(generate_stream(prompt, *how))[-1]


def generate_stream(
    prompt: object,
    max_new_tokens: object = 50,
    temperature: object = 1.0,
    top_k: object = 50,
    top_p: object = 1.0,
    seed: object = None,
    model: object = None,
    repetition_penalty: object = None,
    num_beams: object = 1,
    *,
    stop: Callable[[], bool] | None = None,
    begun: object = (),
) -> Iterator[Run]:
    """Continue a text, yielding a Run after each token.

    Args:
        prompt: How the text begins.
        max_new_tokens: Most tokens to add, 1 to 500.
        temperature: 0 always takes the most probable token; higher is bolder, up to 5.
        top_k: Draw from this many most probable tokens; 0 for all.
        top_p: Draw from the smallest set of tokens that holds this probability, above 0 to 1.
        seed: Whole number for the same text again; None draws a new one.
        model: Id of a causal language model.
        repetition_penalty: Above 1, up to 5, makes what the text already holds less likely; None keeps the model's own.
        num_beams: 2 to 5 search for the text that is likeliest as a whole, and draw nothing; 1 does not search.
        stop: Asked before each token; the text ends when it returns True.
        begun: Entries of an earlier result's tokens that stay, by their ids; the last may be another one
            (`generation.instead`).

    Yields:
        Runs of {text, tokens} as in `generate`: the text begins with the prompt as it was typed. While beams are
        weighed, the result holds them too: {text, tokens, beams: [text]}.
    """
    clean = inputs.text(prompt, what="prompt")
    how = sampling(max_new_tokens, temperature, top_k, top_p, seed, repetition_penalty, num_beams)
    kept = generation.entries(begun)
    name = _model(model) or loading.default_model("generate", clean)
    watch = Stopwatch()
    write = beams.write if how.num_beams > 1 else generation.write
    with loading.use(name, "generate") as loaded:
        note = languages.note(loaded.card, clean)
        result: dict[str, Any] = {"text": clean, "tokens": []}
        for written in write(loaded, clean, how, watch, stop, kept):
            result = {"text": written.text, "tokens": written.tokens}
            told = "note.truncated" if written.cut else note
            searching = {"beams": list(written.beams)} if written.beams else {}
            chosen = "method.beam" if how.num_beams > 1 and not searching else None
            yield Run(result | searching, name, chosen, told, dict(watch.timing), loaded.device)
        if not result["tokens"]:
            yield Run(result, name, None, note, dict(watch.timing), loaded.device)


def sampling(
    max_new_tokens: object,
    temperature: object,
    top_k: object,
    top_p: object,
    seed: object,
    repetition_penalty: object = None,
    num_beams: object = 1,
) -> generation.Sampling:
    """Return how tokens are to be chosen, or raise VisitorError for a value out of its range."""
    return generation.Sampling(
        inputs.number(max_new_tokens, "max_new_tokens", 1, 500, whole=True),
        inputs.number(temperature, "temperature", 0, 5),
        inputs.number(top_k, "top_k", 0, 1_000, whole=True),
        inputs.number(top_p, "top_p", 0.01, 1),
        random.getrandbits(32) if seed is None else inputs.number(seed, "seed", 0, 2**53, whole=True),
        None if repetition_penalty is None else inputs.number(repetition_penalty, "repetition_penalty", 0.1, 5),
        inputs.number(num_beams, "num_beams", 1, 5, whole=True),
    )


def summarize(text: object, max_sentences: object = None, max_length: object = None, model: object = None) -> Run:
    """Say the main things of a text shorter.

    An embedding model (the offline default) chooses the text's own most central sentences ("method.lexrank"); a
    sequence-to-sequence model writes new ones.

    Args:
        text: Several sentences.
        max_sentences: Most sentences to choose, 1 to 20; None takes about a third, three at most.
        max_length: Longest summary in tokens, 5 to 500.
        model: Id of an embedding or summarization model.

    Returns:
        Run of {summary, method}, method "lexrank" or "seq2seq".
    """
    clean = inputs.text(text)
    most, length = summary_limits(max_sentences, max_length)

    def compute(loaded: Loaded, watch: Stopwatch) -> Outcome:
        return rewriting.summarize(loaded, clean, most, length, watch)

    return _run("summarize", model, clean, (most, length), compute)


def summary_limits(max_sentences: object, max_length: object) -> tuple[int | None, int | None]:
    """Return the limits of a summary, in sentences and in tokens, or raise VisitorError."""
    most = None if max_sentences is None else inputs.number(max_sentences, "max_sentences", 1, 20, whole=True)
    return most, None if max_length is None else inputs.number(max_length, "max_length", 5, 500, whole=True)


def translate(text: object, model: object = None) -> Run:
    """Translate a text; a model of many languages turns Korean into English and anything else into Korean.

    Returns:
        Run of {translation}.
    """
    clean = inputs.text(text)
    return _run("translate", model, clean, (), lambda loaded, watch: rewriting.translate(loaded, clean, watch))


def similarity(texts: object, model: object = None) -> Run:
    """Say how alike texts are in meaning.

    Args:
        texts: Up to 100 texts; a string holds one per line.
        model: Id of an encoder.

    Returns:
        Run of {embeddings_shape: [texts, dimensions], matrix}: cosines of the mean-pooled, normalised vectors.
    """
    clean = inputs.lines(texts)
    if len(clean) > MOST_COMPARED:
        raise VisitorError("too_many_texts", limit=MOST_COMPARED, count=len(clean))

    def compute(loaded: Loaded, watch: Stopwatch) -> Outcome:
        vectors, cut = embeddings.embed(loaded, clean, watch)
        with watch("postprocess"):
            matrix = (vectors @ vectors.T).astype("float64").clip(-1.0, 1.0).round(6).tolist()
        return Outcome({"embeddings_shape": list(vectors.shape), "matrix": matrix}, cut=cut)

    return _run("similarity", model, "\n".join(clean), (tuple(clean),), compute, clean)


def keywords(text: object, top_k: object = 5, model: object = None) -> Run:
    """Name the words that a text is about: those whose vectors are closest to the whole text's, without repetition.

    KeyBERT's idea (Grootendorst 2020) with maximal marginal relevance.

    Returns:
        Run of [{keyword, score}], best first; the score is the cosine with the text.
    """
    clean = inputs.text(text)
    count = inputs.number(top_k, "top_k", 1, 30, whole=True)
    return _run(
        "keywords", model, clean, (count,), lambda loaded, watch: rewriting.keywords(loaded, clean, count, watch)
    )


def entail(premise: object, hypothesis: object = "", model: object = None) -> Run:
    """Say whether one sentence follows from another; or, for a model of single sentences, judge the first alone.

    Args:
        premise: What is known, or the one sentence.
        hypothesis: What may follow; only models of single sentences (acceptability) go without.
        model: Id of an entailment or acceptability model.

    Returns:
        Run of {label, scores: {label: probability}}.
    """
    first = inputs.text(premise, what="premise")
    blank = hypothesis is None or isinstance(hypothesis, str) and not hypothesis.strip()
    second = "" if blank else inputs.text(hypothesis, what="hypothesis")
    return _run(
        "entail", model, first, (second,), lambda loaded, watch: classification.entail(loaded, first, second, watch)
    )


TASK_FUNCTIONS: dict[str, Callable[..., Run]] = {
    "sentiment": sentiment,
    "zero_shot": zero_shot,
    "entities": entities,
    "answer": answer,
    "fill_mask": fill_mask,
    "generate": generate,
    "summarize": summarize,
    "translate": translate,
    "similarity": similarity,
    "keywords": keywords,
    "entail": entail,
}


def _run(
    task: str,
    model: object,
    text: str,
    arguments: tuple[Hashable, ...],
    compute: Callable[[Loaded, Stopwatch], Outcome],
    texts: Sequence[str] = (),
) -> Run:
    """Answer from memory, or compute with the model locked.

    `text` chooses the default model; the language note is about `texts`, each by itself, where there are several.
    """
    name = _model(model) or loading.default_model(task, text)
    key = (task, name, text, *arguments)
    known = MEMO.get(key)
    if known is not None:
        return known
    watch = Stopwatch()
    with _using(name, task) as loaded:
        outcome = compute(loaded, watch)
        weak = loaded.card is not None and task in loaded.card.weak_at
        note = _note(outcome, loaded, *(texts or [text])) or ("note.weak" if weak else None)
        run = Run(outcome.result, name, outcome.method, note, watch.timing, loaded.device)
    MEMO.put(key, run)
    return run


@contextmanager
def _using(model: str, task: str) -> Iterator[Loaded]:
    import torch

    with loading.use(model, task) as loaded, ExitStack() as alone:
        if loaded.pipe.task not in SHARED:
            alone.enter_context(loaded.lock)
            alone.enter_context(torch.inference_mode())
        try:
            yield loaded
        except (IndexError, RuntimeError) as error:  # a checkpoint that does not fit its own tokenizer, say
            raise VisitorError("model_failed", model=model, reason=type(error).__name__) from error


def _note(outcome: Outcome, loaded: Loaded, *texts: str) -> str | None:
    return _together({"note.truncated" if outcome.cut else None, languages.note(loaded.card, *texts)})


def _together(notes: set[str | None]) -> str | None:
    """Return the one sentence that says what all the notes say."""
    told = notes - {None}
    return "note.language_truncated" if len(told) > 1 else next(iter(told), None)


def _model(value: object) -> str | None:
    """Return the id a visitor named, None for none."""
    if value is None or isinstance(value, str) and not value.strip():
        return None
    return hub.check_id(value.strip() if isinstance(value, str) else value)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise VisitorError("bad_choice", name=name, allowed="true, false")
    return value
