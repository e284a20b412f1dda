"""The Python that "Show the code" fills in: one template per way of answering, <<name>> where a literal goes.

Each defines `result` and prints it, and runs as it stands once its names are filled.
"""

from __future__ import annotations

import re
import sys

CLASSIFIER = """\
from transformers import pipeline

<<source>>
classifier = pipeline("text-classification", model=source, dtype="float32")
"""

ADAPTER = """\
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

<<source>>
<<base>>
config = AutoConfig.from_pretrained(source)
body = AutoModelForSequenceClassification.from_pretrained(
    base, config=config, ignore_mismatched_sizes=True, dtype="float32"
)
model = PeftModel.from_pretrained(body, source)  # the few weights that were trained, on top of the body's
classifier = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(source))
"""

SENTIMENT = """\
texts = <<texts>>
# top_k=None gives the probability of every label, best first.
<<result>> = classifier(texts, top_k=None, truncation=True)
for text, scores in zip(texts, <<result>>):
    print(f"{scores[0]['label']:>10}  {scores[0]['score']:.4f}  {text}")
"""

COMPARE = """\
texts = <<texts>>
gold = <<gold>>
result = {}
<<models>>
for name, labels in result.items():
    right = sum(label == answer for label, answer in zip(labels, gold))
    print(name, labels, f"{right} of {len(gold)} right" if gold else "")
"""

COMPARE_ONE = """\
<<classifier>>polarity = <<polarity>>  # what each label of this model means
scores = classifier(texts, top_k=1, truncation=True)
result[<<model>>] = [polarity.get(best[0]["label"]) for best in scores]
"""

EMBED = """\
import torch
from transformers import AutoModel, AutoTokenizer

<<source>>
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModel.from_pretrained(source, dtype="float32").eval()


def embed(texts):
    \"\"\"The mean of the last hidden state over the real tokens, scaled to length 1: (texts, dimensions).\"\"\"
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=<<max_length>>, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


"""

MMR = """\
def mmr(relevance, vectors, count):
    \"\"\"Maximal marginal relevance: what is relevant and not like what was already chosen.\"\"\"
    likeness, chosen = vectors @ vectors.T, []
    while len(chosen) < min(count, len(relevance)):
        repeated = likeness[:, chosen].amax(1) if chosen else torch.zeros(len(relevance))
        gain = <<weight>> * relevance - (1 - <<weight>>) * repeated
        gain[chosen] = -torch.inf
        chosen.append(int(gain.argmax()))
    return chosen


"""

SIMILARITY = """\
texts = <<texts>>
vectors = embed(texts)
result = (vectors @ vectors.T).tolist()  # cosines: 1 is the same direction, 0 has nothing in common
for row in result:
    print("  ".join(f"{value:.3f}" for value in row))
"""

ZERO_SHOT_VECTORS = """\
text = <<text>>
labels = <<labels>>
template = <<template>>
vectors = embed([text] + [template.replace("{}", label) for label in labels])
cosines = vectors[1:] @ vectors[0]
scores = <<scores>>
result = dict(sorted(zip(labels, scores.tolist()), key=lambda pair: -pair[1]))
print(result)
"""

ZERO_SHOT_NLI = """\
from transformers import pipeline

<<source>>
classifier = pipeline("zero-shot-classification", model=source, dtype="float32")
found = classifier(
    <<text>>,
    candidate_labels=<<labels>>,
    hypothesis_template=<<template>>,
    multi_label=<<multi_label>>,
)
result = dict(zip(found["labels"], found["scores"]))
print(result)
"""

ENTITIES = """\
from transformers import pipeline<<more>>

<<source>>
<<settle>># "<<strategy>>" joins the tokens of one name.
recognizer = pipeline(
    "token-classification",<<recognizer>> model=source, aggregation_strategy="<<strategy>>", stride=32, dtype="float32"
)
text = <<text>>
result = recognizer(text)
for entity in result:
    print(entity["entity_group"], text[entity["start"] : entity["end"]], f"{entity['score']:.4f}")
"""

SETTLE = {
    "more": ", TokenClassificationPipeline",
    "recognizer": "\n    pipeline_class=Recognizer,\n   ",
    "settle": """

class Recognizer(TokenClassificationPipeline):
    def group_entities(self, tokens):
        # Inside a word, a tag I- goes on with what stands before it.
        for before, token in zip(tokens, tokens[1:]):
            start, tag = token["start"], before["entity"]
            inside = start and before["end"] == start and text[start - 1 : start + 1].isalnum()
            if inside and token["entity"].startswith("I-"):
                token["entity"] = "O" if tag == "O" else "I-" + tag[2:]
        return super().group_entities(tokens)


""",
}

ANSWER = """\
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

<<source>>
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModelForQuestionAnswering.from_pretrained(source, dtype="float32").eval()
question = <<question>>
context = <<context>>

# A long context is read in windows that overlap by 128 tokens.
inputs = tokenizer(
    question, context, truncation="only_second", max_length=384, stride=128, padding=True,
    return_overflowing_tokens=True, return_offsets_mapping=True, return_tensors="pt",
)
offsets = inputs.pop("offset_mapping")
inputs.pop("overflow_to_sample_mapping")
with torch.inference_mode():
    output = model(**inputs)

result = {"score": 0.0, "start": 0, "end": 0, "answer": ""}
<<before>>for i in range(len(offsets)):
    allowed = torch.tensor([part == 1 for part in inputs.sequence_ids(i)])  # the context, not the question
    <<allow>>start = output.start_logits[i].masked_fill(~allowed, -10_000).softmax(-1)
    end = output.end_logits[i].masked_fill(~allowed, -10_000).softmax(-1)
    <<null>># Every pair of a first and a last token: in this order, at most 15 tokens long.
    scores = torch.outer(start, end).triu().tril(14)
    first, last = divmod(int(scores.argmax()), len(end))
    if scores[first, last] > result["score"]:
        a, b = int(offsets[i, first, 0]), int(offsets[i, last, 1])
        result = {"score": float(scores[first, last]), "start": a, "end": b, "answer": context[a:b]}
<<choose>>print(result)
"""

NO_ANSWER = {
    "before": "no_answer = 1.0\n",
    "allow": 'allowed[0] = True  # the first token stands for "the text does not say"\n    ',
    "null": "no_answer = min(no_answer, float(start[0] * end[0]))\n    start[0] = end[0] = 0\n    ",
    "choose": (
        'if no_answer > result["score"]:\n    result = {"score": no_answer, "start": 0, "end": 0, "answer": ""}\n'
    ),
}

ADAPTED_MODEL = """\
from peft import PeftModel
from transformers import AutoConfig, <<auto>>, AutoTokenizer

<<source>>
<<base>>
body = <<auto>>.from_pretrained(base, config=AutoConfig.from_pretrained(source), dtype="float32")
model = PeftModel.from_pretrained(body, source).merge_and_unload().eval()  # what was trained, on top of the body
"""


def _adapted(template: str, auto: str, *lines: tuple[str, str]) -> str:
    """Turn a template into the one for an adapter's folder."""
    for plain, ours in (("<<source>>\n", ADAPTED_MODEL.replace("<<auto>>", auto)), *lines):
        template = template.replace(plain, ours, 1)
    return template


ENTITIES_ADAPTED = _adapted(
    ENTITIES,
    "AutoModelForTokenClassification",
    ("model=source, aggregation", "model=model, tokenizer=AutoTokenizer.from_pretrained(source),\n    aggregation"),
    (', dtype="float32"\n)', "\n)"),
)
ANSWER_ADAPTED = _adapted(
    ANSWER,
    "AutoModelForQuestionAnswering",
    ('model = AutoModelForQuestionAnswering.from_pretrained(source, dtype="float32").eval()\n', ""),
)

FILL_MASK = """\
from transformers import pipeline

<<source>>
unmasker = pipeline("fill-mask", model=source, dtype="float32")
tokenizer = unmasker.tokenizer
text = <<text>>.replace(<<mask>>, tokenizer.mask_token)
# Special tokens such as [UNK] are no words: ask for some more and leave them out.
found = unmasker(text, top_k=<<top_k>> + len(tokenizer.all_special_ids))
result = [each for each in found if each["token"] not in tokenizer.all_special_ids][:<<top_k>>]
for each in result:
    print(f"{each['score']:.4f}  {each['token_str']:>10}  {each['sequence']}")
"""

GENERATE = """\
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

<<source>>
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModelForCausalLM.from_pretrained(source, dtype="float32").eval()
<<seed>>
inputs = tokenizer(<<prompt>>, return_tensors="pt")
<<begun>>output = model.generate(**inputs, <<settings>>)
result = tokenizer.decode(output[0], skip_special_tokens=True)
print(result)
"""

CHANCE = {
    "seeded": "torch.manual_seed({seed})  # the same seed, the same text",
    "drawn": "# torch.manual_seed(0) would give the same text every time.",
    "greedy": "# Always the most probable token: no chance is involved.",
    "beam": "# The text that is likeliest as a whole: no chance is involved.",
}

GENERATE_FROM = """\
kept = torch.tensor([<<ids>>])  # what stays of an earlier text; the last token was chosen by hand
ids = torch.cat([inputs["input_ids"], kept], dim=1)
inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
"""

LEXRANK = """\
# The text, cut into sentences.
sentences = <<sentences>>
vectors = embed(sentences)
# LexRank: walk at random from sentence to sentence, the more alike the likelier; central ones are visited most.
weights = (vectors @ vectors.T).clamp(min=0).fill_diagonal_(0)
totals = weights.sum(1, keepdim=True)
walk = torch.where(totals > 1e-9, weights / totals.clamp(min=1e-9), 1 / len(sentences))
rank = torch.full((len(sentences),), 1 / len(sentences))
for _ in range(50):
    rank = <<rest>> / len(sentences) + <<damping>> * rank @ walk
chosen = mmr(rank / rank.max(), vectors, <<count>>)
<<within>>result = " ".join(sentences[i] for i in sorted(chosen))
print(result)
"""

WITHIN = """\
lengths = [len(tokenizer(sentences[i], add_special_tokens=False)["input_ids"]) for i in chosen]
chosen = [i for n, i in enumerate(chosen) if n == 0 or sum(lengths[: n + 1]) <= <<max_length>>]
"""

SEQ2SEQ = """\
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

<<source>>
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModelForSeq2SeqLM.from_pretrained(source, dtype="float32").eval()
# What the model's own files say about the task: T5's prefix, lengths, beams.
tasks = getattr(model.config, "task_specific_params", None) or {}
task = dict(<<task>>)
prefix = task.pop("prefix", "")
settings = {**model.generation_config.to_diff_dict(), **task, **<<settings>>}
settings.setdefault("num_beams", 4)
if "max_length" not in settings:
    settings.setdefault("max_new_tokens", 256)
<<languages>>
inputs = tokenizer(prefix + <<text>>, truncation=True, return_tensors="pt")
inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
output = model.generate(**inputs, generation_config=GenerationConfig(**settings))
result = tokenizer.decode(output[0], skip_special_tokens=True)
print(result)
"""

KEYWORDS = """\
text = <<text>>
# Words and pairs of words of the text, without stop words.
candidates = <<candidates>>
vectors = embed([text] + candidates)
relevance = vectors[1:] @ vectors[0]
chosen = mmr(relevance, vectors[1:], <<top_k>>)
result = sorted(((candidates[i], float(relevance[i])) for i in chosen), key=lambda pair: -pair[1])
for word, score in result:
    print(f"{score:.4f}  {word}")
"""

ENTAIL = """\
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

<<source>>
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModelForSequenceClassification.from_pretrained(source, dtype="float32").eval()
inputs = tokenizer(<<texts>>, truncation=True, return_tensors="pt")
with torch.inference_mode():
    scores = model(**inputs).logits[0].softmax(-1)
result = {model.config.id2label[i]: float(score) for i, score in enumerate(scores)}
print(result)
"""

TOKENIZE = """\
from transformers import AutoTokenizer

texts = <<texts>>
result = {}
<<tokenizers>>
for name, encoded in result.items():
    for row in encoded:
        print(name, len(row), row)
"""

TOKENIZE_ONE = """\
<<source>>
tokenizer = AutoTokenizer.from_pretrained(source)
encoded = tokenizer(texts, <<settings>>)
result[<<name>>] = [tokenizer.convert_ids_to_tokens(ids) for ids in encoded["input_ids"]]
"""

TOKENIZE_SIMPLE = {
    "builtin/words": 'result["builtin/words"] = [re.findall(r"\\w+|[^\\w\\s]+", text) for text in texts]\n',
    "builtin/characters": 'result["builtin/characters"] = [list(text) for text in texts]\n',
    "builtin/bytes": 'result["builtin/bytes"] = [[f"<0x{b:02X}>" for b in text.encode()] for text in texts]\n',
}

LEARN_BPE = """\
from collections import Counter

text = <<text>>
words = Counter("\N{LOWER ONE EIGHTH BLOCK}" + word for word in text.split())  # the mark shows where a word begins
pieces = {word: list(word) for word in words}
result = []
for _ in range(<<merges>>):
    pairs = Counter()
    for word, count in words.items():
        for pair in zip(pieces[word], pieces[word][1:]):
            pairs[pair] += count
    best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
    if best is None or pairs[best] < 2:
        break
    result.append([*best, pairs[best]])
    for word, old in pieces.items():  # the most frequent pair of neighbours becomes one piece
        new = []
        while old:
            size = 2 if tuple(old[:2]) == best else 1
            new.append("".join(old[:size]))
            old = old[size:]
        pieces[word] = new
for left, right, count in result:
    print(f"{left} + {right}  ({count} times)")
"""

MODELS = """\
# In the app's folder: the table behind the model pickers.
from pipelines import catalog

result = [card.id for task in <<tasks>> for card in catalog.offered(task)]
print("\\n".join(result))
"""


def tidy(code: str) -> str:
    """Gather the imports of code put together from several templates at its top, each name once.

    Only lines that begin in the first column are looked at; what a visitor typed never does.
    """
    modules: dict[str, set[str]] = {}
    notes: dict[str, str] = {}
    body = []
    for line in code.split("\n"):
        match = re.fullmatch(r"(?:from (\S+) )?import ([\w, ]+?)(  #.*)?", line)
        if match is None:
            body.append(line)
            continue
        module = match[1] or match[2]
        modules.setdefault(module, set()).update(match[2].split(", ") if match[1] else ())
        notes[module] = match[3] or ""
    groups: tuple[list[str], list[str]] = ([], [])
    for module in sorted(modules, key=str.lower):
        names = ", ".join(sorted(modules[module], key=lambda name: (name.islower(), name)))
        line = f"from {module} import {names}" if names else f"import {module}"
        groups[module not in sys.stdlib_module_names].append(line + notes[module])
    head = "\n\n".join("\n".join(sorted(group, key=lambda each: each.startswith("from"))) for group in groups if group)
    rest = re.sub(r"\n{4,}", "\n\n\n", "\n".join(body).strip("\n"))
    return (head + "\n\n" if head else "") + rest + "\n"
