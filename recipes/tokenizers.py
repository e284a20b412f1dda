"""Two small tokenizers of today's kinds, for Korean and English, trained in a few minutes on a laptop.

    python -m recipes.tokenizers --data DATA --out assets/pocket

makes two folders that ``AutoTokenizer.from_pretrained`` loads:

* ``tokenizer-bpe``: byte-level byte-pair encoding (GPT-2, Llama 3, Qwen). Nothing is ever unknown; a rare Hangul
  syllable falls apart into its UTF-8 bytes. It carries a ChatML chat template.
* ``tokenizer-unigram``: a unigram language model over pieces that begin with ``▁`` at a word's start (T5, XLM-R).
  A character that it never saw becomes ``<unk>``.

Both have 16,000 entries, so that a class compares the methods and not the sizes. DATA holds nsmc_reviews.tsv.gz
(github.com/e9t/nsmc, CC0), stories.txt.gz (children's classics of Project Gutenberg, public domain), sst2_train.tsv
and sst2_dev.tsv (Stanford Sentiment Treebank). Rows with the coarsest insults are left out: a look-up in the
vocabulary stands on a classroom's wall.
"""

import argparse
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from recipes._korean_corpus import clean, read_reviews

VOCABULARY = 16_000
KOREAN_CHARS, ENGLISH_CHARS = 3_000_000, 3_000_000
INSULTS = re.compile(
    "[씨시쉬]+[^가-힣]?[발벌빨]|ㅅㅂ|ㅂㅅ|ㅈㄴ|ㅁㅊ|병신|븅신|새끼|색히|지랄|[좆좇]|존[나내]|졸[라래]|섹스|강간|"
    r"야동|창녀|걸레|변태|호모|게이|매춘|개판|\bn[i1]gg|\bfuck|\bshit|\bbitch|\bcunt|\bsex|\brap(?:e|ed|ist)\b|\bwhor|\bsavages?\b|\bnegro",
    re.IGNORECASE,
)
# How GPT-4 and Llama 3 cut text before merging: words with the one space before them, digits by three.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def korean(data: Path) -> tuple[list[str], list[str]]:
    """Reviews to train on (a sample) and to measure on (films that the training part has never seen)."""
    parts = read_reviews(data / "nsmc_reviews.tsv.gz")
    train = [text for text in parts["train"].texts if not INSULTS.search(text)]
    order = np.random.default_rng(0).permutation(len(train))
    return _up_to(KOREAN_CHARS, (train[i] for i in order)), parts["test"].texts[:10_000]


def english(data: Path) -> tuple[list[str], list[str]]:
    """Paragraphs of children's classics and film-review sentences; held out: the last book and SST-2's own part."""
    with gzip.open(data / "stories.txt.gz", "rt", encoding="utf-8") as file:
        books = re.split(r"^# .*$", file.read(), flags=re.MULTILINE)
    books = [[clean(p) for p in book.split("\n\n") if p.strip() and not INSULTS.search(p)] for book in books]
    books = [book for book in books if book]
    train = [*_sst2(data / "sst2_train.tsv"), *(paragraph for book in books[:-1] for paragraph in book)]
    return _up_to(ENGLISH_CHARS, train), [*_sst2(data / "sst2_dev.tsv"), *books[-1]]


def _sst2(path: Path) -> list[str]:
    rows = (line.split("\t")[0] for line in path.read_text("utf-8").splitlines())
    return [clean(row) for row in rows if row and not INSULTS.search(row)]


def _up_to(chars: int, texts) -> list[str]:
    taken, total = [], 0
    for text in texts:
        taken.append(text)
        total += len(text)
        if total > chars:
            break
    return taken


def train_bpe(texts: list[str], size: int = VOCABULARY):
    """A byte-level BPE tokenizer; ``texts`` is any list of strings."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=["<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _wrapped(
        tokenizer,
        pad_token="<|pad|>",
        eos_token="<|im_end|>",
        bos_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        chat_template=CHATML,
    )


def train_unigram(texts: list[str], size: int = VOCABULARY):
    """A unigram tokenizer with ``</s>`` at the end of each text, as T5 has it."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=size, unk_token="<unk>", show_progress=False, special_tokens=["<pad>", "</s>", "<unk>"]
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    return _wrapped(tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def _wrapped(tokenizer, **special):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )


def chars_per_token(tokenizer, texts: list[str]) -> float:
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return sum(map(len, texts)) / sum(map(len, ids))


def save(tokenizer, folder: Path, held_out: dict[str, list[str]], what: str) -> None:
    """Write the folder and its card; tokenizer.json without indentation is half the size."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")), ensure_ascii=False, separators=(",", ":")), "utf-8")
    ko, en = (chars_per_token(tokenizer, held_out[language]) for language in ("ko", "en"))
    (folder / "README.md").write_text(
        CARD.format(name=folder.name, what=what, size=len(tokenizer), ko=ko, en=en), "utf-8"
    )
    print(f"{folder.name}: {len(tokenizer)} entries, {path.stat().st_size / 1e6:.2f} MB, ko {ko:.2f}, en {en:.2f}")


CARD = """---
license: apache-2.0
language: [ko, en]
tags: [tokenizer]
---
# {name}

{what} {size:,} entries, Korean and English. A tokenizer only: no model goes with it.

| held-out text | characters per token |
|---|---|
| Korean: 10,000 Naver reviews of films that the training part has never seen | {ko:.2f} |
| English: SST-2's development part and the last book of the children's classics | {en:.2f} |

Data: Naver movie reviews (github.com/e9t/nsmc, CC0 1.0), children's classics of Project Gutenberg (public domain),
Stanford Sentiment Treebank (Socher et al. 2013). Rows with the coarsest insults were left out.
Recipe: `python -m recipes.tokenizers --data DATA --out assets/pocket`. Licence: Apache-2.0.
"""
KINDS: dict[str, tuple[Callable, str]] = {
    "tokenizer-bpe": (
        train_bpe,
        "Byte-level byte-pair encoding, as in GPT-2, Llama 3 and Qwen, with a ChatML chat "
        "template. Nothing is ever unknown.",
    ),
    "tokenizer-unigram": (
        train_unigram,
        "A unigram tokenizer, as in T5 and XLM-R: `▁` marks a word's start, an unseen character becomes `<unk>`.",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files named above")
    parser.add_argument("--out", type=Path, required=True, help="folder that the two tokenizer folders go into")
    parser.add_argument("--only", choices=list(KINDS), help="make this one alone")
    arguments = parser.parse_args()
    (ko, ko_held_out), (en, en_held_out) = korean(arguments.data), english(arguments.data)
    for name, (train, what) in KINDS.items():
        if arguments.only in (None, name):
            save(train([*ko, *en]), arguments.out / name, {"ko": ko_held_out, "en": en_held_out}, what)


if __name__ == "__main__":
    main()
