"""Tokenizers of each kind that the listed models use, trained on a few sentences, in the files that the Hub has.

Every function writes into a folder exactly the files the real repository holds (vocab.txt alone where there is no
tokenizer.json, and so on) and returns the size of the vocabulary.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

SENTENCES = (
    "이 영화 정말 재미있었어요. 배우들의 연기가 훌륭하고 음악도 좋았습니다.",
    "배송이 너무 늦고 포장이 엉망이라서 실망했어요.",
    "오늘은 학교에서 친구들과 점심을 먹고 도서관에서 책을 읽었습니다.",
    "대한민국의 수도는 서울이고 가장 큰 항구 도시는 부산이다.",
    "세종대왕은 1443년에 훈민정음을 만들었고 백성에게 널리 알렸다.",
    "매우 좋아요! 다음에도 꼭 다시 사고 싶은 물건이에요.",
    "선생님이 인공지능 모델을 교실에서 보여 주셨다.",
    "아침에 비가 와서 길이 막혔지만 수업에는 늦지 않았다.",
    "김철수는 삼성전자에서 일하고 이영희는 서울대학교에 다닌다.",
    "이 제품은 가격에 비해 품질이 나쁘지 않습니다.",
    "걱정이 많아서 잠을 잘 수 없었고 몹시 피곤했다.",
    "고양이가 창가에 앉아 하늘을 바라본다.",
    "The movie was wonderful and the actors were brilliant.",
    "I love this film, but the ending was a little sad.",
    "Operating profit rose to 13.1 million euros from 8.7 million a year ago.",
    "My name is Sarah and I live in London with my brother.",
    "The capital of France is Paris, and Berlin is in Germany.",
    "This is the worst product that I have ever bought.",
    "Once upon a time there was a little girl who lived in a village.",
    "The teacher showed the students how a neural network reads a sentence.",
    "Machine learning models turn words into numbers, and numbers into answers.",
    "translate English to German: How old are you? Wie alt bist du?",
    "summarize: The tower is 324 metres tall, about the same height as a building of 81 storeys.",
    "A dog runs in the park while the children play football.",
    "The company reported a loss, and its shares fell sharply.",
    "Hello, world! This is a test of the tokenizer: 1, 2, 3.",
)
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def wordpiece(folder: Path, *, lower: bool, fast: bool, config: dict | None) -> int:
    """BERT's WordPiece: vocab.txt, and tokenizer.json where `fast`.

    Args:
        lower: Lower-case and strip accents, as the uncased models do.
        config: Content of tokenizer_config.json; None writes none.
    """
    tokenizer = _bert(lower)
    tokenizer.train_from_iterator(SENTENCES, vocab_size=700, min_frequency=1, show_progress=False)
    # Characters that a decomposing normalizer leaves of Hangul are in the vocabulary because it was trained with it.
    vocab = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    _write(folder, "vocab.txt", "\n".join(vocab) + "\n")
    if fast:
        from tokenizers.processors import BertProcessing

        tokenizer._tokenizer.post_processor = BertProcessing(
            ("[SEP]", vocab.index("[SEP]")), ("[CLS]", vocab.index("[CLS]"))
        )
        tokenizer.save(str(folder / "tokenizer.json"))
        _write_json(folder, "special_tokens_map.json", _bert_map())
    if config is not None:
        _write_json(folder, "tokenizer_config.json", config)
    return len(vocab)


def byte_bpe(folder: Path, *, special: list[str], config: dict | None, fast: bool = True, roberta: bool = False) -> int:
    """GPT-2's byte-level BPE: vocab.json, merges.txt and, where `fast`, tokenizer.json.

    Args:
        special: Special tokens, which take the first ids.
        config: Content of tokenizer_config.json; None writes none.
        roberta: Wrap a text in <s> ... </s>, as RoBERTa and BART do.
    """
    from tokenizers import ByteLevelBPETokenizer, processors

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        SENTENCES, vocab_size=600, min_frequency=2, special_tokens=special, show_progress=False
    )
    tokenizer.save_model(str(folder))
    if fast:
        if roberta:
            vocab = tokenizer.get_vocab()
            tokenizer._tokenizer.post_processor = processors.RobertaProcessing(
                ("</s>", vocab["</s>"]), ("<s>", vocab["<s>"]), trim_offsets=True, add_prefix_space=False
            )
        tokenizer.save(str(folder / "tokenizer.json"))
    if config is not None:
        _write_json(folder, "tokenizer_config.json", config)
    return len(tokenizer.get_vocab())


def deberta(folder: Path) -> int:
    """DeBERTa-v3's SentencePiece unigrams: spm.model and the tokenizer.json made from it, [MASK] added behind."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    spm = sentencepiece(folder / "spm.model", pieces=["[PAD]", "[CLS]", "[SEP]", "[UNK]"])
    tokenizer = Tokenizer(models.Unigram(spm, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(left=False, right=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([AddedToken("[MASK]", special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder, "added_tokens.json", {"[MASK]": len(spm)})
    _write_json(folder, "special_tokens_map.json", {"bos_token": "[CLS]", "eos_token": "[SEP]", **_bert_map()})
    config = {"do_lower_case": False, "vocab_type": "spm", "tokenizer_class": "DebertaV2Tokenizer", **_bert_map()}
    _write_json(folder, "tokenizer_config.json", {**config, "bos_token": "[CLS]", "eos_token": "[SEP]"})
    return len(spm) + 1


def xlm_roberta(folder: Path, *, spm: bool = True, config: dict | None) -> int:
    """XLM-RoBERTa's unigrams: tokenizer.json, and sentencepiece.bpe.model where `spm`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    pieces = sentencepiece(folder / "sentencepiece.bpe.model", pieces=["<unk>", "<s>", "</s>"])[3:]
    if not spm:
        (folder / "sentencepiece.bpe.model").unlink()
    vocab = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *pieces, ("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    if config is not None:
        _write_json(folder, "tokenizer_config.json", config)
    return len(vocab)


def t5(folder: Path) -> int:
    """T5's unigrams: spiece.model and tokenizer.json, with the hundred <extra_id_N> behind the vocabulary."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    pieces = sentencepiece(folder / "spiece.model", pieces=["<pad>", "</s>", "<unk>"])
    extra = [f"<extra_id_{number}>" for number in range(99, -1, -1)]
    tokenizer = Tokenizer(models.Unigram([*pieces, *((token, 0.0) for token in extra)], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ("<pad>", "</s>", "<unk>", *extra)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "extra_ids": 100}
    config = {**names, "additional_special_tokens": sorted(extra), "model_max_length": 512}
    _write_json(folder, "tokenizer_config.json", config)
    return len(pieces) + 100


def marian(folder: Path, config: dict) -> int:
    """Marian's two SentencePiece models with one vocabulary: source.spm, target.spm, vocab.json."""
    source = sentencepiece(folder / "source.spm", pieces=["<unk>", "<s>", "</s>"], size=300)
    target = sentencepiece(folder / "target.spm", pieces=["<unk>", "<s>", "</s>"], size=320)
    tokens = ["</s>", "<unk>"]
    tokens += sorted({piece for piece, _ in (*source, *target)} - {"</s>", "<unk>", "<s>"})
    tokens.append("<pad>")
    _write_json(folder, "vocab.json", {token: number for number, token in enumerate(tokens)})
    _write_json(folder, "tokenizer_config.json", config)
    return len(tokens)


def sentencepiece(path: Path, *, pieces: list[str], size: int = 400) -> list[tuple[str, float]]:
    """Train a SentencePiece unigram model into `path`; its special `pieces` take the first ids.

    Returns:
        (piece, log probability) of the whole vocabulary, in the order of the ids.
    """
    import sentencepiece as library

    places = {name: -1 for name in ("pad", "unk", "bos", "eos")}
    options: dict[str, object] = {}
    for number, piece in enumerate(pieces):
        name = {"[pad]": "pad", "<pad>": "pad", "[unk]": "unk", "<unk>": "unk", "[cls]": "bos", "<s>": "bos"}.get(
            piece.lower(), "eos"
        )
        places[name], options[f"{name}_piece"] = number, piece
    options |= {f"{name}_id": number for name, number in places.items()}
    model = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, vocab_size=size, model_type="unigram",
        hard_vocab_limit=False, character_coverage=1.0, minloglevel=2, num_threads=1, **options,
    )  # fmt: skip
    path.write_bytes(model.getvalue())
    processor = library.SentencePieceProcessor(model_proto=model.getvalue())
    return [
        (processor.id_to_piece(number), processor.get_score(number)) for number in range(processor.get_piece_size())
    ]


def _bert(lower: bool):
    from tokenizers import BertWordPieceTokenizer

    return BertWordPieceTokenizer(lowercase=lower, strip_accents=lower, clean_text=True, handle_chinese_chars=True)


def _bert_map() -> dict[str, str]:
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return dict(zip(names, BERT_SPECIAL, strict=True))


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")


def _write_json(folder: Path, name: str, value: dict) -> None:
    _write(folder, name, json.dumps(value, ensure_ascii=False, indent=2))
