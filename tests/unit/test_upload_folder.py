"""The upload folder: private, swept by age, bounded; what dead runs left goes, what live ones use stays."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tabs import _upload_folder
from tabs._upload_folder import ALIVE, Room, sweep, sweep_others

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    for name in ("a/one.png", "a/two.png", "b/three.png", ALIVE):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 10)
    return tmp_path


def test_what_is_old_goes_with_its_folder_and_what_is_young_stays(folder):
    assert sweep(folder, age_s=100) == 40
    assert sweep(folder, keep=[str(folder / "a" / "one.png")], age_s=-1) == 20
    assert [path.name for path in folder.rglob("*.png")] == ["one.png"]
    assert not (folder / "b").exists() and (folder / ALIVE).exists()


def test_a_link_is_removed_and_what_it_points_to_is_not(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "mine.txt"
    other.write_text("mine")
    (folder / "a" / "link").symlink_to(other)
    sweep(folder, age_s=-1)
    assert not (folder / "a").exists() and other.read_text() == "mine"


def test_folders_of_runs_that_are_dead_go_and_of_live_ones_stay(tmp_path):
    long_ago = time.time() - 7_200
    for name in ("run-dead", "run-live", "run-broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "picture.png").write_bytes(b"x")
    for name, when in (("run-dead", long_ago), ("run-live", time.time())):
        (tmp_path / name / ALIVE).touch()
        os.utime(tmp_path / name / ALIVE, (when, when))
    (tmp_path / "another").mkdir()
    sweep_others(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "run-live"]


def test_the_room_is_full_when_it_is_and_a_sweep_measures_it_anew(folder, monkeypatch):
    monkeypatch.setattr(_upload_folder, "_own", folder)
    room = Room(100)
    room.add(99)
    assert not room.full()
    room.add(1)
    assert room.full()
    room.sweep()
    assert not room.full() and room._used == 40


def run(code, **environment):
    env = {name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"} | environment
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_run_has_a_folder_that_others_cannot_read_and_takes_it_away(tmp_path):
    code = (
        "import os; from tabs._upload_folder import own; a, b = own(), own();"
        "print(a, a == b, os.environ['GRADIO_TEMP_DIR'] == str(a), oct(a.stat().st_mode & 0o777), a.is_dir())"
    )
    path, *facts = run(code, TMPDIR=str(tmp_path))
    assert facts == ["True", "True", "0o700", "True"]
    assert Path(path).is_relative_to(tmp_path) and not Path(path).exists()
    assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_a_folder_that_somebody_laid_in_the_way_is_not_used(tmp_path):
    trap = tmp_path / "trap"
    trap.mkdir()
    user = getattr(os, "getuid", lambda: "user")()
    (tmp_path / f"model-classroom-{user}").symlink_to(trap)
    (path,) = run("from tabs._upload_folder import own; print(own())", TMPDIR=str(tmp_path))
    assert not Path(path).is_relative_to(trap) and not list(trap.iterdir())


def test_a_folder_that_the_owner_names_is_used(tmp_path):
    code = "from tabs._upload_folder import own; print(own())"
    assert run(code, GRADIO_TEMP_DIR=str(tmp_path / "mine")) == [str(tmp_path / "mine")]
    assert (tmp_path / "mine").is_dir()
