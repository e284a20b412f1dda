"""The pipelines that transformers 5 dropped, registered again, so that older course notes run as they were written.

    >>> classic.register()
    >>> pipeline("question-answering", model="distilbert/distilbert-base-cased-distilled-squad")
    >>> pipeline("translation_en_to_ko", model=...)

A subclass of transformers.Pipeline cannot be written without importing transformers, so the classes are in modules of
their own (question_answering.py, seq2seq.py), which nothing imports but `register()`.
"""

from __future__ import annotations

import threading
from typing import Any

_lock = threading.Lock()


def register() -> list[str]:
    """Add question-answering, summarization, translation and text2text-generation to transformers' registry.

    A task that the library (or an earlier call) already has is left alone.

    Returns:
        The tasks that this call added.
    """
    import transformers.pipelines as library
    from transformers import AutoModelForQuestionAnswering, AutoModelForSeq2SeqLM

    from pipelines.classic import question_answering, seq2seq

    ours = {
        "question-answering": (question_answering.QuestionAnsweringPipeline, AutoModelForQuestionAnswering),
        "text2text-generation": (seq2seq.Text2TextGenerationPipeline, AutoModelForSeq2SeqLM),
        "summarization": (seq2seq.SummarizationPipeline, AutoModelForSeq2SeqLM),
        "translation": (seq2seq.TranslationPipeline, AutoModelForSeq2SeqLM),
    }
    with _lock:
        registry = library.PIPELINE_REGISTRY
        added = [task for task in ours if task not in registry.supported_tasks]
        for task in added:
            pipeline_class, model_class = ours[task]
            # pipeline() refuses the names of this table before it looks at the registry.
            getattr(library, "REMOVED_TASKS", {}).pop(task, None)
            registry.register_pipeline(task, pipeline_class, pt_model=model_class, type="text")
        if "translation" in added:
            _accept_language_pairs(registry)
    return added


def _accept_language_pairs(registry: Any) -> None:
    """Let "translation_en_to_ko" name the translation task, as it did; the pipeline itself reads the pair."""
    check_task = registry.check_task

    def check(task: str) -> tuple[str, dict, Any]:
        parts = task.split("_")
        if len(parts) == 4 and parts[0] == "translation" and parts[2] == "to":
            _, targeted, _ = check_task("translation")
            return "translation", targeted, (parts[1], parts[3])
        return check_task(task)

    registry.check_task = check
