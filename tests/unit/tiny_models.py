"""Models of the true architectures with a few thousand random weights, built in memory: arithmetic, no downloads."""

from __future__ import annotations

import string
from contextlib import contextmanager
from functools import lru_cache

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from pipelines import classic, loading

WORDS = "the a cat dog sat on mat lives in Seoul Berlin Anna works where who is".split()
WORDS += "서울 에 산다 나는 영화 정말 재미 있다 최고 에서".split()
LETTERS = [*string.ascii_letters, *string.digits, *string.punctuation, *"가나다라마바사아자차카타파하한글"]
LENGTH = 48
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


@lru_cache
def wordpiece():
    """A cased word-piece tokenizer that reads English letters and some Hangul."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = list(dict.fromkeys([*specials, *WORDS, *LETTERS, *(f"##{each}" for each in [*WORDS, *LETTERS])]))
    backend = Tokenizer(models.WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=LENGTH, **names)


@lru_cache
def byte_level():
    """A tokenizer of single bytes, as GPT-2's before any merge."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<|endoftext|>", *alphabet])}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<|endoftext|>", model_max_length=64
    )


@lru_cache
def loaded(task: str, labels: tuple[str, ...] = ("NEGATIVE", "POSITIVE"), card=None) -> loading.Loaded:
    """Return a random model for one of our tasks, in the wrapping that loading.use() yields."""
    classic.register()
    torch.manual_seed(0)
    kind, auto_class = loading.KINDS[task]
    names = dict(enumerate(labels))
    if auto_class == "AutoModelForCausalLM":
        tokenizer = byte_level()
        config = transformers.GPT2Config(
            vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
    elif auto_class == "AutoModelForSeq2SeqLM":
        tokenizer = wordpiece()
        ids = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 0}
        config = transformers.T5Config(
            vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, **ids
        )
    else:
        tokenizer = wordpiece()
        config = transformers.BertConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=LENGTH,
            id2label=names,
            label2id={label: i for i, label in names.items()},
            initializer_range=0.8,
            **SIZES,
        )
    model = getattr(transformers, auto_class).from_config(config).eval()
    pipe = transformers.pipeline(kind, model=model, tokenizer=tokenizer, device="cpu")
    return loading.Loaded(f"tiny/{task}", card, pipe, "cpu", "cache", 0.0)


def install(monkeypatch, **models_by_task) -> None:
    """Let loading.use() and loading.default_model() hand out these models, whatever id is asked for."""

    @contextmanager
    def use(model_id, task):
        yield models_by_task[task]

    monkeypatch.setattr(loading, "use", use)
    monkeypatch.setattr(loading, "default_model", lambda task, text=None: models_by_task[task].id)
