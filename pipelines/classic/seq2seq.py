"""Encoder-decoder models as transformers pipelines; import them through `classic.register()`.

Text in, text out. Summarization and translation are the same thing with another name for the output, and with what the
model's configuration says about the task: T5's prefixes ("summarize: ", "translate English to German: ") and generation
settings live in `config.task_specific_params`.
"""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
from transformers.pipelines.base import Pipeline


class Text2TextGenerationPipeline(Pipeline):
    """Rewrite a text with an encoder-decoder model.

    Example:
        >>> pipeline("text2text-generation", model="google-t5/t5-small")("translate English to German: Hello")
        [{'generated_text': 'Hallo'}]
    """

    return_name = "generated"
    _pipeline_calls_generate = True
    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True
    _default_generation_config = GenerationConfig(max_new_tokens=256, num_beams=4)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.check_model_type(MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
        task_params = dict((getattr(self.model.config, "task_specific_params", None) or {}).get(self.task) or {})
        self.prefix = task_params.pop("prefix", None) or getattr(self.model.config, "prefix", None) or ""
        # What the caller of pipeline() said counts for more than what the model's configuration says.
        self._generate_kwargs = {**task_params, **self._generate_kwargs}

    def _sanitize_parameters(
        self,
        return_tensors=None,
        return_text=None,
        clean_up_tokenization_spaces=None,
        truncation=None,
        tokenizer_kwargs=None,
        **generate_kwargs,
    ):
        before, after = {}, {}
        if truncation is not None:
            before["truncation"] = truncation
        if tokenizer_kwargs is not None:
            before["tokenizer_kwargs"] = tokenizer_kwargs
        if return_tensors is not None:
            after["return_tensors"] = return_tensors and not return_text
        if clean_up_tokenization_spaces is not None:
            after["clean_up_tokenization_spaces"] = clean_up_tokenization_spaces
        return before, generate_kwargs, after

    def __call__(self, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        """Rewrite one text or a list of texts.

        Args:
            args (`str` or `list[str]`): The text(s).
            return_tensors (`bool`, *optional*, defaults to `False`): Token ids instead of text.
            truncation (`bool`, *optional*): Cut texts that are longer than the model takes.
            tokenizer_kwargs (`dict`, *optional*): More arguments for the tokenizer.
            generate_kwargs: Whatever `model.generate()` takes: max_length, num_beams, ...

        Return:
            One {"<name>_text": …} per text; a list of them per text with `num_return_sequences` above 1.
        """
        result = super().__call__(*args, **kwargs)
        if isinstance(args[0], list) and all(len(each) == 1 for each in result):
            return [each[0] for each in result]
        return result

    def preprocess(self, text, truncation=False, tokenizer_kwargs=None):
        options = {"truncation": truncation, "return_tensors": "pt", **(tokenizer_kwargs or {})}
        return self.tokenizer(self.prefix + text, **options)

    def _forward(self, model_inputs, **generate_kwargs):
        inputs = {name: model_inputs[name] for name in ("input_ids", "attention_mask") if name in model_inputs}
        batch = inputs["input_ids"].shape[0]
        output = self.model.generate(**inputs, **self._prepare_generate_kwargs(generate_kwargs))
        return {"output_ids": output.reshape(batch, output.shape[0] // batch, *output.shape[1:])}

    def postprocess(self, model_outputs, return_tensors=False, clean_up_tokenization_spaces=None):
        found = model_outputs["output_ids"][0]
        if return_tensors:
            return [{f"{self.return_name}_token_ids": ids} for ids in found]
        options = {"skip_special_tokens": True}
        if clean_up_tokenization_spaces is not None:
            options["clean_up_tokenization_spaces"] = clean_up_tokenization_spaces
        return [{f"{self.return_name}_text": self.tokenizer.decode(ids, **options)} for ids in found]


class SummarizationPipeline(Text2TextGenerationPipeline):
    """Say a text in fewer words.

    Example:
        >>> pipeline("summarization", model="google-t5/t5-small")(article, min_length=5, max_length=20)
        [{'summary_text': '...'}]
    """

    return_name = "summary"


class TranslationPipeline(Text2TextGenerationPipeline):
    """Say a text in another language: pipeline("translation_en_to_de"), or "translation" with src_lang and tgt_lang.

    Example:
        >>> pipeline("translation_en_to_de", model="google-t5/t5-small")("How old are you?")
        [{'translation_text': 'Wie alt sind Sie?'}]
    """

    return_name = "translation"

    def _sanitize_parameters(self, src_lang=None, tgt_lang=None, **kwargs):
        before, during, after = super()._sanitize_parameters(**kwargs)
        parts = self.task.split("_")
        if src_lang is None and tgt_lang is None and len(parts) == 4 and parts[0] == "translation":
            src_lang, tgt_lang = parts[1], parts[3]
        if src_lang is not None:
            before["src_lang"] = src_lang
        if tgt_lang is not None:
            before["tgt_lang"] = tgt_lang
        return before, during, after

    def preprocess(self, text, truncation=False, tokenizer_kwargs=None, src_lang=None, tgt_lang=None):
        build = getattr(self.tokenizer, "_build_translation_inputs", None)
        if build is None or src_lang is None or tgt_lang is None:
            return super().preprocess(text, truncation, tokenizer_kwargs)
        options = {"truncation": truncation, "return_tensors": "pt", **(tokenizer_kwargs or {})}
        return build(self.prefix + text, src_lang=src_lang, tgt_lang=tgt_lang, **options)

    def _forward(self, model_inputs, **generate_kwargs):
        # Tokenizers of many languages answer with the token that the translation has to begin with.
        if "forced_bos_token_id" in model_inputs:
            generate_kwargs.setdefault("forced_bos_token_id", int(model_inputs["forced_bos_token_id"]))
        return super()._forward(model_inputs, **generate_kwargs)
