"""Downloads: a process of their own that survives cuts, damage and kills, and tells in plain words what went wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.hub import downloading
from tests.hub.downloading import PATIENCE_S, arrived, bodies, fault, fetch, nothing_runs
from tests.hub.local_hub import closed_port
from tests.hub.raw_models import RAW, WEIGHTS

pytestmark = pytest.mark.hub
LONGEST_S = 5.0


@pytest.fixture(scope="module")
def start_s(running, tmp_path_factory):
    """Seconds that a download without a fault takes on this machine just now: mostly a Python that starts."""
    from huggingface_hub import constants

    from tests.hub import raw_models

    raw_models.classifier(running.root / RAW)
    kept, constants.HF_HUB_CACHE = constants.HF_HUB_CACHE, str(tmp_path_factory.mktemp("first"))
    start = time.monotonic()
    fetch()
    constants.HF_HUB_CACHE = kept
    return time.monotonic() - start


def test_the_files_arrive_whole_and_are_found_by_every_library(bare_hub):
    from pipelines import hub

    fetch()
    assert arrived(bare_hub) and hub.state(RAW) == "cached"
    assert nothing_runs()


@pytest.mark.parametrize(
    ("kind", "file", "options", "keys"),
    [
        ("missing", None, {}, {"unknown_model"}),
        ("gated", WEIGHTS, {}, {"gated"}),
        ("disabled", None, {}, {"hub_forbidden"}),
        ("forbidden", None, {}, {"hub_forbidden"}),
        ("forbidden", WEIGHTS, {}, {"hub_forbidden"}),
        ("missing", WEIGHTS, {}, {"not_a_model"}),
        ("rate_limited", None, {"retry_after": 60}, {"hub_too_many"}),
        ("rate_limited", WEIGHTS, {"retry_after": 60}, {"hub_too_many"}),
        ("rate_limited", WEIGHTS, {"retry_after": 1}, {"hub_too_many"}),
        ("unavailable", None, {}, {"hub_down"}),
        ("unavailable", WEIGHTS, {}, {"hub_down"}),
        ("broken", WEIGHTS, {}, {"hub_down"}),
        ("web_page", None, {}, {"hub_elsewhere"}),
        ("web_page", WEIGHTS, {}, {"hub_elsewhere", "listing_differs"}),
        ("no_etag", WEIGHTS, {}, {"hub_elsewhere"}),
        ("false_sizes", None, {}, {"listing_differs"}),
        ("bad_request", None, {}, {"hub_odd"}),
        ("payment", None, {}, {"hub_odd"}),
        ("proxy_login", WEIGHTS, {}, {"hub_odd", "hub_proxy"}),
        ("request_timeout", None, {}, {"hub_odd", "hub_slow"}),
        ("gone", WEIGHTS, {}, {"hub_odd", "not_a_model"}),
        ("court_order", None, {}, {"hub_odd", "hub_forbidden"}),
        ("court_order", WEIGHTS, {}, {"hub_odd", "hub_forbidden"}),
        ("bad_gateway", None, {}, {"hub_down"}),
        ("gateway_timeout", WEIGHTS, {}, {"hub_down"}),
        ("rate_limited_until", None, {"retry_after": 90}, {"hub_too_many"}),
        ("redirects_away", WEIGHTS, {}, {"hub_refused", "hub_elsewhere"}),
        ("reset", None, {}, {"download_incomplete"}),
        ("reset", WEIGHTS, {}, {"download_incomplete"}),
        ("hangs_up", None, {}, {"download_incomplete"}),
        ("garbage", None, {}, {"download_incomplete", "hub_elsewhere"}),
        ("garbage", WEIGHTS, {}, {"download_incomplete", "hub_elsewhere"}),
        ("huge_header", None, {}, {"download_incomplete", "hub_elsewhere"}),
        ("drips_headers", None, {}, {"hub_slow"}),
        ("empty", None, {}, {"hub_elsewhere"}),
        ("empty", WEIGHTS, {}, {"hub_elsewhere", "listing_differs"}),
        ("half_json", None, {}, {"hub_elsewhere"}),
        ("deep_json", None, {}, {"hub_elsewhere"}),
        ("endless", None, {}, {"too_many_files"}),
        ("endless", WEIGHTS, {}, {"hub_elsewhere"}),
        ("odd_etag", WEIGHTS, {}, {"hub_elsewhere"}),
        ("no_commit", WEIGHTS, {}, {"hub_elsewhere"}),
        ("reset_midway", WEIGHTS, {"after": 50}, {"download_incomplete"}),
        ("zeros", WEIGHTS, {}, {"download_corrupt"}),
        ("redirects", WEIGHTS, {}, {"hub_elsewhere"}),
        ("stalled", None, {}, {"hub_slow"}),
        ("stalled", WEIGHTS, {"after": 0}, {"hub_slow"}),
        ("stalled", WEIGHTS, {"after": 100_000}, {"download_stalled"}),
        ("cut_off", WEIGHTS, {"after": 50}, {"download_incomplete"}),
        ("cut_off", "config.json", {"after": 50}, {"download_incomplete"}),
        ("too_short", WEIGHTS, {}, {"download_incomplete"}),
        ("too_long", WEIGHTS, {}, {"download_corrupt"}),
        ("corrupt", WEIGHTS, {}, {"download_corrupt"}),
        ("corrupt", "config.json", {}, {"download_corrupt"}),
    ],
)
def test_a_fault_is_told_soon_and_leaves_nothing_behind(bare_hub, start_s, kind, file, options, keys):
    from pipelines import hub

    bare_hub.fail(RAW, kind, file, **options)
    start = time.monotonic()
    assert fault() in keys
    assert time.monotonic() - start < LONGEST_S + 2 * start_s
    assert nothing_runs()
    assert hub.state(RAW) == "remote"
    bare_hub.mend()
    fetch()
    assert arrived(bare_hub)


@pytest.mark.parametrize(
    ("kind", "file", "options"),
    [
        ("no_sizes", None, {}),
        ("weak_etag", WEIGHTS, {}),
        ("zipped", WEIGHTS, {}),
        ("reset", None, {"times": 1}),
        ("no_length", WEIGHTS, {}),
        ("no_ranges", WEIGHTS, {}),
        ("rate_limited_until", None, {"retry_after": 1, "times": 1}),
        ("bad_gateway", WEIGHTS, {"times": 1}),
        ("request_timeout", None, {"times": 1}),
        ("reset_midway", WEIGHTS, {"after": 1_200_000, "times": 1}),
        ("reset", "config.json", {"times": 1}),
        ("zeros", WEIGHTS, {"times": 1}),
    ],
)
def test_what_is_odd_or_passes_is_survived(bare_hub, monkeypatch, kind, file, options):
    monkeypatch.setattr(downloading, "PATIENCE_S", 60.0)  # for a machine that is busy
    bare_hub.fail(RAW, kind, file, **options)
    fetch()
    assert arrived(bare_hub) and nothing_runs()


def test_a_server_that_knows_no_ranges_any_more_gives_the_whole_file(bare_hub):
    bare_hub.fail(RAW, "cut_off", WEIGHTS, after=1_200_000, times=1)
    bare_hub.fail(RAW, "never_a_range", WEIGHTS)
    try:
        fetch()
    except Exception as error:
        assert error.key in ("hub_odd", "download_incomplete", "download_corrupt")
        bare_hub.mend()
        fetch()
    assert arrived(bare_hub)


def test_every_kind_of_fault_is_tried():
    from tests.hub.faults import FAILURES

    here = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert len(FAILURES) >= 40 and not [kind for kind in FAILURES if f'"{kind}"' not in here]


def test_a_token_that_is_none_any_more(bare_hub):
    from pipelines import hub_errors, hub_requests, repository

    bare_hub.fail(RAW, "bad_token")
    with pytest.raises(Exception) as caught:  # noqa: B017
        repository.look_up(RAW, hub_requests.access(None, PATIENCE_S))
    assert hub_errors.explain(caught.value, RAW).key == "hub_token"


def test_nothing_listens(bare_hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", closed_port())
    assert fault() == "hub_refused"


def test_a_name_that_nobody_knows(bare_hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://no-such-host.invalid")
    assert fault() in ("hub_no_name", "no_network")


def test_a_short_wait_is_waited(bare_hub):
    bare_hub.fail(RAW, "rate_limited", retry_after=1, times=1)
    bare_hub.fail(RAW, "rate_limited", WEIGHTS, retry_after=1, times=1)
    fetch()
    assert arrived(bare_hub)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_is_taken_up_again(bare_hub, ranges):
    bare_hub.fail(RAW, "cut_off", WEIGHTS, after=1_200_000, times=1)
    if not ranges:
        bare_hub.fail(RAW, "no_ranges", WEIGHTS)
    fetch()
    assert arrived(bare_hub)
    first, second = bodies(bare_hub)
    assert first.range is None and second.range == "bytes=1200000-"


def test_a_part_that_was_not_asked_for_is_not_taken(bare_hub):
    bare_hub.fail(RAW, "cut_off", WEIGHTS, after=1_200_000, times=1)
    bare_hub.fail(RAW, "wrong_range", WEIGHTS, times=1)
    fetch()
    assert arrived(bare_hub)


def test_a_silent_connection_is_tried_again_once(bare_hub):
    bare_hub.fail(RAW, "stalled", WEIGHTS, after=300_000, times=1)
    fetch()
    assert arrived(bare_hub) and bodies(bare_hub)[1].range == "bytes=300000-"


def test_a_damaged_file_is_fetched_again_once(bare_hub):
    bare_hub.fail(RAW, "corrupt", WEIGHTS, times=1)
    fetch()
    assert arrived(bare_hub) and len(bodies(bare_hub)) == 2


def test_a_file_that_stays_damaged_is_deleted(bare_hub, tmp_path):
    bare_hub.fail(RAW, "corrupt", WEIGHTS)
    assert fault() == "download_corrupt"
    assert len(bodies(bare_hub)) == 2
    size = (bare_hub.root / RAW / WEIGHTS).stat().st_size
    assert all(path.stat().st_size < size for path in tmp_path.rglob("blobs/*"))


def delivery(hub, cache: Path):
    from pipelines import fetching
    from pipelines import hub as files

    order = {"model": RAW, "cache": str(cache), "endpoint": hub.url, "token": None, "timeout_s": PATIENCE_S}
    return fetching.Delivery(order | {"files": files.listing(RAW)})


@pytest.mark.parametrize("full_after", [0, 2])
def test_a_full_disk_is_told_before_and_during(bare_hub, tmp_path, monkeypatch, full_after):
    from types import SimpleNamespace

    from pipelines import fetching
    from pipelines.errors import VisitorError

    free = iter([10**12] * full_after + [1_000_000] * 99)
    monkeypatch.setattr(fetching, "LOOK_AT_DISK_EVERY", 100_000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: SimpleNamespace(free=next(free)))
    with pytest.raises(VisitorError, match="disk_full") as caught:
        delivery(bare_hub, tmp_path / "hub").bring()
    assert (
        caught.value.params["needed_mb"] == ("3" if full_after == 0 else "2") and caught.value.params["free_mb"] == "0"
    )
    assert bool(bodies(bare_hub)) == bool(full_after)


def test_a_write_that_fails_for_want_of_space_is_a_full_disk():
    from pipelines import hub_errors

    assert hub_errors.explain(OSError(28, "No space left on device"), RAW).key == "disk_full"
    assert hub_errors.explain(OSError(30, "Read-only file system"), RAW).key == "cache_read_only"


def test_a_broken_file_in_the_cache_is_fetched_again(bare_hub):
    from pipelines import hub

    fetch()
    blob = (hub._snapshot(RAW) / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:1_000_000])
    assert not arrived(bare_hub)
    assert hub.locate(RAW, "text-classification").source == "cache"
    assert arrived(bare_hub)
