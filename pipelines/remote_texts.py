"""The text tasks at an inference provider, with the visitor's own token; results as those of text_tasks.py.

    >>> *_, run = answer_remotely("sentiment", {"texts": ["What a lovely film"]}, token="hf_...")
    >>> run.result[0]["polarity"], run.provider
    ('positive', 'hf-inference')

What a provider answered is checked by remote_checks.py. The tokens and numbers inside the model stay with the
provider. Nothing is remembered: one visitor's paid answer is not another's.
https://huggingface.co/docs/inference-providers/tasks/index
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from pipelines import (
    catalog,
    classification,
    embeddings,
    inputs,
    languages,
    remote,
    remote_checks,
    remote_snippets,
    remote_writing,
    rewriting,
    snippets,
    spans,
    text_tasks,
)
from pipelines.errors import VisitorError
from pipelines.inputs import is_korean
from pipelines.literals import literal
from pipelines.outcome import Outcome
from pipelines.polarity import polarity
from pipelines.remote_call import Call, Plan, single
from pipelines.run import Run

MOST_TEXTS = 30
TOP_K = 100
MOST_WRITTEN = 20_000
VECTORS = ("feature-extraction", "sentence-similarity")
# Who may be asked for a text task; a test holds it against huggingface_hub's own table.
PROVIDERS = (
    "baseten", "cerebras", "cohere", "deepinfra", "featherless-ai", "fireworks-ai", "groq", "hf-inference", "novita",
    "nscale", "openai", "ovhcloud", "publicai", "scaleway", "together", "zai-org",
)  # fmt: skip
# When the visitor names no model: well-known ones, by the text's language; who offers them is asked at each run.
_FOLLOWS = {"en": "facebook/bart-large-mnli", "ko": "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli"}
_EMBEDS = {"en": "intfloat/multilingual-e5-large", "ko": "intfloat/multilingual-e5-large"}
DEFAULTS = {
    "sentiment": {
        "en": "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        "ko": "tabularisai/multilingual-sentiment-analysis",
    },
    "zero_shot": _FOLLOWS,
    "entities": {"en": "dslim/bert-base-NER", "ko": "Leo97/KoELECTRA-small-v3-modu-ner"},
    "answer": {"en": "deepset/roberta-base-squad2", "ko": "monologg/koelectra-base-v3-finetuned-korquad"},
    "fill_mask": {"en": "google-bert/bert-base-uncased", "ko": "FacebookAI/xlm-roberta-base"},
    "generate": {"en": "meta-llama/Llama-3.1-8B-Instruct", "ko": "meta-llama/Llama-3.1-8B-Instruct"},
    "summarize": {"en": "facebook/bart-large-cnn", "ko": "csebuetnlp/mT5_multilingual_XLSum"},
    "translate": {"en": "Helsinki-NLP/opus-mt-tc-big-en-ko", "ko": "Helsinki-NLP/opus-mt-ko-en"},
    "similarity": _EMBEDS,
    "keywords": _EMBEDS,
    "entail": _FOLLOWS,
}


def answer_remotely(
    task: str,
    arguments: dict[str, Any],
    token: str | None,
    model: str | None = None,
    provider: str | None = None,
    stop: threading.Event | None = None,
) -> Iterator[remote.Pause | Run | None]:
    """Have a text task done by one of Hugging Face's inference providers.

    Args:
        task: Of catalog.TASKS.
        arguments: Those of the task's function in text_tasks.py, by name.
        token: The visitor's own, beginning with "hf_"; pays for the answer.
        model: Hub id; None takes the one of `DEFAULTS`.
        provider: Such as "together"; None takes the first that offers the model.
        stop: Set it to give up within `remote.POLL_S`; closing the iterator does the same.

    Yields:
        None every `remote.POLL_S`, or Pause where the provider asked for it; a Run in the end, and for "generate"
        after each piece of text. Its result is what text_tasks.py would give, but for "generate": tokens have no id,
        and a probability and alternatives only where the provider tells them.

    Raises:
        VisitorError: as the task's function for what it cannot use, and as `remote.checked`, `remote.route` and
            `remote.relay`; remote_odd, when the answer is none; remote_no_beam, remote_no_text, remote_pair.
    """
    if task not in _PLANS:
        raise VisitorError("unknown_task", task=str(task)[:40], tasks=", ".join(_PLANS))
    plan = _PLANS[task](**arguments)
    default = DEFAULTS[task]["ko" if is_korean(plan.texts[0]) else "en"]
    name, secret = remote.checked((model or "").strip() or default, token)
    stop = stop or threading.Event()
    begun, at, outcome = time.monotonic(), None, None
    note, code = languages.note(catalog.card(name), *plan.texts), None

    def work(tell: Callable[[Any], None]) -> None:
        there = remote.route(name, plan.tasks, task, provider, stop, tell)
        tell(there)
        for each in plan.ask(Call(there, secret, stop, tell)):
            tell(each)

    try:
        for event in remote.relay(work, name, stop):
            if isinstance(event, remote.Route):
                at, code = event, plan.code(event)
            elif isinstance(event, Outcome):
                outcome, took = event, (time.monotonic() - begun) * 1000
                device = f"remote · {at.provider}"
                yield Run(outcome.result, name, outcome.method, note, {"remote": took}, device, code=code)
            else:
                yield event
    except VisitorError as error:
        if error.key != "stopped" or outcome is None:
            raise


def _card(call: Call) -> catalog.ModelCard | None:
    return catalog.card(call.at.model)


def _sentiment(texts: object) -> Plan:
    clean = inputs.texts(texts)
    if len(clean) > MOST_TEXTS:
        raise VisitorError("too_many_texts", limit=MOST_TEXTS, count=len(clean))

    def ask(call: Call) -> Outcome:
        rows = []
        for text in clean:
            scores = remote_checks.shares(call.ask("text_classification", text, top_k=TOP_K))
            best = next(iter(scores))
            kind = polarity(best, _card(call), scores)
            row = {"text": text, "label": best, "polarity": kind, "score": scores[best], "scores": scores}
            rows.append({**row, "model": call.at.model})
        return Outcome(rows)

    def code(at: remote.Route) -> str:
        return remote_snippets.write(at, remote_snippets.CLASSIFY, texts=literal(clean), top_k=str(TOP_K))

    return Plan(("text-classification",), clean, single(ask), code)


def _zero_shot(text: object, labels: object, multi_label: object = False, template: object = None) -> Plan:
    clean, names, many = inputs.text(text), inputs.labels(labels), bool(multi_label)
    own = None if template is None else text_tasks.own_template(template)

    def pattern(at: remote.Route) -> str:
        return own or text_tasks.template_for("embeddings" if at.task in VECTORS else "nli", clean)

    def escaped(at: remote.Route) -> str:
        # Over there the template is filled with str.format: every other brace has to be doubled.
        return pattern(at).replace("{", "{{").replace("}", "}}").replace("{{}}", "{}")

    def ask(call: Call) -> Outcome:
        if call.at.task in VECTORS:
            filled = [pattern(call.at).replace("{}", name) for name in names]
            return classification.by_vectors(call.vectors([clean, *filled]), names, many)
        scores = remote_checks.shares(
            call.ask("zero_shot_classification", clean, names, multi_label=many, hypothesis_template=escaped(call.at))
        )
        if set(scores) != set(names):
            raise remote_checks.odd("label")
        return Outcome({"labels": list(scores), "scores": list(scores.values())})

    def code(at: remote.Route) -> str:
        values = {"text": literal(clean), "labels": literal(names)}
        if at.task in VECTORS:
            softmax = f"(cosines / {embeddings.TEMPERATURE}).softmax(0)"
            values |= {"template": literal(pattern(at)), "scores": "cosines.clamp(0, 1)" if many else softmax}
            return remote_snippets.embed(at, Call.BATCH, snippets.ZERO_SHOT_VECTORS, **values)
        values |= {"template": literal(escaped(at)), "multi_label": literal(many)}
        return remote_snippets.write(at, remote_snippets.ZERO_SHOT, **values)

    return Plan(("zero-shot-classification", *VECTORS), [clean], single(ask), code)


def _entities(text: object) -> Plan:
    clean = inputs.text(text)
    latin = len(re.findall("[A-Za-z]", clean))
    # One tag a word, where words are parted by spaces and hold no particles.
    strategy = "first" if latin * 2 > sum(map(str.isalpha, clean)) and not is_korean(clean) else "simple"

    def ask(call: Call) -> Outcome:
        found, end = [], 0
        answered = call.ask("token_classification", clean, aggregation_strategy=strategy)
        for row in remote_checks.rows(answered, least=0):
            name = remote_checks.label(row.get("entity_group") or row.get("entity"))
            start, end = _place(clean, row, end)
            one = {"entity": name, "text": clean[start:end], "start": start, "end": end}
            found.append({**one, "score": remote_checks.share(row.get("score"))})
        return Outcome(sorted(found, key=lambda each: each["start"]))

    def code(at: remote.Route) -> str:
        return remote_snippets.write(at, remote_snippets.ENTITIES, text=literal(clean), strategy=literal(strategy))

    return Plan(("token-classification",), [clean], single(ask), code)


def _place(text: str, row: dict[str, Any], after: int) -> tuple[int, int]:
    """Return the characters of an entity, without white space at its ends."""
    start, end = row.get("start"), row.get("end")
    if start is None or end is None:  # a tokenizer without offsets
        word = remote_checks.words(row.get("word"), len(text), "word")
        start = text.find(word, after)
        end = start + len(word)
    start, end = remote_checks.place(start, end, text)
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return remote_checks.place(start, start + len(piece.strip()), text)


def _answer(question: object, context: object) -> Plan:
    asked, clean = inputs.text(question, limit=1_000, what="question"), inputs.text(context, what="context")

    def impossible(model: str) -> bool:
        return spans.knows_no_answer(catalog.card(model), model)

    def ask(call: Call) -> Outcome:
        options = {"question": asked, "context": clean, "handle_impossible_answer": impossible(call.at.model)}
        found = call.ask("question_answering", **options)
        row = remote_checks.rows(found if isinstance(found, list) else [found])[0]
        score = remote_checks.share(row.get("score"))
        words = remote_checks.words(row.get("answer"), len(clean), "answer")
        if not words.strip():
            return Outcome({"answer": "", "start": 0, "end": 0, "score": score})
        start, end = remote_checks.place(row.get("start"), row.get("end"), clean)
        if clean[start:end].split() != words.split():
            raise remote_checks.odd("place")
        return Outcome({"answer": clean[start:end], "start": start, "end": end, "score": score})

    def code(at: remote.Route) -> str:
        return remote_snippets.write(
            at,
            remote_snippets.ANSWER,
            question=literal(asked),
            context=literal(clean),
            impossible=literal(impossible(at.model)),
        )

    return Plan(("question-answering",), [clean], single(ask), code)


def _fill_mask(text: object, top_k: object = 5) -> Plan:
    clean = inputs.text(text)
    count = inputs.number(top_k, "top_k", 1, 50, whole=True)
    start, end = spans.one_mask(clean)
    before, after = clean[:start], clean[end:]

    def masked(at: remote.Route) -> str:
        return before + (at.mask or clean[start:end]) + after

    def ask(call: Call) -> Outcome:
        rows = remote_checks.rows(call.ask("fill_mask", masked(call.at), top_k=count))
        found = []
        for row in rows[:count]:
            token = remote_checks.label(row.get("token_str"))
            score = remote_checks.share(row.get("score"))
            found.append({"token": token, "score": score, "sentence": spans.filled(before, token, after)})
        return Outcome(sorted(found, key=lambda each: -each["score"]))

    def code(at: remote.Route) -> str:
        return remote_snippets.write(at, remote_snippets.FILL_MASK, text=literal(masked(at)), top_k=str(count))

    return Plan(("fill-mask",), [clean], single(ask), code)


def _summarize(text: object, max_sentences: object = None, max_length: object = None) -> Plan:
    clean = inputs.text(text)
    most, length = text_tasks.summary_limits(max_sentences, max_length)
    pieces = rewriting.split(clean)
    options = {} if length is None else {"generate_parameters": {"max_new_tokens": length}}

    def ask(call: Call) -> Outcome:
        if call.at.task in VECTORS:
            chosen = rewriting.central(pieces, call.vectors(pieces), most)
            summary = " ".join(pieces[i] for i in sorted(chosen))
            return Outcome({"summary": summary, "method": "lexrank"}, "method.lexrank")
        summary = _written(call.ask("summarization", clean, **options), "summary_text")
        if most is not None:
            summary = " ".join(embeddings.sentences(summary)[:most]) or summary
        return Outcome({"summary": summary, "method": "seq2seq"}, "method.seq2seq")

    def code(at: remote.Route) -> str:
        if at.task not in VECTORS:
            return _rewrite(at, "summarization", "summary_text", clean, options)
        values = {
            "sentences": literal(pieces),
            "count": str(rewriting.how_many(pieces, most)),
            "damping": str(embeddings.LEXRANK_DAMPING),
            "rest": str(round(1 - embeddings.LEXRANK_DAMPING, 6)),
            "within": "",
        }
        return remote_snippets.embed(at, Call.BATCH, snippets.LEXRANK, with_mmr=True, **values)

    return Plan(("summarization", *VECTORS), [clean], single(ask), code)


def _translate(text: object) -> Plan:
    clean = inputs.text(text)

    def options(at: remote.Route) -> dict[str, str]:
        return rewriting.languages_by_name(at.model, clean)

    def ask(call: Call) -> Outcome:
        found = call.ask("translation", clean, **options(call.at))
        return Outcome({"translation": _written(found, "translation_text")})

    def code(at: remote.Route) -> str:
        return _rewrite(at, "translation", "translation_text", clean, options(at))

    return Plan(("translation",), [clean], single(ask), code)


def _written(found: Any, name: str) -> str:
    row = remote_checks.rows([found])[0]
    written = remote_checks.words(row.get(name), MOST_WRITTEN, "text")
    if not written.strip():
        raise remote_checks.odd("text")
    return written


def _rewrite(at: remote.Route, method: str, name: str, text: str, options: dict[str, Any]) -> str:
    more = "".join(f"\n    {key}={literal(value)}," for key, value in options.items())
    return remote_snippets.write(at, remote_snippets.REWRITE, method=method, text=literal(text), more=more, field=name)


def _similarity(texts: object) -> Plan:
    clean = inputs.lines(texts)
    if len(clean) > text_tasks.MOST_COMPARED:
        raise VisitorError("too_many_texts", limit=text_tasks.MOST_COMPARED, count=len(clean))

    def ask(call: Call) -> Outcome:
        vectors = call.vectors(clean)
        matrix = (vectors @ vectors.T).astype("float64").clip(-1.0, 1.0).round(6).tolist()
        return Outcome({"embeddings_shape": list(vectors.shape), "matrix": matrix})

    def code(at: remote.Route) -> str:
        return remote_snippets.embed(at, Call.BATCH, snippets.SIMILARITY, texts=literal(clean))

    return Plan(VECTORS, clean, single(ask), code)


def _keywords(text: object, top_k: object = 5) -> Plan:
    clean = inputs.text(text)
    count = inputs.number(top_k, "top_k", 1, 30, whole=True)
    candidates = embeddings.candidates(clean)
    if not candidates:
        raise VisitorError("no_keywords")

    def ask(call: Call) -> Outcome:
        return rewriting.closest(candidates, call.vectors([clean, *candidates]), count)

    def code(at: remote.Route) -> str:
        values = {"text": literal(clean), "candidates": literal(candidates), "top_k": str(count)}
        return remote_snippets.embed(at, Call.BATCH, snippets.KEYWORDS, with_mmr=True, **values)

    return Plan(VECTORS, [clean], single(ask), code)


def _entail(premise: object, hypothesis: object = "") -> Plan:
    """Plan a pair as a zero-shot question of one label; the providers' text classification takes no pairs."""
    first = inputs.text(premise, what="premise")
    blank = hypothesis is None or isinstance(hypothesis, str) and not hypothesis.strip()
    second = "" if blank else inputs.text(hypothesis, what="hypothesis")

    def ask(call: Call) -> Outcome:
        if not second:
            if call.at.task != "text-classification":
                raise VisitorError("empty_hypothesis")
            scores = remote_checks.shares(call.ask("text_classification", first, top_k=TOP_K))
            return Outcome({"label": next(iter(scores)), "scores": scores})
        if call.at.task == "text-classification":
            raise VisitorError("remote_pair", model=call.at.model)
        options = {"multi_label": True, "hypothesis_template": "{}"}
        row = remote_checks.rows(call.ask("zero_shot_classification", first, [second], **options))[0]
        follows = remote_checks.share(row.get("score"))
        both = {"entailment": follows, "contradiction": 1 - follows}
        scores = dict(sorted(both.items(), key=lambda item: -item[1]))
        return Outcome({"label": next(iter(scores)), "scores": scores}, "method.remote_entail")

    def code(at: remote.Route) -> str:
        if second:
            values = {"premise": literal(first), "hypothesis": literal(second)}
            return remote_snippets.write(at, remote_snippets.FOLLOWS, **values)
        return remote_snippets.write(at, remote_snippets.CLASSIFY, texts=literal([first]), top_k=str(TOP_K))

    return Plan(("zero-shot-classification", "text-classification"), [first], single(ask), code)


_PLANS: dict[str, Callable[..., Plan]] = {
    "sentiment": _sentiment,
    "zero_shot": _zero_shot,
    "entities": _entities,
    "answer": _answer,
    "fill_mask": _fill_mask,
    "generate": remote_writing.plan,
    "summarize": _summarize,
    "translate": _translate,
    "similarity": _similarity,
    "keywords": _keywords,
    "entail": _entail,
}
