"""The quick import of gradio: the library whole, no stub written, and nothing left changed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import inspect
asked = []
real = inspect.getfile
from tabs import _quick_import
import ast
parse, parsed = ast.parse, []
ast.parse = lambda code, *a, **k: (parsed.append(len(code)), parse(code, *a, **k))[1]
_quick_import.gradio()
import gradio
print(len(parsed), inspect.getfile is real, gradio.Textbox().get_config()["name"])
print(inspect.getfile(gradio.Textbox).endswith("textbox.py"), hasattr(gradio.Textbox(), "change"))
"""


def test_no_stub_is_made_and_the_library_is_whole():
    run = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, check=True)
    parsed, *rest = run.stdout.split()
    assert int(parsed) < 40  # a component's stub parses its source, three times for some
    assert rest == ["True", "textbox", "True", "True"]
