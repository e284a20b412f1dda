"""The local provider, watched: where tokens went, and that none is in a log, an error or an answer."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pipelines.errors import VisitorError
from tests.hub.environment import TOKEN as OWNERS
from tests.hub.local_provider import LocalProvider

TOKEN = "hf_visitors0wnSecret"
LOGGERS = ("", "huggingface_hub", "httpx2", "httpcore2")


@contextmanager
def watched(monkeypatch: Any, caplog: Any, *tokens: str) -> Iterator[LocalProvider]:
    """Serve the router and the Hub; afterwards it is checked where the tokens went, and that none is in a log."""
    from huggingface_hub import constants
    from huggingface_hub.inference._providers._common import HARDCODED_MODEL_INFERENCE_MAPPING as known

    allowed = tokens or (TOKEN,)
    for name in list(known):
        monkeypatch.setitem(known, name, {})
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(caplog.handler)
    with LocalProvider() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", server.url + "/router/{provider}")
        monkeypatch.setattr(constants, "HF_DEBUG", True)  # requests are logged as curl commands
        yield server
        for request in server.requests:
            sent = request.headers.get("authorization")
            expected = [f"Bearer {token}" for token in allowed] if request.method == "POST" else [None]
            assert sent in expected, request.path
            rest = {name: value for name, value in request.headers.items() if name != "authorization"}
            assert not any(token in f"{request.path} {request.body} {rest}" for token in allowed)
            assert OWNERS not in f"{request}"
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(caplog.handler)
        logger.setLevel(level)
    logged = "\n".join(map(caplog.handler.format, caplog.get_records("call")))
    assert server.url in logged or not server.requests, "nothing was logged that could be looked at"
    assert not any(token in logged for token in (*allowed, OWNERS))


def fault_of(run: Callable[[], Any]) -> VisitorError:
    """Return what is raised; no part of its traceback, causes included, names the token."""
    with pytest.raises(VisitorError) as caught:
        run()
    error = caught.value
    told = f"{error} {error!r} {error.params} {''.join(traceback.format_exception(error))}"
    assert TOKEN not in told and "hf_" not in told.replace("hf_hub", "")
    chain, causes = error, []
    while (chain := chain.__cause__ or chain.__context__) is not None:
        causes.append(type(chain).__name__)
    assert set(causes) <= {"Empty"}, "what huggingface_hub raises holds the request"
    return error


@contextmanager
def as_a_visitor(monkeypatch: Any, server: LocalProvider) -> Iterator[None]:
    """Let shown code run against the local provider as it stands: with the plain InferenceClient and its look-ups."""
    from huggingface_hub.inference._providers import PROVIDERS, _common, hf_inference

    remembered = (hf_inference._check_supported_task, _common._fetch_inference_provider_mapping)
    with monkeypatch.context() as patch:
        patch.setenv("HF_TOKEN", TOKEN)
        patch.setattr("huggingface_hub.utils._headers.get_token", lambda: None)  # look-ups go without one
        for helper in PROVIDERS["hf-inference"].values():
            patch.setattr(helper, "base_url", server.url + "/router/hf-inference")
        for name in list(_common.HARDCODED_MODEL_INFERENCE_MAPPING):
            patch.setitem(_common.HARDCODED_MODEL_INFERENCE_MAPPING, name, {})
        for each in remembered:
            each.cache_clear()
        yield
        for each in remembered:
            each.cache_clear()
