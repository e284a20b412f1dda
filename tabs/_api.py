"""The public endpoints: every ability of the page for programs, through gradio_client, HTTP or as MCP tools.

Names and parameters are a promise. Each function calls the same pipeline function as the page and returns its result
as plain JSON; what goes wrong arrives as one sentence in the caller's language (Accept-Language).
"""

from __future__ import annotations

import html
import inspect
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from pipelines import bpe, catalog, hub, sentiment, show_code, text_tasks, tokenizer
from pipelines.errors import VisitorError
from tabs import _image_api, _uploads
from tabs._i18n import language, sentence
from tabs._ui import IMAGE_LANE, TEXT_LANE

log = logging.getLogger(__name__)


def models(task: str | None = None) -> list:
    """List the models each task offers, and where they are.

    Args:
        task: One of sentiment, zero_shot, entities, answer, fill_mask, generate, summarize, translate, similarity,
            keywords, entail, image_text, image_generation, tokenize; None for all.

    Returns:
        List of {id, task, languages, params_m, size_mb, state, gated, license}; state is "pocket", "cached" or
        "remote".
    """
    tasks = [task] if task else [*catalog.TASKS, *catalog.IMAGE_TASKS, "tokenize"]
    return [
        {
            "id": card.id,
            "task": name,
            "languages": list(card.languages),
            "params_m": card.params_m,
            "size_mb": card.size_mb,
            "state": _state(card.id),
            "gated": card.gated,
            "license": card.license,
        }
        for name in tasks
        for card in catalog.offered(name)
    ]


def sentiment_(texts: list[str] | str, model: str | None = None) -> list:
    """Say whether texts are negative, neutral or positive.

    Args:
        texts: One text or a list of texts.
        model: Hub id or pocket/<name>; None chooses by each text's language.

    Returns:
        List of {text, label, polarity, score, scores, model}.
    """
    return text_tasks.sentiment(texts, model).result


def compare_sentiment(texts: list[str] | str, models: list[str] | None = None, gold: list[str] | None = None) -> dict:
    """Compare sentiment models on the same texts.

    Args:
        texts: One text or a list of texts.
        models: Hub ids or pocket/<name>; None takes those on this machine.
        gold: The right answers, negative/neutral/positive, one a text.

    Returns:
        {rows: [{text, results: {model: {label, polarity, score}}, agree}],
        models: {model: {ms, size_mb, accuracy?, macro_f1?}}}.
    """
    return sentiment.compare(texts, models, gold).result


def zero_shot(
    text: str,
    labels: list[str] | str,
    multi_label: bool = False,
    template: str | None = None,
    model: str | None = None,
) -> dict:
    """Sort a text under labels of your own.

    Args:
        text: The text.
        labels: The labels, as a list or parted by commas.
        multi_label: Judge each label by itself, so that the scores need not sum to 1.
        template: Sentence with {} where the label goes.
        model: An entailment model, or the embedding model.

    Returns:
        {labels, scores}, best first.
    """
    return text_tasks.zero_shot(text, labels, multi_label, template, model).result


def entities(text: str, model: str | None = None) -> list:
    """Find the names of people, places, organisations and so on in a text.

    Args:
        text: The text.
        model: A token classification model.

    Returns:
        List of {entity, text, start, end, score}, where text == input[start:end].
    """
    return text_tasks.entities(text, model).result


def answer(question: str, context: str, model: str | None = None) -> dict:
    """Find the answer to a question in a text.

    Args:
        question: The question.
        context: The text that holds the answer.
        model: An extractive question answering model.

    Returns:
        {answer, start, end, score}, where answer == context[start:end].
    """
    return text_tasks.answer(question, context, model).result


def fill_mask(text: str, top_k: int = 5, model: str | None = None) -> list:
    """Fill the blank in a text.

    Args:
        text: The text; the blank is written [MASK], whatever the model's own mask is.
        top_k: How many candidates.
        model: A masked language model.

    Returns:
        List of {token, score, sentence}, best first.
    """
    return text_tasks.fill_mask(text, top_k, model).result


def generate(
    prompt: str,
    max_new_tokens: int = 50,
    temperature: float = 1.0,
    top_k: int = 50,
    top_p: float = 1.0,
    seed: int | None = None,
    model: str | None = None,
    repetition_penalty: float | None = None,
    num_beams: int = 1,
) -> dict:
    """Write on from a prompt.

    Args:
        prompt: The beginning.
        max_new_tokens: How many tokens at most.
        temperature: 0 takes the likeliest token each time; more is bolder.
        top_k: Draw from the likeliest top_k tokens only; 0 from all.
        top_p: Draw from the likeliest tokens that together reach this probability.
        seed: The same seed gives the same text.
        model: A causal language model.
        repetition_penalty: Above 1 makes what the text already holds less likely; None keeps the model's own.
        num_beams: 2 to 5 search for the text that is likeliest as a whole (beam search): nothing is drawn, so
            temperature, top_k, top_p and seed have no effect.

    Returns:
        {text, tokens: [{token, id, probability, alternatives: [{token, id, probability}]}]}.
    """
    how = (max_new_tokens, temperature, top_k, top_p, seed, model, repetition_penalty, num_beams)
    return text_tasks.generate(prompt, *how).result


def summarize(
    text: str, max_sentences: int | None = None, max_length: int | None = None, model: str | None = None
) -> dict:
    """Shorten a text.

    Args:
        text: The text.
        max_sentences: For the embedding model: how many of its sentences to keep.
        max_length: For a summarization model: how many tokens at most.
        model: A summarization model, or the embedding model.

    Returns:
        {summary, method}.
    """
    return text_tasks.summarize(text, max_sentences, max_length, model).result


def translate(text: str, model: str | None = None) -> dict:
    """Translate a text.

    Args:
        text: The text.
        model: A translation model; it decides the languages.

    Returns:
        {translation}.
    """
    return text_tasks.translate(text, model).result


def similarity(texts: list[str] | str, model: str | None = None) -> dict:
    """Compare the meaning of texts, each with each.

    Args:
        texts: The texts.
        model: A sentence embedding model.

    Returns:
        {embeddings_shape, matrix} with the cosine of each pair.
    """
    return text_tasks.similarity(texts, model).result


def keywords(text: str, top_k: int = 5, model: str | None = None) -> list:
    """Draw the words out of a text that say most of what it is about.

    Args:
        text: The text.
        top_k: How many.
        model: A sentence embedding model.

    Returns:
        List of {keyword, score}, best first.
    """
    return text_tasks.keywords(text, top_k, model).result


def entail(premise: str, hypothesis: str = "", model: str | None = None) -> dict:
    """Say how two sentences stand to each other: entailment, neutral or contradiction.

    Args:
        premise: The first sentence.
        hypothesis: The second; left out for models of a single sentence (acceptability).
        model: A sentence pair model.

    Returns:
        {label, scores}.
    """
    return text_tasks.entail(premise, hypothesis, model).result


def tokenize(
    text: list[str] | str,
    tokenizers: list[str] | None = None,
    add_special_tokens: bool = True,
    padding: bool | str = False,
    truncation: bool = False,
    max_length: int | None = None,
) -> dict:
    """Split text into tokens, with up to four tokenizers side by side.

    Args:
        text: One text or a list of texts.
        tokenizers: Model ids; None takes those on this machine.
        add_special_tokens: Add what the model expects around the text, such as [CLS] and [SEP].
        padding: True or "longest" fills all texts to the longest, "max_length" to max_length.
        truncation: Cut texts to max_length.
        max_length: In tokens.

    Returns:
        {tokenizer: [{tokens, ids, offsets, attention_mask, token_type_ids, special_mask, n_unknown}]}.
    """
    return tokenizer.tokenize(text, tokenizers, add_special_tokens, padding, truncation, max_length).result


def learn_bpe(text: str, merges: int = 50) -> dict:
    """Learn byte-pair-encoding merges from a text.

    Args:
        text: The text to learn from.
        merges: How many merges at most.

    Returns:
        {merges: [[left, right, count]], steps}.
    """
    return bpe.learn_bpe(text, merges)


def show_code_(endpoint: str, arguments: dict | None = None) -> dict:
    """Write the Python that does what an endpoint does, without this app.

    Args:
        endpoint: Name of an endpoint, such as sentiment.
        arguments: Its arguments.

    Returns:
        {python}, which runs as it stands.
    """
    return show_code.show_code(endpoint, _uploads.opened(arguments or {}))


QUICK = (models, tokenize, learn_bpe, show_code_)
MODEL = (
    sentiment_,
    compare_sentiment,
    zero_shot,
    entities,
    answer,
    fill_mask,
    generate,
    summarize,
    translate,
    similarity,
    keywords,
    entail,
    *_image_api.MODEL,
)


def register() -> None:
    """Add the endpoints to the Blocks being built. What answers in milliseconds does not wait in the queue."""
    # Each parameter is a component to gradio; in a hidden column they cost the page next to nothing.
    with gr.Column(visible=False):
        for function in QUICK:
            gr.api(_plain(function), api_name=function.__name__.rstrip("_"), queue=False)
        for functions, lane in ((MODEL, TEXT_LANE), (_image_api.PAINTING, IMAGE_LANE)):
            for function in functions:
                gr.api(_plain(function), api_name=function.__name__.rstrip("_"), **lane)


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that what goes wrong is one sentence in the caller's language."""

    # gradio finds the request by its annotation, so it is put in front of the function's own parameters.
    def endpoint(request: gr.Request, *args: Any, **kwargs: Any) -> Any:
        try:
            return _in_words(function(*args, **kwargs), language(request))
        except VisitorError as error:
            problem = error
        except Exception:
            log.exception("endpoint %s failed", function.__name__)
            problem = VisitorError("unexpected")
        raise gr.Error(html.escape(sentence(problem, language(request)), quote=False), print_exception=False)

    wraps(function)(endpoint)
    endpoint.__name__ = function.__name__.rstrip("_")  # the name of the MCP tool
    signature = inspect.signature(function, eval_str=True)
    request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request)
    endpoint.__signature__ = signature.replace(parameters=[request, *signature.parameters.values()])
    endpoint.__annotations__ = {name: p.annotation for name, p in endpoint.__signature__.parameters.items()}
    endpoint.__annotations__["return"] = signature.return_annotation
    del endpoint.__wrapped__
    return endpoint


def _in_words(result: Any, lang: str) -> Any:
    """Write out why a compared model failed: {"key", "params"} becomes one sentence."""
    if not (isinstance(result, dict) and isinstance(result.get("models"), dict)):
        return result
    told = {name: dict(facts) for name, facts in result["models"].items()}
    for facts in told.values():
        if "error" in facts:
            facts["error"] = sentence(VisitorError(facts["error"]["key"], **facts["error"]["params"]), lang)
    return result | {"models": told}


def _state(model_id: str) -> str:
    try:
        return hub.state(model_id)
    except VisitorError:
        return "missing"
