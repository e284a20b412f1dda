"""One tokenizer shared by threads gives silently wrong answers: ours give the same as alone."""

import pytest

from benchmarks import threads
from pipelines import loading

pytestmark = pytest.mark.models


def test_sixteen_threads_get_what_one_gets():
    wrong, kinds = threads.differing(16, 60)
    assert not wrong and kinds > 100


def test_without_the_lock_it_would_be_seen(monkeypatch):
    """The check itself is checked: what the lock prevents does happen to one tokenizer that threads share."""
    import contextlib

    monkeypatch.setattr(loading, "tokenizer_lock", lambda name: contextlib.nullcontext())
    assert any(threads.differing(16, 60)[0] for _ in range(5))
