"""A tokenizer for the uncased body that does not lose capitals: a mark of its own follows a capitalized word.

    "Tim Cook left IBM"  ->  tim ##▴ cook ##▴ left ibm ##▲

▴ goes on a word with a first capital, ▲ on one all in capitals; both point at the word's last letter in the text. As
pieces that go on a word they never begin a name. They take two places that the body's vocabulary leaves unused.
"""

import json

from tokenizers import Regex, Tokenizer, normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from recipes._english_adapter import base_folder

CAPITALIZED, CAPITALS = "▴", "▲"
UNUSED = {f"##{CAPITALIZED}": "[unused1]", f"##{CAPITALS}": "[unused2]"}
LETTER = r"[\p{L}\p{N}]"
# Where such a word ends; the pronoun "I" is none.
CAPITALS_END = rf"(?<!{LETTER})(?!I(?!{LETTER}))[A-Z][A-Z0-9]*\K(?!{LETTER})"
CAPITALIZED_END = rf"(?<!{LETTER})(?!I(?!{LETTER}))[A-Z]{LETTER}*\K(?!{LETTER}|{CAPITALS})"


def cased_tokenizer() -> PreTrainedTokenizerFast:
    base = AutoTokenizer.from_pretrained(base_folder())
    state = json.loads(base.backend_tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    for mark, unused in UNUSED.items():
        vocabulary[mark] = vocabulary.pop(unused)
    tokenizer = Tokenizer.from_str(json.dumps(state))
    marking = [
        normalizers.Replace(Regex(f"[{CAPITALIZED}{CAPITALS}]"), " "),  # nobody types them
        normalizers.Replace(Regex(CAPITALS_END), CAPITALS),
        normalizers.Replace(Regex(CAPITALIZED_END), CAPITALIZED),
    ]
    tokenizer.normalizer = normalizers.Sequence([*marking, tokenizer.normalizer])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    special = {f"{name}_token": getattr(base, f"{name}_token") for name in ("unk", "sep", "pad", "cls", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **special)
