"""A Space with ZeroGPU on this machine: its scheduler, and a process that paints there; run by test_zero_gpu.py.

`python -m tests.unit.lent_gpu` is that process, with the package `spaces` as it is, but for the two of its functions
that touch a GPU. It prints what happened as JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

SCHEDULED = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "allow-1"}


@contextmanager
def scheduler(folder, refusal=None):
    """Yield (environment of a Space, [(path, query)] of what it was asked).

    Args:
        folder: Where a file may be written.
        refusal: Answer with which /schedule says that a visitor's quota is used up.
    """
    asked = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            url = urlsplit(self.path)
            asked.append((url.path, dict(parse_qsl(url.query))))
            told = refusal or SCHEDULED | {"idle": any(path == "/release" for path, _ in asked)}
            body = json.dumps(told).encode() if url.path == "/schedule" else b"{}"
            self.send_response(429 if refusal and url.path == "/schedule" else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    group = folder / "cgroup"
    group.write_text("0::/a-space\n")
    try:
        yield (
            {
                "SPACES_ZERO_GPU": "true",
                "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{server.server_port}",
                "ZEROGPU_PROC_SELF_CGROUP_PATH": str(group),
                "CLASSROOM_PRELOAD": "0",
            },
            asked,
        )
    finally:
        server.shutdown()
        server.server_close()


def _space():
    """Import what paints, on a machine whose torch knows no CUDA."""
    import torch

    torch.version.cuda, torch._C._cuda_init, torch.cuda._is_in_bad_fork = "13.0", None, _false
    import spaces.zero.torch

    from pipelines import image_generation, painters

    spaces.zero.torch.init = spaces.zero.torch.move = lambda *_, **__: None
    painters.POCKET = ""  # so that the pocket painter is lent a GPU as the others are
    return image_generation


def _false():
    return False


def _visitor(token):
    from gradio.context import LocalContext
    from starlette.datastructures import Headers

    LocalContext.request.set(type("Request", (), {"headers": Headers({"x-ip-token": token})})())


def paint():
    """Two pictures one after the other, as two visitors of the page; then one that is stopped."""
    generation = _space()
    from pipelines.errors import VisitorError
    from pipelines.jobs import Jobs

    told = {"parent": os.getpid(), "runs": [], "text": _read()}
    jobs = Jobs(grace_s=3_600)
    for number, token in enumerate(("a.e30.a", "b.e30.b")):
        _visitor(token)
        wish = generation.wish("red apple", "pocket/flux-emoji", steps=2, seed=7 + number)
        job = jobs.start("x" * 20 + str(number), lambda stop, wish=wish: generation.paint(wish, stop))
        job._left.wait()
        run = {"error": job._error and job._error.key, "kind": type(job.latest).__name__}
        if not job._error:
            run |= {"picture": job.latest.pictures[0].tobytes().hex(), "film": len(job.latest.film)}
        told["runs"].append(run)
    stop, seen = threading.Event(), []
    try:
        for event in generation.paint(generation.wish("key", "pocket/flux-emoji", steps=50), stop):
            if isinstance(event, generation.Step):
                seen.append(event.step)
                stop.set()
    except VisitorError as error:
        told["stopped"] = [error.key, len(seen)]
    told["free"] = _free_again(generation)
    return told


def _read():
    """Where a text model is, in the process where torch says that there is a GPU, and whether it answers."""
    import torch

    from pipelines import loading, text_tasks

    assert torch.cuda.is_available()
    with loading.use("pocket/sentiment-ko", "sentiment") as loaded:
        return [loaded.device.split(" ")[0], bool(text_tasks.sentiment("정말 좋아요", loaded.id).result)]


def fail():
    """One picture that a visitor may not have."""
    generation = _space()
    from pipelines.errors import VisitorError

    _visitor("a.e30.a")
    try:
        list(generation.paint(generation.wish("key", "pocket/flux-emoji", steps=2)))
    except VisitorError as error:
        return {"error": error.key, "free": _free_again(generation)}
    return {"error": None}


def broken():
    """A process that ends in the middle, then one in which a model cannot be read."""
    generation = _space()
    from pipelines import painters
    from pipelines.errors import VisitorError

    told, whole = [], painters._read

    def dies(*_):
        os._exit(3)

    def unread(*_):
        painters._read = whole  # the fork is used again
        raise VisitorError("missing_head", model="a/b", weights="x")

    for read in (dies, unread, whole):
        painters._read = read
        try:
            *_, last = generation.paint(generation.wish("key", "pocket/flux-emoji", steps=2))
            told.append(type(last).__name__)
        except VisitorError as error:
            told.append(str(error))
    return {"told": told}


def _free_again(generation):
    for _ in range(100):
        if generation.expected_wait().ahead == 0:
            return True
        threading.Event().wait(0.1)
    return False


if __name__ == "__main__":
    print("\n" + json.dumps({"paint": paint, "fail": fail, "broken": broken}[sys.argv[1]]()))
    sys.stdout.flush()
    for fork in multiprocessing.active_children():  # they wait for more work, and hold what is printed to
        fork.kill()
    os._exit(0)
