"""One small tokenizer of each kind that the listed models have, loaded by `AutoTokenizer` as a real one would be."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hub import tiny_tokenizers

CHATML = tiny_tokenizers.CHATML


def make_all(root: Path) -> dict[str, object]:
    """Return {name: tokenizer}; gpt2 and llama have no padding token, marian is a slow one without offsets."""
    from transformers import AutoTokenizer

    def folder(name: str) -> Path:
        (root / name).mkdir()
        return root / name

    bert = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 32}
    tiny_tokenizers.wordpiece(folder("bert-uncased"), lower=True, fast=True, config=bert)
    electra = {"tokenizer_class": "ElectraTokenizer", "do_lower_case": False, "model_max_length": 512}
    tiny_tokenizers.wordpiece(folder("electra"), lower=False, fast=False, config=electra)
    gpt2 = {"tokenizer_class": "GPT2Tokenizer", "unk_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    tiny_tokenizers.byte_bpe(folder("gpt2"), special=["<|endoftext|>"], config=gpt2)
    tiny_tokenizers.t5(folder("t5"))
    xlm = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 512}
    tiny_tokenizers.xlm_roberta(folder("xlm-r"), config=xlm)
    marian = {"tokenizer_class": "MarianTokenizer", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tiny_tokenizers.marian(folder("marian"), {**marian, "source_lang": "ko", "target_lang": "en"})
    _llama().save_pretrained(folder("llama"))
    _qwen().save_pretrained(folder("qwen"))
    return {path.name: AutoTokenizer.from_pretrained(path) for path in sorted(root.iterdir())}


def _llama():
    """Byte-fallback BPE: what the vocabulary lacks is spelled as <0x..>, never unknown; the template strips."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<unk>", "<s>", "</s>", *fallback], show_progress=False, limit_alphabet=120
    )
    tokenizer.train_from_iterator(tiny_tokenizers.SENTENCES, trainer)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    # The byte tokens were special only to reserve their ids.
    raw = json.loads(tokenizer.to_str())
    raw["added_tokens"] = [token for token in raw["added_tokens"] if not token["content"].startswith("<0x")]
    template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "[{{ m['role'] }}] {{ m['content'] | trim }}\n{% endfor %}"
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(raw)),
        bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=template,
    )  # fmt: skip


def _qwen():
    """Byte-level BPE after NFC, with control tokens and ChatML."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    )  # fmt: skip
    tokenizer.train_from_iterator(tiny_tokenizers.SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"], chat_template=CHATML,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip
