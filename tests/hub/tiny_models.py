"""Tiny models with random weights, but the architecture, tokenizer, labels and files of the real ones.

`build(folder)` writes each under its true id (`folder/owner/name`), for `local_hub.LocalHub` to serve. What the real
repositories are like is copied where loading depends on it: weights as a pickle alone, half precision, the old names of
LayerNorm's parameters, names without the model's prefix, no tokenizer.json. Only the longest outputs are shorter.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hub import tiny_tokenizers as tokenizers

EMOTIONS = (
    "기쁨(행복한)", "고마운", "설레는(기대하는)", "사랑하는", "즐거운(신나는)", "일상적인", "생각이 많은",
    "슬픔(우울한)", "힘듦(지침)", "짜증남", "걱정스러운(불안한)",
)  # fmt: skip
STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
CONLL = ("O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
MODU = ("O", *(f"{place}-{tag}" for tag in ("PS", "OG", "LC", "DT", "QT", "CV") for place in "BI"))
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SIZE = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 512,
}  # fmt: skip
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 512}
SEQ2SEQ = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
}  # fmt: skip
T5_SUMMARY = {"early_stopping": True, "num_beams": 4, "length_penalty": 2.0, "no_repeat_ngram_size": 3}
SPM_IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}


def build(root: Path) -> list[str]:
    """Write every model; returns their ids."""
    import torch

    from tests.hub import bad_models

    models = {**GOOD, **bad_models.BAD}
    for number, (model_id, make) in enumerate(models.items()):
        folder = root / model_id
        folder.mkdir(parents=True)
        torch.manual_seed(number)
        make(folder)
        (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nRandom weights, for tests.\n", "utf-8")
    return list(models)


def save(
    folder: Path,
    name: str,
    *,
    pickled: bool = False,
    half: str | None = None,
    rename: Callable[[str], str | None] | None = None,
    labels: tuple[str, ...] = (),
    written: dict | None = None,
    **config: Any,
) -> None:
    """Make the transformers class `name` with a configuration and write config.json and the weights.

    Args:
        pickled: pytorch_model.bin alone instead of model.safetensors alone.
        half: "float16" or "bfloat16": the precision of the weights in the file.
        rename: Name in the checkpoint of a parameter; None leaves it out.
        labels: id2label.
        written: Keys that config.json has besides.
    """  # fmt: skip
    import torch
    import transformers
    from safetensors.torch import save_file

    architecture = getattr(transformers, name)
    settings = architecture.config_class(**config)
    if labels:
        settings.id2label = dict(enumerate(labels))
        settings.label2id = {label: number for number, label in enumerate(labels)}
    model = architecture(settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.25 if parameter.dim() > 1 else 0.05))
    model.tie_weights()
    content = settings.to_diff_dict() | {"architectures": [name], "model_type": settings.model_type, **(written or {})}
    content["torch_dtype"] = half or "float32"
    content.pop("dtype", None)
    _write(folder, "config.json", json.dumps(content, ensure_ascii=False, indent=2))
    tensors = {}
    for key, tensor in model.state_dict().items():
        key = rename(key) if rename else key
        if key is not None:
            tensors[key] = tensor.detach().to(getattr(torch, half)) if half else tensor.detach().clone()
    if pickled:
        torch.save(tensors, folder / "pytorch_model.bin")
        return
    # safetensors refuses shared memory; the Hub's converter drops the second name of a tied tensor.
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    kept = {key: tensor.contiguous() for key, tensor in tensors.items() if key not in tied}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def bert(folder: Path, head: str, *, lower: bool = False, fast: bool = True, tokens: dict | None = None, **more):
    config = {"do_lower_case": lower, "model_max_length": 512} if tokens is None else tokens
    size = tokenizers.wordpiece(folder, lower=lower, fast=fast, config=config)
    save(folder, head, vocab_size=size, **SIZE, **more)


def electra(folder: Path, head: str, *, fast: bool, **more) -> None:
    tokens = {"do_lower_case": False, "tokenizer_class": "ElectraTokenizer", "model_max_length": 512}
    size = tokenizers.wordpiece(folder, lower=False, fast=fast, config=tokens)
    save(folder, head, vocab_size=size, embedding_size=16, **SIZE, **more)


def old_names(key: str) -> str:
    """BERT's first checkpoints call LayerNorm's parameters gamma and beta."""
    return key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def without_prefix(key: str) -> str | None:
    """GPT-2's checkpoint names its parameters without "transformer.", and has no lm_head."""
    return key.removeprefix("transformer.") if key.startswith("transformer.") else None


def _distilbert_sst2(folder: Path) -> None:
    tokens = {"model_max_length": 512, "do_lower_case": True}
    size = tokenizers.wordpiece(folder, lower=True, fast=False, config=tokens)
    save(folder, "DistilBertForSequenceClassification", vocab_size=size, labels=("NEGATIVE", "POSITIVE"), **DISTIL)


def _white_peak(folder: Path) -> None:
    tokens = {
        "do_lower_case": False, "do_basic_tokenize": True, "model_max_length": 512, "never_split": None,
        "strip_accents": None, "tokenize_chinese_chars": True, "tokenizer_class": "BertTokenizer",
    }  # fmt: skip
    bert(folder, "BertForSequenceClassification", fast=False, tokens=tokens, pickled=True)


def _nlptown(folder: Path) -> None:
    tokens = {"do_lower_case": True, "max_len": 512}
    bert(folder, "BertForSequenceClassification", lower=True, fast=False, tokens=tokens, labels=STARS)


def _deberta(folder: Path, labels: tuple[str, ...], half: str | None = None) -> None:
    size = tokenizers.deberta(folder)
    more = {
        "relative_attention": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "max_relative_positions": -1,
        "type_vocab_size": 0, "layer_norm_eps": 1e-7, "pooler_hidden_size": 32,
    }  # fmt: skip
    save(folder, "DebertaV2ForSequenceClassification", vocab_size=size, labels=labels, half=half, **{**SIZE, **more})


def _bart(folder: Path, head: str, *, fast: bool = True, pickled: bool = False, **more) -> None:
    tokens = {"model_max_length": 1024}
    size = tokenizers.byte_bpe(folder, special=ROBERTA, config=tokens, fast=fast, roberta=True)
    config = {"vocab_size": size, "max_position_embeddings": 1024, "forced_eos_token_id": 2, **SPM_IDS, **SEQ2SEQ}
    generation = {"max_length": 20, "num_beams": 4, "no_repeat_ngram_size": 3, "early_stopping": True}
    if head == "BartForConditionalGeneration":
        more["written"] = {"task_specific_params": {"summarization": generation}, **generation, "min_length": 5}
    save(folder, head, pickled=pickled, decoder_start_token_id=2, **config, **more)


def _roberta(folder: Path, head: str, *, fast: bool, **more) -> None:
    size = tokenizers.byte_bpe(folder, special=ROBERTA, config={"model_max_length": 512}, fast=fast, roberta=True)
    config = {**SIZE, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5, **SPM_IDS}
    save(folder, head, vocab_size=size, **config, **more)


def _xlm_roberta(folder: Path, head: str) -> None:
    size = tokenizers.xlm_roberta(folder, config={"model_max_length": 512})
    save(folder, head, vocab_size=size, **{**SIZE, "max_position_embeddings": 514, "type_vocab_size": 1, **SPM_IDS})


def _gpt2(folder: Path) -> None:
    size = tokenizers.byte_bpe(folder, special=["<|endoftext|>"], config={"model_max_length": 1024})
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 1024, "bos_token_id": 0, "eos_token_id": 0}
    save(folder, "GPT2LMHeadModel", vocab_size=size, rename=without_prefix, **shape)


def _kogpt2(folder: Path) -> None:
    special = ["<s>", "</s>", "<usr>", "<pad>", "<sys>", "<unk>", "<mask>"]
    size = tokenizers.byte_bpe(folder, special=special, config=None)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 1024, "bos_token_id": 0, "eos_token_id": 1}
    save(folder, "GPT2LMHeadModel", vocab_size=size, pickled=True, pad_token_id=3, **shape)


def _llama(folder: Path, head: str, half: str, **more) -> None:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = {
        "tokenizer_class": "GPT2Tokenizer" if head.startswith("Llama") else "Qwen2Tokenizer", "model_max_length": 2048,
        "bos_token": None if more else "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>",
        "unk_token": None if more else "<|endoftext|>", "chat_template": tokenizers.CHATML,
    }  # fmt: skip
    size = tokenizers.byte_bpe(folder, special=special, config=tokens)
    shape = {**SIZE, "num_key_value_heads": 2, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2}
    save(folder, head, vocab_size=size, half=half, pad_token_id=2, **shape, **more)
    _write(folder, "generation_config.json", json.dumps({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}))


def _entities(folder: Path) -> None:
    """Random weights may call every word O; a lower bias lets other labels win."""
    from safetensors.torch import load_file, save_file

    bert(folder, "BertForTokenClassification", fast=False, labels=CONLL)
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"][0] -= 2
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _t5(folder: Path) -> None:
    size = tokenizers.t5(folder)
    shape = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
    beams = {"early_stopping": True, "num_beams": 4}
    tasks: dict[str, dict] = {
        "summarization": {**T5_SUMMARY, "max_length": 24, "min_length": 5, "prefix": "summarize: "},
        "translation_en_to_de": {**beams, "max_length": 16, "prefix": "translate English to German: "},
        "translation_en_to_fr": {**beams, "max_length": 16, "prefix": "translate English to French: "},
        "translation_en_to_ro": {**beams, "max_length": 16, "prefix": "translate English to Romanian: "},
    }
    shape |= {"vocab_size": size, "pad_token_id": 0, "eos_token_id": 1}
    save(folder, "T5ForConditionalGeneration", written={"task_specific_params": tasks, "n_positions": 512}, **shape)


def _marian(folder: Path, source: str, target: str, **more) -> None:
    size = tokenizers.marian(folder, {"target_lang": target, "source_lang": source})
    pad = {"pad_token_id": size - 1, "decoder_start_token_id": size - 1, "eos_token_id": 0, "bos_token_id": 0}
    beams = {"num_beams": 4, "max_length": 16, "bad_words_ids": [[size - 1]]}
    config = {"vocab_size": size, "max_position_embeddings": 512, "static_position_embeddings": True}
    config |= {"scale_embedding": True, "normalize_before": False, "add_bias_logits": False, **SEQ2SEQ, **pad}
    save(folder, "MarianMTModel", written=beams, **config, **more)
    _write(folder, "generation_config.json", json.dumps({**pad, **beams, "forced_eos_token_id": 0}))


def _multilingual_minilm(folder: Path) -> None:
    names = {"unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>", "cls_token": "<s>"}
    names |= {"mask_token": "<mask>", "bos_token": "<s>", "eos_token": "</s>", "model_max_length": 512}
    size = tokenizers.xlm_roberta(folder, spm=True, config={**names, "tokenizer_class": "PreTrainedTokenizerFast"})
    save(folder, "BertModel", vocab_size=size, **SIZE)
    _pooling(folder)


def _ko_sroberta(folder: Path) -> None:
    tokens = {"do_lower_case": False, "tokenizer_class": "BertTokenizer", "cls_token": "[CLS]", "model_max_length": 512}
    size = tokenizers.wordpiece(folder, lower=False, fast=True, config=tokens)
    shape = {**SIZE, "max_position_embeddings": 514, "type_vocab_size": 1}
    written = {"tokenizer_class": "BertTokenizer"}
    save(folder, "RobertaModel", vocab_size=size, pickled=True, pad_token_id=1, written=written, **shape)
    _pooling(folder)


def _pooling(folder: Path) -> None:
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    _write(folder, "1_Pooling/config.json", json.dumps(pooling))
    _write(folder, "modules.json", "[]")


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")


BART_LM = "BartForConditionalGeneration"
NLI = ("contradiction", "neutral", "entailment")
GOOD: dict[str, Callable[[Path], None]] = {
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": _distilbert_sst2,
    "WhitePeak/bert-base-cased-Korean-sentiment": _white_peak,
    "nlp04/korean_sentiment_analysis_kcelectra": lambda folder: electra(
        folder, "ElectraForSequenceClassification", fast=True, labels=EMOTIONS, pickled=True
    ),
    "mrm8488/deberta-v3-ft-financial-news-sentiment-analysis": lambda folder: _deberta(
        folder, ("negative", "neutral", "positive")
    ),
    "nlptown/bert-base-multilingual-uncased-sentiment": _nlptown,
    "facebook/bart-large-mnli": lambda folder: _bart(folder, "BartForSequenceClassification", labels=NLI),
    "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli": lambda folder: _deberta(folder, NLI[::-1], half="float16"),
    "textattack/bert-base-uncased-CoLA": lambda folder: bert(
        folder, "BertForSequenceClassification", lower=True, fast=False, pickled=True
    ),
    "dslim/bert-base-NER": _entities,
    "Leo97/KoELECTRA-small-v3-modu-ner": lambda folder: electra(
        folder, "ElectraForTokenClassification", fast=True, labels=MODU
    ),
    "distilbert/distilbert-base-cased-distilled-squad": lambda folder: save(
        folder, "DistilBertForQuestionAnswering", **DISTIL,
        vocab_size=tokenizers.wordpiece(folder, lower=False, fast=True, config={"do_lower_case": False}),
    ),
    "deepset/roberta-base-squad2": lambda folder: _roberta(folder, "RobertaForQuestionAnswering", fast=False),
    "monologg/koelectra-base-v3-finetuned-korquad": lambda folder: electra(
        folder, "ElectraForQuestionAnswering", fast=False
    ),
    "google-bert/bert-base-uncased": lambda folder: bert(folder, "BertForMaskedLM", lower=True, rename=old_names),
    "klue/bert-base": lambda folder: bert(folder, "BertForMaskedLM"),
    "FacebookAI/xlm-roberta-base": lambda folder: _xlm_roberta(folder, "XLMRobertaForMaskedLM"),
    "openai-community/gpt2": _gpt2,
    "skt/kogpt2-base-v2": _kogpt2,
    "HuggingFaceTB/SmolLM2-135M-Instruct": lambda folder: _llama(folder, "LlamaForCausalLM", "bfloat16"),
    "Qwen/Qwen3-0.6B": lambda folder: _llama(folder, "Qwen3ForCausalLM", "bfloat16", head_dim=8),
    "facebook/bart-large-cnn": lambda folder: _bart(folder, BART_LM),
    "sshleifer/distilbart-cnn-12-6": lambda folder: _bart(folder, BART_LM, fast=False, pickled=True),
    "google-t5/t5-small": _t5,
    "Helsinki-NLP/opus-mt-ko-en": lambda folder: _marian(folder, "ko", "en", pickled=True),
    "Helsinki-NLP/opus-mt-tc-big-en-ko": lambda folder: _marian(folder, "en", "ko", half="float16"),
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": _multilingual_minilm,
    "jhgan/ko-sroberta-multitask": _ko_sroberta,
}  # fmt: skip
