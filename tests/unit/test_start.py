"""The start: what it leaves out so that the page comes soon."""

import os
import subprocess
import sys
from pathlib import Path

from gradio.routes import App

import app

ROOT = Path(__file__).resolve().parents[2]


def test_only_launch_makes_a_web_server(monkeypatch):
    made = []
    monkeypatch.setattr(App, "create_app", staticmethod(lambda *_, **__: made.append(1)))
    page = app.build()
    assert not made
    assert page.app is None
    App.create_app()
    assert made == [1]


def test_waiting_threads_of_torch_leave_the_cores_to_the_page():
    script = (
        "import os, pipelines.loading as loading\n"
        "with loading.use('pocket/fill-mask-ko', 'fill_mask'): print(os.environ['OMP_WAIT_POLICY'])"
    )
    environ = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.stdout.strip().splitlines()[-1:] == ["passive"], done.stderr[-2000:]


def test_no_choice_of_several_asks_the_server_by_its_change():
    # Gradio's page tells of such a change without end once the server has set the choices.
    page = app.build()
    several = {id for id, block in page.blocks.items() if getattr(block, "multiselect", False)}
    asked = [each for each in page.fns.values() if any(t in several and name == "change" for t, name in each.targets)]
    assert several and asked and all(each.fn is None and each.js for each in asked)
