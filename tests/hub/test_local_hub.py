"""The local Hub itself: huggingface_hub gets from it what it gets from the real one."""

from __future__ import annotations

import http.client
import json
import time

import pytest

from tests.hub.bad_models import MARKER
from tests.hub.environment import TOKEN

pytestmark = pytest.mark.hub
SST2 = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"


def ask(hub, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=5)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    status, headers, body = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return status, headers, body


def test_model_info_names_files_sizes_and_parameters(hub):
    from huggingface_hub import HfApi

    info = HfApi().model_info(SST2, files_metadata=True)
    sizes = {sibling.rfilename: sibling.size for sibling in info.siblings}
    assert sizes["model.safetensors"] == (hub.root / SST2 / "model.safetensors").stat().st_size
    assert info.card_data.license == "apache-2.0" and info.gated is False and len(info.sha) == 40
    assert info.safetensors.total > 10_000 and set(info.safetensors.parameters) == {"F32"}


def test_downloads_have_the_bytes_and_the_commit(hub, empty):
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    config = hf_hub_download(SST2, "config.json")
    folder = snapshot_download(SST2, allow_patterns=["*.json", "*.txt"])
    assert config.startswith(folder) and HfApi().model_info(SST2).sha in config
    assert json.loads(open(config, encoding="utf-8").read())["model_type"] == "distilbert"
    assert not (empty / folder / "model.safetensors").exists()


def test_ranges_and_etags(hub):
    path = f"/{SST2}/resolve/main/vocab.txt"
    status, headers, whole = ask(hub, path)
    assert status == 200 and headers["ETag"] and len(headers["X-Repo-Commit"]) == 40
    status, headers, part = ask(hub, path, Range="bytes=10-19")
    assert (status, part) == (206, whole[10:20]) and headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    status, headers, body = ask(hub, path, method="HEAD")
    assert (status, body) == (200, b"") and headers["Content-Length"] == str(len(whole))


def test_unknown_repositories_revisions_and_files(hub):
    from huggingface_hub import HfApi, errors, hf_hub_download

    with pytest.raises(errors.RepositoryNotFoundError):
        HfApi().model_info("nobody/nothing")
    with pytest.raises(errors.RevisionNotFoundError):
        HfApi().model_info(SST2, revision="dev")
    with pytest.raises(errors.EntryNotFoundError):
        hf_hub_download(SST2, "absent.json")
    assert ask(hub, f"/{SST2}/resolve/main/../../{MARKER}")[0] == 404
    assert ask(hub, "/api/datasets/someone/data")[0] == 404


def test_gated_files_are_refused_though_their_names_are_shown(hub, empty):
    from huggingface_hub import HfApi, errors, hf_hub_download

    hub.fail(SST2, "gated")
    assert HfApi().model_info(SST2).gated == "manual"
    with pytest.raises(errors.GatedRepoError):
        hf_hub_download(SST2, "config.json")


@pytest.mark.parametrize(("kind", "status"), [("rate_limited", 429), ("unavailable", 503), ("missing", 401)])
def test_failures_by_status(hub, kind, status):
    hub.fail(SST2, kind, retry_after=7)
    answer, headers, _ = ask(hub, f"/api/models/{SST2}")
    assert answer == status and headers.get("Retry-After") == ("7" if status == 429 else None)
    hub.mend()
    assert ask(hub, f"/api/models/{SST2}")[0] == 200


def test_a_body_that_is_cut_off_or_stalls(hub):
    hub.fail(SST2, "cut_off", "vocab.txt", after=100)
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(hub, f"/{SST2}/resolve/main/vocab.txt")
    assert len(cut.value.partial) == 100
    hub.mend()
    hub.fail(SST2, "stalled", "vocab.txt", after=10)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=0.3)
        connection.request("GET", f"/{SST2}/resolve/main/vocab.txt")
        connection.getresponse().read()
    assert time.monotonic() - start < 3


def test_requests_are_recorded_with_their_token(hub):
    ask(hub, f"/api/models/{SST2}", Authorization=f"Bearer {TOKEN}")
    (request,) = hub.requests
    assert request.path == f"/api/models/{SST2}" and TOKEN in request.authorization and request.status == 200
