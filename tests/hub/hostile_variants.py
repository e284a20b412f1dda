"""Hostile repositories by the hundred: every harm of a kind at every place where it may stand, and harms combined.

The same ones each time. `SKELETONS` begin as tests.hub.raw_models writes a repository, whose weights are no model's:
they must be refused. `LIVING` begin as a classifier that answers: they are refused, or answer, and harm nobody.
"""

from __future__ import annotations

import base64
import json
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from tests.hub import hostile_models as one
from tests.hub import raw_models, tiny_models
from tests.hub.bad_models import MARKER, MARKUP, exploit
from tests.hub.raw_models import WEIGHTS, safetensors, write_json

Make = Callable[[Path], None]
LIVING_ID = "hostile/living"
NUMBERS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "type_vocab_size",
)
ABSURD = {"minus": -7, "zero": 0, "huge": 10**15, "half": 0.5, "text": "7; rm -rf /", "nothing": None, "list": [[1]]}
PLACES = ("id2label", "text_config", "quantization_config", "rope_scaling", "task_specific_params")
NEST = {"lists": ("[", "]"), "objects": ('{"a":', "}"), "both": ('[{"a":', "}]")}
CODE = f"import pathlib; pathlib.Path({MARKER!r}).touch()\n"


def skeletons() -> dict[str, Make]:
    """Return {name: what makes it}, of those that must be refused."""
    made: dict[str, Make] = {}
    for name, (word, value) in product(NUMBERS, ABSURD.items()):
        made[f"number-{name}-{word}"] = _set(**{name: value})
    for place, (word, ends), depth in product(PLACES[:3], NEST.items(), (40, 100_000)):
        made[f"deep-{place}-{word}-{depth}"] = _nested(place, *ends, depth)
    for number in range(24):
        made[f"header-mutant-{number:02}"] = _mutant(number)
    harms = [name for name in one.HOSTILE if name.split("/")[1].startswith(("config-", "own-", "header-", "offsets-"))]
    for number, (first, second) in enumerate(_pairs(harms, 24)):
        made[f"both-{number:02}-{first.split('/')[1]}-{second.split('/')[1]}"] = _both(first, second)
    for name, value in {"infinity": "Infinity", "nan": "NaN", "minus": "-Infinity", "power": "1e400"}.items():
        made[f"number-odd-{name}"] = _text("hidden_size", value)
    return made


def living() -> dict[str, Make]:
    """Return {name: what changes a classifier that answers}."""
    made: dict[str, Make] = {}
    for number, harm in enumerate(
        (*MARKUP, "{{7*7}}", "</textarea><script>alert(1)</script>", "\u202egnp.exe", "a\0b")
    ):
        made[f"label-{number}"] = _set(id2label={"0": harm, "1": f"{harm}1"}, label2id={harm: 0, f"{harm}1": 1})
    for number, name in enumerate(("os.system", "eval", "../../evil", "lambda x: x", "torch.load")):
        made[f"activation-{number}"] = _set(hidden_act=name)
    growing = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    anywhere = {"type": "Replace", "pattern": {"Regex": ""}, "content": "x"}
    book = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 5_000}
    charsmap = base64.b64encode(struct.pack("<I", 4) + bytes(4) + b"x" * 9_000 + b"\0").decode()
    for name, steps in {
        "doubling": [growing] * 40, "anywhere": [anywhere] * 40, "book": [book], "many": [{"type": "Strip"}] * 5_000,
        "map": [{"type": "Precompiled", "precompiled_charsmap": charsmap}], "odd": [{"type": "Replace"}], "text": "x",
    }.items():  # fmt: skip
        made[f"normalizer-{name}"] = _tokenizer(normalizer={"type": "Sequence", "normalizers": steps})
    made["normalizer-nested"] = _tokenizer(normalizer=_sequence(growing, 60))
    for number, pattern in enumerate(("(a+)+$", "(a|a)*b", "(?:(?:a*)*)*c", "(", "\\1", "(?<=a" + "a?" * 30 + ")")):
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        made[f"pattern-{number}"] = _tokenizer(pre_tokenizer=split)
    special = {"[CLS]": {"id": "[CLS]", "ids": [2] * 100_000, "tokens": ["[CLS]"] * 100_000}}
    template = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    whole = {"type": "TemplateProcessing", "single": template, "pair": template, "special_tokens": special}
    made["template-long"] = _tokenizer(post_processor=whole)
    made["template-many"] = _tokenizer(post_processor=whole | {"single": template * 5_000})
    made["padding-fixed"] = _tokenizer(padding={
        "strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "[PAD]",
    })  # fmt: skip
    made["added-many"] = _tokenizer(added_tokens=[_added(number) for number in range(20_000)])
    made["added-ids"] = _tokenizer(added_tokens=[_added(2**31), _added(2**40)])
    made["tokenizer-deep"] = lambda folder: (folder / "tokenizer.json").write_text(one.DEEP) and None
    for name, values in {
        "length-minus": {"model_max_length": -1}, "length-huge": {"model_max_length": 10**30},
        "length-text": {"model_max_length": "long"}, "class": {"tokenizer_class": "os.system"},
        "side": {"padding_side": "../../etc"}, "tokens": {"unk_token": ["a"] * 9}, "nested": {"cls_token": {"a": {}}},
        "own": {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["evil.Own", None]}},
        "jinja": {"chat_template": "{% for i in range(999999999) %}x{% endfor %}"},
        "escape": {"chat_template": "{{ ''.__class__.__mro__[1].__subclasses__() }}"},
    }.items():  # fmt: skip
        made[f"tokenizer-config-{name}"] = _into("tokenizer_config.json", **values)
    made["code-beside"] = _code(
        "modeling_bert.py", "configuration_bert.py", "tokenization_bert.py", "setup.py", "conftest.py"
    )
    made["code-mapped"] = _all(_set(auto_map={"AutoModelForSequenceClassification": "evil.Evil"}), _code("evil.py"))
    made["code-elsewhere"] = _set(auto_map={"AutoConfig": "someone/else--evil.Config"})
    made["pickle-beside"] = lambda folder: exploit(folder) and None
    made["pickle-as-safetensors"] = _pickle_named
    made["adapter-elsewhere"] = _write("adapter_config.json", {"base_model_name_or_path": "/etc", "peft_type": "LORA"})
    made["quantized"] = _set(quantization_config={"quant_method": "gptq", "bits": 4, "dataset": "c4"})
    made["attention"] = _set(_attn_implementation="someone/kernel", attn_implementation="someone/kernel")
    made["generation"] = _write(
        "generation_config.json", {"max_new_tokens": 10**9, "suppress_tokens": list(range(10**5))}
    )
    made["initializer"] = _set(initializer_range=-1.0, layer_norm_eps=-5)
    made["padding-token"] = _set(pad_token_id=10**9)
    made["positions-few"] = _set(max_position_embeddings=1)
    made["types-other"] = _set(torch_dtype="int4", dtype="complex1024")
    made["transformers-version"] = _set(transformers_version={"a": 1})
    made["problem-type"] = _set(problem_type="regression", num_labels=1)
    return made


def build(root: Path) -> list[str]:
    """Write all of them below `root`; returns their ids."""
    model = root / LIVING_ID
    if not model.exists():
        model.mkdir(parents=True)
        tiny_models.bert(model, "BertForSequenceClassification", labels=("bad", "good"))
    for name, make in SKELETONS.items():
        raw_models.classifier(root / name)
        make(root / name)
    for name, make in LIVING.items():
        shutil.copytree(model, root / name)
        make(root / name)
    return [*SKELETONS, *LIVING]


def _set(**values: Any) -> Make:
    return _into("config.json", **values)


def _into(name: str, **values: Any) -> Make:
    def make(folder: Path) -> None:
        path = folder / name
        write_json(path, (json.loads(path.read_text("utf-8")) if path.exists() else {}) | values)

    return make


def _write(name: str, value: object) -> Make:
    return lambda folder: write_json(folder / name, value)


def _all(*makes: Make) -> Make:
    return lambda folder: [make(folder) for make in makes] and None


def _text(name: str, value: str) -> Make:
    text = json.dumps(raw_models.CONFIG | {name: "@@"}).replace('"@@"', value)
    return lambda folder: (folder / "config.json").write_text(text) and None


def _nested(place: str, left: str, right: str, depth: int) -> Make:
    return _text(place, left * depth + "1" + right * depth)


def _tokenizer(**values: Any) -> Make:
    return _into("tokenizer.json", **values)


def _sequence(step: dict, times: int) -> dict:
    for _ in range(times):
        step = (
            {"type": "Sequence", "normalizers": [step, step]}
            if times < 5
            else {"type": "Sequence", "normalizers": [step]}
        )
    return step


def _added(number: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "special"), False)
    return {"id": number, "content": f"w{number}", "normalized": True, **flags}


def _code(*names: str) -> Make:
    return lambda folder: [(folder / name).write_text(CODE, "utf-8") for name in names] and None


def _pickle_named(folder: Path) -> None:
    exploit(folder)
    (folder / "pytorch_model.bin").rename(folder / WEIGHTS)


def _both(first: str, second: str) -> Make:
    return _all(one.HOSTILE[first].make, one.HOSTILE[second].make)


def _pairs(names: list[str], count: int) -> Iterator[tuple[str, str]]:
    chance = random.Random(3)
    seen: set[frozenset[str]] = set()
    while len(seen) < count:
        pair = chance.sample(names, 2)
        if frozenset(pair) not in seen:
            seen.add(frozenset(pair))
            yield pair[0], pair[1]


def _mutant(seed: int) -> Make:
    """A header of safetensors of which some bytes, numbers or names are others."""
    chance = random.Random(seed)
    header: dict[str, Any] = {f"layer.{n}": one.GOOD["w"] | {"data_offsets": [64 * n, 64 * n + 64]} for n in range(4)}
    kind = seed % 6
    if kind == 0:
        header["layer.1"]["shape"] = [2**62, 2**62, 4]
    elif kind == 1:
        header |= {"../" * 9 + f"etc/{seed}": header.pop("layer.2")}
    elif kind == 2:
        header["__metadata__"] = {str(n): "x" * 900 for n in range(3_000)}
    elif kind == 3:
        header["layer.3"]["data_offsets"] = [chance.choice([1.5, None, "0", True, -1, 10**30]), 256]
    body = bytearray(json.dumps(header).encode())
    if kind >= 4:
        for _ in range(1 + seed % 5):
            body[chance.randrange(len(body))] = chance.randrange(256)
    data = bytes(256)
    if kind == 5:
        data = data[: chance.randrange(256)]
    return lambda folder: safetensors(folder / WEIGHTS, bytes(body), data)


SKELETONS = {f"variant/{name}": make for name, make in skeletons().items()}
LIVING = {f"living/{name}": make for name, make in living().items()}
