"""The process that downloads: killed, stopped, left behind; what it brought is kept, and nobody sees the token."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.hub.downloading import alive, arrived, bodies, fault, fetch, nothing_runs, partial_size, process_id
from tests.hub.environment import ROOT, TOKEN, UNSET, environment
from tests.hub.local_hub import wait_for
from tests.hub.raw_models import RAW, VALUES, WEIGHTS

pytestmark = pytest.mark.hub


@pytest.fixture
def in_background():
    """A function that fetches in a thread and returns the list its error will be in."""
    from pipelines.errors import VisitorError

    threads = []

    def start() -> list[str]:
        errors: list[str] = []

        def work() -> None:
            try:
                fetch()
                errors.append("")
            except VisitorError as error:
                errors.append(error.key)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return errors

    start.join = lambda: [thread.join(60) for thread in threads]
    yield start
    start.join()


SIZE = 4 * VALUES


@pytest.fixture
def kills(request):
    """How often something is killed: --kills, or what the test says."""
    return lambda usual: request.config.getoption("--kills", None) or usual


@pytest.mark.parametrize("ranges", [True, False])
def test_a_killed_download_goes_on_where_it_was(bare_hub, in_background, kills, ranges):
    """The process is ended with SIGKILL, again and again, each time a little further on."""
    rounds = kills(5) if ranges else 1
    step = min(150_000, SIZE // (rounds + 1))
    for number in range(rounds):
        bare_hub.mend()
        bare_hub.fail(RAW, "stalled", WEIGHTS, after=step)
        errors = in_background()
        before = len(bodies(bare_hub))
        assert wait_for(lambda before=before: len(bodies(bare_hub)) > before, 60)
        pid = process_id()
        assert wait_for(lambda n=number: partial_size() >= step * (n + 1), 10)
        os.kill(pid, signal.SIGKILL)
        in_background.join()
        assert errors == ["download_crashed"] and nothing_runs()
    bare_hub.mend()
    bare_hub.requests.clear()
    if not ranges:
        bare_hub.fail(RAW, "no_ranges", WEIGHTS)
    fetch()
    assert arrived(bare_hub)
    assert bodies(bare_hub)[0].range == f"bytes={step * rounds}-"


def test_stop_ends_the_process_and_tells_everybody(bare_hub, in_background):
    from pipelines import download

    bare_hub.fail(RAW, "drips", WEIGHTS)
    waiting = [in_background() for _ in range(3)]
    pid = process_id()
    assert wait_for(lambda: len(bodies(bare_hub)) == 1, 30) and len(download._flights) == 1
    assert download.stop(RAW) and not download.stop(RAW)
    in_background.join()
    assert waiting == [["stopped"]] * 3
    download._stopped[RAW] += 60  # a second is short on a busy machine
    assert fault() == "stopped"  # asked before it was stopped, only heard of later
    download._stopped.clear()
    assert not alive(pid) and nothing_runs()


def test_speed_and_time_left_are_told(bare_hub, in_background):
    from pipelines import download, model_stage

    bare_hub.fail(RAW, "drips", WEIGHTS)
    in_background()
    process_id()
    assert wait_for(lambda: (model_stage.of(RAW).speed or 0) > 0, 10)
    now = model_stage.of(RAW)
    assert now.stage == "downloading" and 0 < now.done < now.total and now.seconds_left > 60
    assert download.progress() == {RAW: (now.done, now.total)} or download.progress()[RAW][0] >= now.done
    assert model_stage.stop(RAW)
    assert wait_for(lambda: model_stage.of(RAW).stage == "none", 5)  # whoever waited has to hear of it first


SCRIPT = f"""
import threading
from pipelines import download, hub
sizes = hub.listing({RAW!r})
threading.Thread(target=download.fetch, args=({RAW!r}, sizes, False, 30), daemon=True).start()
while not download.progress().get({RAW!r}, (0, 0))[0]:
    pass
print(next(iter(download._flights.values())).process.pid, flush=True)
threading.Event().wait()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_when_the_app_is_killed_the_download_ends_and_the_next_one_goes_on(bare_hub, kills):
    from huggingface_hub import constants

    rounds = kills(1)
    step = min(400_000, SIZE // (rounds + 1))
    variables = {name: value for name, value in os.environ.items() if name not in UNSET}
    variables |= environment(HF_HUB_CACHE=constants.HF_HUB_CACHE)
    for number in range(1, rounds + 1):
        bare_hub.mend()
        bare_hub.fail(RAW, "stalled", WEIGHTS, after=step)
        app = subprocess.Popen(
            [sys.executable, "-c", SCRIPT], cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True
        )
        child = int(app.stdout.readline())
        assert alive(child) and wait_for(lambda n=number: partial_size() == step * n, 20)
        app.kill()
        app.wait()
        app.stdout.close()
        assert wait_for(lambda pid=child: not alive(pid), 5)
    bare_hub.mend()
    bare_hub.requests.clear()
    fetch()
    assert arrived(bare_hub) and bodies(bare_hub)[0].range == f"bytes={step * rounds}-"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")
def test_the_token_stands_in_no_argument_and_no_environment(bare_hub, monkeypatch):
    from pipelines import download, hub
    from pipelines.errors import VisitorError

    monkeypatch.setattr(hub, "token", lambda model_id: None)
    bare_hub.fail(RAW, "drips", WEIGHTS)
    thread = threading.Thread(target=lambda: pytest.raises(VisitorError, fetch, RAW, None))
    thread.start()
    pid = process_id()
    seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    download.stop(RAW)
    thread.join(10)
    assert TOKEN.encode() not in seen and b"pipelines.fetching" in seen
    assert f"Bearer {TOKEN}" in {request.authorization for request in bare_hub.requests}
