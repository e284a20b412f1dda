"""The house's arrows: app -> tabs -> pipelines -> settings, nothing heavy at import, no tab imports a sibling."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "transformers", "diffusers", "peft", "tokenizers", "sentencepiece", "onnxruntime", "onnx"}
MODULES = sorted([*ROOT.glob("*.py"), *ROOT.glob("tabs/*.py"), *ROOT.glob("pipelines/*.py")])


def imports(path, top_level_only=False):
    """Names imported by a file, as dotted paths."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(path):
    return path.parent.name if path.parent != ROOT else path.stem


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    tops = {name.split(".")[0] for name in imports(path)}
    forbidden = {
        "app": HEAVY,
        "tabs": HEAVY | {"app"},
        "pipelines": {"gradio", "tabs", "app"},
        "settings": HEAVY | {"gradio", "tabs", "app", "pipelines"},
    }[layer(path)]
    assert not tops & forbidden


@pytest.mark.parametrize("path", sorted(ROOT.glob("tabs/*.py")), ids=lambda path: path.stem)
def test_no_tab_imports_a_sibling(path):
    siblings = {f"tabs.{other.stem}" for other in ROOT.glob("tabs/[a-z]*.py") if other != path}
    assert not imports(path) & siblings


@pytest.mark.parametrize("path", sorted(ROOT.glob("pipelines/*.py")), ids=lambda path: path.stem)
def test_pipelines_import_nothing_heavy_at_the_top(path):
    assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & (HEAVY | {"pandas", "numpy"})


@pytest.mark.parametrize("path", sorted(ROOT.glob("recipes/*.py")), ids=lambda path: path.stem)
def test_recipes_stand_alone(path):
    assert not {name.split(".")[0] for name in imports(path)} & {"app", "tabs", "pipelines", "gradio", "settings"}


def test_building_the_page_imports_no_torch():
    script = (
        "import sys, app; app.build(); print(sorted({'torch','transformers','peft','tokenizers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr[-2000:]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text("utf-8").splitlines()) <= 450
