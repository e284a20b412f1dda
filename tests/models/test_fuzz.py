"""Wrong, hostile and strange requests to all that the server answers (benchmarks/fuzz.py sends many more)."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from benchmarks import fuzz

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def session(address):
    return fuzz.Session(address)


@pytest.fixture(scope="module")
def requests(session):
    return fuzz.requests(session.public(), session.handlers())


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_every_request_gets_a_result_or_one_sentence(session, requests):
    @settings(
        max_examples=250,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(requests)
    def one(asked):
        assert session.problem(asked) is None, asked

    one()
    assert session.sent >= 250 and session.kinds[200] and session.kinds[400]


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(text=fuzz.texts(), number=fuzz.numbers(), any_=fuzz.anything())
def test_what_is_sent_can_be_sent(text, number, any_):
    assert all(fuzz.as_json(value) for value in (text, number, any_))


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ('{"error": "Traceback (most recent call last)"}', "unforeseen"),
        ('{"error": null}', "no sentence"),
        ('{"detail": [{"msg": "x"}]}', "no sentence"),
        ('{"error": "%s"}' % ("x" * 5_000), "a long sentence"),
        ('{"error": "Something went wrong on our side. Your input is still here: please try again."}', "unforeseen"),
    ],
)
def test_the_judge_sees_what_is_wrong(session, answer, what):
    assert session._of_sentence(answer).startswith(what)
    assert session._of_sentence('{"error": "Please write some text first."}') is None
