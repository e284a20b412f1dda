"""The switch of the text tab: who is asked with what, what is offered, and a token that is kept nowhere."""

from types import SimpleNamespace

import pytest

from pipelines import remote
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import _elsewhere, _ui, _writing, text_tasks
from tabs import _writing_views as views
from tabs._forms import FORMS

TOKEN = "hf_visitor"
REQUEST = SimpleNamespace(session_hash="s", cookies={"classroom_lang": "en"}, headers={})
CODE = 'client = InferenceClient(api_key=os.environ["HF_TOKEN"])\n'
ROW = {"text": "Hi", "label": "A", "polarity": None, "score": 0.9, "scores": {"A": 0.9}, "model": "a/b"}


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.setattr(_elsewhere.hub, "offline", lambda: False)


class Provider:
    """Stands for answer_remotely."""

    def __init__(self, *events):
        self.events, self.asked = events, []

    def __call__(self, task, arguments, token, model, provider, stop=None):
        self.asked.append((task, arguments, token, model, provider))
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            yield event


def answered(result=None, **more):
    return Run([ROW] if result is None else result, "a/b", device="remote · together", code=CODE, **more)


def pressed(provider, where="elsewhere", here=None):
    def on_this_machine(request, *values):
        yield ["here", *[None] * 3]

    there = lambda lang, at, *values: text_tasks._run_elsewhere("sentiment", provider, lang, at, *values)  # noqa: E731
    run = _elsewhere.either(here or on_this_machine, there)
    return list(run(REQUEST, "Hi", "a/b", {}, where, TOKEN, "together"))


def test_the_provider_is_asked_with_the_visitors_token_only_when_it_is_chosen():
    provider = Provider(None, remote.Pause(3), answered())
    lines = pressed(provider)
    assert provider.asked == [("sentiment", {"texts": ["Hi"]}, TOKEN, "a/b", "together")]
    assert "Working" in lines[0][0] and "3 s" in lines[1][0]
    error, panel, last, stages = lines[-1]
    assert (error, stages) == ("", "") and "Inference Providers · together" in panel and "InferenceClient" in panel
    assert last == {"sentiment": ("sentiment", {"texts": ["Hi"]}, "a/b", "together")}
    assert TOKEN not in str(lines)
    for where in ("here", None, ["elsewhere"]):
        assert pressed(provider, where)[0][0] == "here"
    assert len(provider.asked) == 1


def test_what_goes_wrong_is_one_sentence_and_what_stood_there_stays():
    (line,) = pressed(Provider(VisitorError("remote_no_credit", model="a/b")))
    assert "no credit" in line[0] and all(each["__type__"] == "update" for each in line[1:])


def test_the_token_is_in_nothing_that_is_written_down():
    assert TOKEN not in repr(_elsewhere.At(TOKEN, "auto"))
    form = [{field.name: field.default for field in FORMS["generate"]}[field.name] for field in FORMS["generate"]]
    read = lambda values: ({"prompt": "Once", "method": "sample"}, "a/b")  # noqa: E731
    job = _writing._from_form(read, False, Provider(), None, *form, None, {}, (), "elsewhere", TOKEN, "auto")
    assert job.elsewhere is not None and TOKEN not in repr(job)


def test_there_are_no_stages_of_what_ran_elsewhere():
    def explain(*_):
        raise AssertionError("opened")

    last = {"sentiment": ("sentiment", {"texts": ["Hi"]}, "a/<b>", "together")}
    told = text_tasks._stages(explain, "en", "sentiment", last)
    assert "together" in told and "a/&lt;b&gt;" in told


@pytest.mark.parametrize(("key", "offered"), [("too_big", True), ("gated", True), ("empty_text", False)])
def test_the_switch_is_offered_where_it_helps(monkeypatch, key, offered):
    error = VisitorError(key, needs_mb=9, has_mb=1, model="a/b")
    assert ("mc-offer" in _elsewhere.error_html(error, "ko")) == offered
    assert _ui.error_html(error, "ko") in _elsewhere.error_html(error, "ko")
    assert bool(_elsewhere.offer(error, "en")) == offered and _elsewhere.offer(None, "en") == ""
    monkeypatch.setattr(_elsewhere.hub, "offline", lambda: True)
    assert _elsewhere.offer(error, "en") == ""


def test_a_failed_run_of_this_machine_offers_it(monkeypatch):
    def fails(**_):
        raise VisitorError("too_big", needs_mb=9, has_mb=1)

    run = _ui.watched(lambda lang, *values: fails(), 3, _elsewhere.error_html)
    assert "Inference Providers" in list(run(REQUEST))[-1][0]


ENTRY = {"token": "Hi", "id": None, "probability": 0.5}
OTHERS = [{"token": "Hi", "id": None, "probability": 0.5}, {"token": "Ho", "id": None, "probability": 0.25}]


def written(alternatives, chat=True):
    result = {"text": "Once\n\nHi", "tokens": [{**ENTRY, "alternatives": alternatives}]}
    run = answered(result, method="method.remote_chat" if chat else None)
    version = views.Version(1, {"prompt": "Once", "temperature": 1.0, "max_new_tokens": 9}, run)
    return views.generate(result, version.arguments, "en", version), version


def test_tokens_that_a_provider_tells_can_be_looked_at_and_not_changed():
    html, version = written(OTHERS)
    assert 'data-fixed="1"' in html and "data-drawn" not in html and "mc-next" in html
    assert "[[&quot;Hi&quot;,-1,0.5,[[&quot;Hi&quot;,-1,0.5],[&quot;Ho&quot;,-2,0.25]]]]" in html
    assert "Once\n\n</span>" in html and "Once</span>" in written(OTHERS, chat=False)[0]
    event = SimpleNamespace(version=1, place=0, token=-2)
    with pytest.raises(VisitorError, match="remote_no_what_if"):
        _writing._what_if(event, {}, (version,))


def test_without_chances_there_is_nothing_to_look_at():
    html, _ = written([])
    assert "data-drawn" in html and "mc-next" not in html and "does not tell" in html


def test_a_text_is_written_elsewhere_with_what_is_sent():
    result = {"text": "Once\n\nHi", "tokens": [{**ENTRY, "alternatives": OTHERS}]}
    provider = Provider(None, remote.Pause(2), answered(result))
    form = {field.name: field.default for field in FORMS["generate"]} | {"prompt": "Once", "seed": "5"}

    def here(**_):
        raise AssertionError("written here")

    prepare = lambda event: _writing._from_form(  # noqa: E731
        lambda values: (form, "a/b"), False, provider, event, None, {}, (), "elsewhere", TOKEN, "auto"
    )
    lines = list(_writing._running(here, prepare)(REQUEST, SimpleNamespace()))
    ((task, arguments, token, model, name),) = provider.asked
    assert (task, token, model, name) == ("generate", TOKEN, "a/b", "auto")
    assert arguments == {"prompt": "Once", "max_new_tokens": 40, "temperature": 0.8, "top_p": 0.95, "seed": 5}
    error, panel, last, _, versions = lines[-1]
    assert error == "" and "top_k" not in panel and last["generate"][3] == "together" and len(versions) == 1
    assert TOKEN not in str(lines)
