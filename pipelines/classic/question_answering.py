"""Extractive question answering as a transformers pipeline; import it through `classic.register()`.

The model gives every token of the context a score for being the answer's first and its last token (Devlin et al. 2018,
section 4.2, https://arxiv.org/abs/1810.04805); the best pair in the right order is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES
from transformers.pipelines.base import ChunkPipeline

MASKED = -10_000.0


class QuestionAnsweringPipeline(ChunkPipeline):
    """Answer questions with a piece of the context.

    Example:
        >>> qa = pipeline("question-answering", model="distilbert/distilbert-base-cased-distilled-squad")
        >>> qa(question="Where do I live?", context="My name is Wolfgang and I live in Berlin")
        {'score': 0.9191, 'start': 34, 'end': 40, 'answer': 'Berlin'}

    A context longer than `max_seq_len` tokens is read in windows that overlap by `doc_stride`. `answer` is always
    context[start:end].
    """

    default_input_names = "question,context"
    handle_impossible_answer = False
    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.tokenizer.is_fast:
            raise ValueError(f"question answering needs a tokenizer with offsets, not {type(self.tokenizer).__name__}")
        self.check_model_type(MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES)

    def _sanitize_parameters(
        self,
        padding=None,
        top_k=None,
        topk=None,
        doc_stride=None,
        max_answer_len=None,
        max_seq_len=None,
        max_question_len=None,
        handle_impossible_answer=None,
        align_to_words=None,
        **kwargs,
    ):
        if kwargs:
            raise TypeError(f"question answering takes no {', '.join(kwargs)}")
        top_k = topk if top_k is None else top_k
        for name, value in (("top_k", top_k), ("max_answer_len", max_answer_len)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more (got {value})")
        before = {
            "padding": padding,
            "doc_stride": doc_stride,
            "max_seq_len": max_seq_len,
            "max_question_len": max_question_len,
        }
        after = {
            "top_k": top_k,
            "max_answer_len": max_answer_len,
            "handle_impossible_answer": handle_impossible_answer,
            "align_to_words": align_to_words,
        }
        return _given(before), {}, _given(after)

    def __call__(self, *args: Any, question: Any = None, context: Any = None, **kwargs: Any) -> Any:
        """Answer one question or several.

        Args:
            args: {"question": …, "context": …}, or a list of such; or question and context in this order.
            question (`str` or `list[str]`): The question(s).
            context (`str` or `list[str]`): The text(s); one context serves any number of questions.
            top_k (`int`, *optional*, defaults to 1): How many answers; more than one are a list.
            doc_stride (`int`, *optional*, defaults to 128): Tokens that two windows share.
            max_answer_len (`int`, *optional*, defaults to 15): Longest answer, in tokens.
            max_seq_len (`int`, *optional*, defaults to 384): Tokens of question and context in one window.
            max_question_len (`int`, *optional*, defaults to 64): Tokens of the question that are read.
            handle_impossible_answer (`bool`, *optional*, defaults to `False`): Allow the empty answer.
            align_to_words (`bool`, *optional*, defaults to `True`): Widen the answer to whole words.

        Return:
            {"score", "start", "end", "answer"} for each question; start and end count characters of the context.
        """
        if len(args) == 2 and question is None and context is None:
            (question, context), args = args, ()
        examples = _examples(args[0] if args else None, question, context)
        several = isinstance(args[0] if args else question, (list, tuple))
        return super().__call__(examples if several else examples[0], **kwargs)

    def preprocess(
        self, example, padding="do_not_pad", doc_stride=None, max_question_len=64, max_seq_len=None
    ) -> Iterator[dict[str, Any]]:
        tokenizer, question, context = self.tokenizer, example["question"], example["context"]
        positions = getattr(self.model.config, "max_position_embeddings", None) or 384
        longest = min(tokenizer.model_max_length, positions if positions > 0 else 384)
        max_seq_len = min(max_seq_len or 384, longest)
        asked = tokenizer(question, add_special_tokens=False, truncation=True, max_length=max_question_len)
        special = tokenizer.num_special_tokens_to_add(pair=True)
        # A question that leaves no room for the context is cut further.
        kept = min(len(asked["input_ids"]), max(1, (max_seq_len - special) // 2))
        question = question[: asked.encodings[0].offsets[kept - 1][1]] if kept else question
        room = max_seq_len - special - kept
        doc_stride = min(128 if doc_stride is None else doc_stride, room // 2)
        first = tokenizer.padding_side == "right"
        windows = tokenizer(
            question if first else context,
            context if first else question,
            padding=padding,
            truncation="only_second" if first else "only_first",
            max_length=max_seq_len,
            stride=doc_stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids="token_type_ids" in tokenizer.model_input_names,
        )
        for i, window in enumerate(windows.encodings):
            inputs = {name: torch.tensor([windows[name][i]]) for name in tokenizer.model_input_names if name in windows}
            yield {
                "example": example,
                "is_last": i == len(windows.encodings) - 1,
                "in_context": np.array([each == int(first) for each in windows.sequence_ids(i)]),
                "offsets": window.offsets,
                "words": window.word_ids,
                **inputs,
            }

    def _forward(self, model_inputs):
        ours = ("example", "in_context", "offsets", "words")
        kept = {name: model_inputs[name] for name in (*ours, "is_last")}
        inputs = {name: value for name, value in model_inputs.items() if name not in kept}
        output = self.model(**inputs)
        return {"start": output["start_logits"], "end": output["end_logits"], **kept}

    def postprocess(
        self, model_outputs, top_k=1, handle_impossible_answer=False, max_answer_len=15, align_to_words=True
    ):
        context, best, no_answer = model_outputs[0]["example"]["context"], {}, 1.0
        for window in model_outputs:
            start, end, null = _probabilities(window, handle_impossible_answer)
            no_answer = min(no_answer, null)
            for first, last, score in _spans(start, end, window["in_context"], top_k, max_answer_len):
                place = _characters(window, first, last, align_to_words)
                # Windows overlap: the same words may be found twice.
                if place[0] < place[1] and score > best.get(place, -1.0):
                    best[place] = score
        answers = [
            {"score": score, "start": start, "end": end, "answer": context[start:end]}
            for (start, end), score in best.items()
        ]
        if handle_impossible_answer or not answers:
            score = no_answer if handle_impossible_answer else 0.0
            answers.append({"score": score, "start": 0, "end": 0, "answer": ""})
        answers = sorted(answers, key=lambda each: each["score"], reverse=True)[:top_k]
        return answers[0] if top_k == 1 else answers


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _examples(data: Any, question: Any, context: Any) -> list[dict[str, str]]:
    if data is None:
        questions = list(question) if isinstance(question, (list, tuple)) else [question]
        contexts = list(context) if isinstance(context, (list, tuple)) else [context] * len(questions)
        if len(questions) != len(contexts):
            raise ValueError("questions and contexts differ in number")
        data = [{"question": q, "context": c} for q, c in zip(questions, contexts, strict=True)]
    examples = [data] if isinstance(data, dict) else list(data)
    for example in examples:
        for name in ("question", "context"):
            if not isinstance(example.get(name), str) or not example[name].strip():
                raise ValueError(f"`{name}` must be a text that is not empty")
    return examples


def _probabilities(window: dict[str, Any], handle_impossible_answer: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Softmax over the context's tokens, and the first token's where "no answer" is one."""
    allowed = window["in_context"].copy()
    allowed[0] = allowed[0] or handle_impossible_answer
    start, end = (
        np.where(allowed, window[name][0].float().numpy().astype(np.float64), MASKED) for name in ("start", "end")
    )
    start, end = (np.exp(each - each.max()) for each in (start, end))
    start, end = start / start.sum(), end / end.sum()
    return start, end, float(start[0] * end[0]) if handle_impossible_answer else 1.0


def _spans(
    start: np.ndarray, end: np.ndarray, in_context: np.ndarray, top_k: int, max_answer_len: int
) -> list[tuple[int, int, float]]:
    """Return (first token, last token, probability) of the likeliest spans within the context."""
    start, end = start * in_context, end * in_context
    scores = np.tril(np.triu(np.outer(start, end)), max_answer_len - 1).ravel()
    top_k = min(top_k, len(scores))
    likeliest = np.argpartition(-scores, top_k - 1)[:top_k]
    pairs = [(*divmod(int(i), len(end)), float(scores[i])) for i in likeliest[np.argsort(-scores[likeliest])]]
    return [(first, last, score) for first, last, score in pairs if in_context[first] and in_context[last]]


def _characters(window: dict[str, Any], first: int, last: int, align_to_words: bool) -> tuple[int, int]:
    """Return where a span of tokens lies in the context, without white space at its ends."""
    offsets, words, context = window["offsets"], window["words"], window["example"]["context"]
    start, end = offsets[first][0], offsets[last][1]
    if align_to_words and words[first] is not None and words[last] is not None:
        for i, word in enumerate(words):
            if window["in_context"][i] and word == words[first]:
                start = min(start, offsets[i][0])
            if window["in_context"][i] and word == words[last]:
                end = max(end, offsets[i][1])
    piece = context[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())
