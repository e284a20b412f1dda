"""Wrong, hostile and strange requests to all that the server answers: each gets a result, or one sentence.

python -m benchmarks.fuzz --requests 20000               of an app that it starts itself
python -m benchmarks.fuzz --requests 500 --url URL       of a server that runs already

The public endpoints are asked with values of the right and of wrong types, as /gradio_api/info tells their parameters;
the page's own handlers by their number, with anything; and the web server with bodies that are no calls.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from benchmarks.serving import OURS, serve

TIMEOUT_S = 120.0
# What no answer may hold: a trace, a path of this machine, what a handler says when it did not foresee something.
TRACES = re.compile(r'Traceback|File "|site-packages|\.py\b", line|Internal Server Error')
UNFORESEEN = re.compile("Something went wrong on our side|저희 쪽에서 문제가")
STATUSES = {200, 400, 404, 405, 413, 422, 429}
LONGEST_SENTENCE = 400
HOSTILE = (
    *("", " ", "\0", "\x1b[31m", "\ud800", "a\udfffb", "\u202e", "\ufeff", "👩‍👩‍👧‍👦", "각" * 3, "\r\n"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "</textarea><b>", "&lt;"),
    *("${alert(1)}", "{{7*7}}", "{0.__class__}", "%s%n", "{", "}{", "{}", "`id`", "$(id)", "'; DROP TABLE x;--"),
    *("../../etc/passwd", "/etc/passwd", "..\\..\\x", "file:///etc/passwd", "http://127.0.0.1:1/", "data:text/html,x"),
    *("pocket/../../settings.py", "pocket/sentiment-ko", "nobody/nothing", "a/b/c", "CON", "[MASK]", "[CLS]" * 5),
    *(
        "A dog runs.",
        "영화가 정말 재미있었어요.",
        "Marie Curie was born in Warsaw.",
        "x" * 5_000,
        "가 " * 3_000,
        "\n" * 500,
    ),
)
GOOD = {
    "max_new_tokens": st.integers(1, 4),
    "merges": st.integers(1, 20),
    "steps": st.integers(1, 2),
    "count": st.just(1),
    "num_beams": st.integers(1, 2),
    "width": st.sampled_from([64, 128, 100, 0]),
    "height": st.sampled_from([64, 128, 100, 0]),
    "endpoint": st.sampled_from(["sentiment", "tokenize", "generate_image", "match_image", "nothing", "show_code"]),
    "task": st.sampled_from(["sentiment", "tokenize", "image_text", "nothing"]),
    "padding": st.sampled_from([True, False, "longest", "max_length", "nothing"]),
    "scoring": st.sampled_from(["softmax", "sigmoid", "cosine", "nothing"]),
}


@dataclass(frozen=True)
class Asked:
    """One request: its method, path and body, as they go over the wire."""

    path: str
    body: bytes
    content_type: str = "application/json"
    method: str = "POST"


def texts() -> st.SearchStrategy[str]:
    """Any text, lone surrogates and control characters among it, often a hostile one."""
    return st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=()), max_size=60))


def numbers() -> st.SearchStrategy[Any]:
    """Numbers of any size, and what is none."""
    odd = [0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 1e308, float("nan"), float("inf"), -float("inf"), 1e-320, -0.0]
    return st.one_of(st.sampled_from(odd), st.integers(), st.floats())


def files() -> st.SearchStrategy[Any]:
    """What claims to be an uploaded file and is none."""
    where = st.sampled_from(["/etc/passwd", "http://127.0.0.1:1/x.png", "data:image/png;base64,AAAA", "", "x" * 5_000])
    path = st.one_of(where, texts(), numbers(), st.none())
    kinds = st.sampled_from([{"_type": "gradio.FileData"}, {"_type": "x"}, {}, None, []])
    return st.fixed_dictionaries(
        {"path": path}, optional={"url": path, "meta": kinds, "size": numbers(), "is_stream": st.booleans()}
    )


def anything() -> st.SearchStrategy[Any]:
    """Any JSON, and a little that is none."""
    leaf = st.one_of(st.none(), st.booleans(), numbers(), texts(), files())
    return st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(), inner, max_size=3), max_leaves=8
    )


def fitting(name: str, kind: str) -> st.SearchStrategy[Any]:
    """Values that a parameter of this name and JSON type may well take."""
    if name in GOOD:
        return GOOD[name]
    if name == "model":
        return st.sampled_from([None, None, *HOSTILE])
    options: list[st.SearchStrategy[Any]] = []
    if "array" in kind:
        options.append(st.lists(files() if "path" in kind else texts(), max_size=4))
    if "string" in kind and "path" not in kind:
        options.append(texts())
    if "integer" in kind or "number" in kind:
        options.append(st.integers(0, 9))
    if "boolean" in kind:
        options.append(st.booleans())
    if "object" in kind:
        options.append(files() if "path" in kind else st.dictionaries(texts(), anything(), max_size=3))
    return st.one_of(*options) if options else anything()


def arguments(parameters: list[dict[str, Any]], whole: bool = False) -> st.SearchStrategy[list[Any]]:
    """A list of arguments: mostly of the right types, some wrong; unless `whole`, now and then too few or too many."""
    right = [fitting(each["parameter_name"], json.dumps(each["type"])) for each in parameters]
    each = st.tuples(*[st.one_of(fit, fit, fit, anything()) for fit in right]).map(list)
    cut = st.tuples(each, st.integers(0, len(right)), st.lists(anything(), max_size=2))
    return each if whole else st.one_of(each, each, each, cut.map(lambda given: given[0][: given[1]] + given[2]))


def as_json(value: Any) -> bytes:
    """Write NaN and lone surrogates as JSON that most servers read."""
    return json.dumps(value).encode()


def requests(endpoints: dict[str, Any], handlers: list[int]) -> st.SearchStrategy[Asked]:
    """All kinds of requests.

    Args:
        endpoints: named_endpoints of /gradio_api/info.
        handlers: The numbers of the page's own handlers.
    """
    named = []
    for name, facts in endpoints.items():
        # What is left out of a picture's wish makes it a long one.
        given_ = arguments(facts["parameters"], whole=name == "/generate_image")
        ways = ("run", "run", "run", "api", "call")
        for way in ways[:2] if name == "/generate_image" else ways:
            named.append(given_.map(lambda a, way=way, name=name: Asked(f"{way}{name}", as_json({"data": a}))))
        keys = [each["parameter_name"] for each in facts["parameters"]]
        odd = st.dictionaries(st.sampled_from([*keys, "x", "oauth_token"]), anything(), max_size=len(keys))
        named.append(odd.map(lambda d, name=name: Asked(f"call/v2{name}", as_json(d))))
    body = st.fixed_dictionaries(
        {"data": st.lists(anything(), max_size=12), "fn_index": st.sampled_from(handlers)},
        optional={
            "session_hash": st.sampled_from(["a", "b", "c"]),
            "event_data": anything(),
            "trigger_id": st.one_of(st.none(), st.integers(-5, 500)),
            "batched": st.booleans(),
            "simple_format": st.booleans(),
        },
    )
    own = body.map(lambda b: Asked("run/predict", as_json(b)))
    paths = st.sampled_from(
        [
            *("run/predict", "run/x", "api/", "call/", "call/sentiment", "call/v2/sentiment", "queue/join", "cancel"),
            *("reset", "upload", "component_server", "process_recording", "login", "vibe-edit", "stream/x", "mcp/"),
        ]
    )
    kinds = st.sampled_from(
        [
            *("application/json", "text/plain", "", "multipart/form-data", "multipart/form-data; boundary=x"),
            *("application/x-www-form-urlencoded", "application/json; charset=utf-16"),
        ]
    )
    raw = st.one_of(
        st.binary(max_size=200),
        anything().map(as_json),
        st.sampled_from(
            [
                b"[" * 2_000,
                b'{"data":' * 500,
                b'--x\r\nContent-Disposition: form-data; name="files"; filename="../a"\r\n\r\nx\r\n--x--',
            ]
        ),
    )
    broken = st.builds(Asked, paths, raw, kinds)
    looked = st.one_of(
        texts().map(lambda t: f"file={t}"),
        st.sampled_from(
            [
                *("file=/etc/passwd", "file=http://127.0.0.1:1/", "proxy=http://127.0.0.1:1/", "info?all_endpoints=1"),
                *("call/sentiment/x", "queue/data?session_hash=x", "queue/status", "openapi.json", "dev/reload"),
                *("deep_link?session_hash=a", "custom_component/x/client/a/b", "stream/a/b/1/playlist.m3u8", "user"),
            ]
        ),
    ).map(lambda path: Asked(path, b"", method="GET"))
    return st.one_of(*named, own, own, own, own, broken, broken, broken, looked, looked)


class Session:
    """Sends requests and judges the answers."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(timeout=TIMEOUT_S, headers={"accept-language": "en"})
        self._api = f"{url}/gradio_api/"
        self.sent, self.kinds = 0, Counter()

    def public(self) -> dict[str, Any]:
        """The endpoints that the server tells of."""
        return self._client.get(f"{self._api}info").json()["named_endpoints"]

    def handlers(self) -> list[int]:
        """The numbers of the page's own handlers."""
        listed = self._client.get(self._api.replace("gradio_api/", "config")).json()["dependencies"]
        return [each["id"] for each in listed if each["api_visibility"] != "public"]

    def problem(self, asked: Asked) -> str | None:
        """Send a request; return what is wrong with the answer, None when nothing is."""
        self.sent += 1
        path = asked.path.encode("utf-8", "replace").decode()
        headers = {"content-type": asked.content_type} if asked.method == "POST" else {}
        try:
            url = httpx.URL(self._api + re.sub(r"[\x00-\x20#%\x7f]", "_", path))
        except httpx.InvalidURL:
            return None
        try:
            answer = self._client.request(asked.method, url, content=asked.body or None, headers=headers)
        except httpx.RemoteProtocolError:  # a connection that was idle for long closes as the request leaves: once more
            answer = self._client.request(asked.method, url, content=asked.body or None, headers=headers)
        self.kinds[answer.status_code] += 1
        if asked.path.startswith("call/") and answer.status_code == 200 and b"event_id" in answer.content:
            self.sent += 1
            event = answer.json()["event_id"]
            name = asked.path.removeprefix("call/").removeprefix("v2/")
            return self._of_event(self._client.get(f"{self._api}call/{name}/{event}").text)
        return self._of_answer(answer)

    def _of_answer(self, answer: httpx.Response) -> str | None:
        text = answer.text
        if answer.status_code not in STATUSES:
            return f"status {answer.status_code}: {text[:200]}"
        if answer.status_code != 200:
            return self._of_sentence(text)
        found = UNFORESEEN.search(text) if "data" in text[:20] else None
        return f"unforeseen: {text[:300]}" if found else None

    def _of_event(self, text: str) -> str | None:
        kind, _, data = text.strip().rpartition("\n")
        if "event: complete" in kind.rsplit("\n\n", 1)[-1]:
            return None
        told = data.removeprefix("data: ")
        return self._of_sentence(told) if "event: error" in kind else f"no answer: {text[:200]}"

    def _of_sentence(self, text: str) -> str | None:
        """Tell why a refusal is not one sentence."""
        if TRACES.search(text) or UNFORESEEN.search(text):
            return f"unforeseen: {text[:300]}"
        try:
            told = json.loads(text)
        except ValueError:
            told = text
        if isinstance(told, dict):
            told = told.get("error", told.get("detail"))
        if not isinstance(told, str) or not told.strip():
            return f"no sentence: {text[:200]}"
        return f"a long sentence: {told[:200]}" if len(told) > LONGEST_SENTENCE else None


def fuzz(url: str, most: int, start: int, minutes: float) -> tuple[int, Counter, list[str]]:
    """Send at least `most` requests, or for so long; return how many were sent, their statuses, and what was wrong."""
    session, problems = Session(url), []
    end = time.monotonic() + 60 * minutes
    strategy = requests(session.public(), session.handlers())

    @seed(start)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(asked: Asked) -> None:
        if time.monotonic() > end:
            return
        try:
            problem = session.problem(asked)
        except httpx.HTTPError as error:
            problem = f"no answer: {error!r}"
        if problem:
            problems.append(f"{asked.method} {asked.path[:80]} {asked.body[:300]!r} -> {problem}")

    warnings.filterwarnings("ignore", category=HypothesisWarning)  # of the long texts among the values
    one()
    return session.sent, session.kinds, problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--url", help="of a server that runs, without bounds on calls a second")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=600.0, help="stop then, however many were sent")
    options = parser.parse_args()
    if options.url:
        found = _all(options.url, options)
        traces = 0
    else:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "app.log"
            unbound = {"CLASSROOM_CALLS_PER_S": "0", "CLASSROOM_ADDRESS_CALLS_PER_S": "0"}
            with serve(OURS, log=log, **unbound) as app:
                found = _all(app.url, options)
            traces = log.read_text("utf-8", "replace").count("Traceback (most recent")
    sent, kinds, problems = found
    print(f"{sent} requests, answers by status {dict(sorted(kinds.items()))}, {traces} traces in the server's log")
    print(*problems[:40], f"{len(problems)} problems", sep="\n")
    sys.exit(bool(problems or traces))


def _all(url: str, options: argparse.Namespace) -> tuple[int, Counter, list[str]]:
    share = -(-options.requests // options.jobs)
    with ProcessPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(fuzz, url, share, options.seed + number, options.minutes) for number in range(options.jobs)]
        done = [run.result() for run in runs]
    return sum(d[0] for d in done), sum((d[1] for d in done), Counter()), [p for d in done for p in d[2]]


if __name__ == "__main__":
    main()
