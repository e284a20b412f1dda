"""Painting elsewhere: the right requests, one plain sentence for each fault, and a token that goes nowhere else."""

from __future__ import annotations

import threading
import time

import pytest

from pipelines import remote
from pipelines.errors import VisitorError
from pipelines.image_generation import Painted, Wish
from pipelines.lane import Waiting
from pipelines.remote_pictures import paint_remotely
from tests.hub.local_hub import closed_port, wait_for
from tests.hub.local_provider import Answer, LocalProvider, claiming, offer, picture_file
from tests.hub.token_watch import TOKEN, as_a_visitor, fault_of, watched

pytestmark = pytest.mark.hub

MODEL = "owner/painter"


def wish(**changes) -> Wish:
    made = {"prompt": "a red apple", "model": MODEL, "steps": 4, "guidance": 0.0, "seed": 7, "width": 96, "height": 64}
    return Wish(**made | {"count": 1, "negative_prompt": ""} | changes)


@pytest.fixture
def provider(monkeypatch, caplog):
    with watched(monkeypatch, caplog) as server:
        server.offers[MODEL] = offer("hf-inference")
        yield server


def painted(asked: Wish | None = None, token: str | None = TOKEN, **options) -> Painted:
    *_, last = paint_remotely(asked or wish(), token, **options)
    assert isinstance(last, Painted)
    return last


def fault(asked: Wish | None = None, token: str | None = TOKEN, **options) -> VisitorError:
    return fault_of(lambda: list(paint_remotely(asked or wish(), token, **options)))


def test_a_picture_is_painted(provider):
    made = painted(wish(negative_prompt="blurry"))
    (picture,) = made.pictures
    assert (picture.mode, picture.size, picture.getpixel((0, 0))) == ("RGB", (96, 64), (255, 0, 0))
    assert made.film == [] and made.run.device == "remote · hf-inference" and made.run.model == MODEL
    assert made.run.result["seed"] == 7 and made.run.result["prompt"] == "a red apple"
    assert TOKEN not in repr(made) and made.run.provider == "hf-inference"
    (question,), (order,) = provider.asked("GET"), provider.asked("POST")
    assert question.path == f"/api/models/{MODEL}?expand=inferenceProviderMapping"
    assert order.path == f"/router/hf-inference/models/{MODEL}"
    assert order.body == {
        "inputs": "a red apple",
        "parameters": {
            "negative_prompt": "blurry",
            "height": 64,
            "width": 96,
            "num_inference_steps": 4,
            "guidance_scale": 0.0,
            "seed": 7,
        },
    }


@pytest.mark.parametrize("name", ["hf-inference", "together"])
def test_the_code_paints_the_same_without_a_token_in_it(provider, monkeypatch, tmp_path, name):
    provider.offers[MODEL] = offer(name)
    code = painted(wish(count=2, negative_prompt="blurry")).run.code
    assert 'os.environ["HF_TOKEN"]' in code and "hf_" not in code and "DiffusionPipeline" not in code
    orders = [order.body for order in provider.asked("POST")]
    provider.requests.clear()
    monkeypatch.chdir(tmp_path)
    with as_a_visitor(monkeypatch, provider):
        space: dict[str, list] = {}
        exec(code, space)
    assert [order.body for order in provider.asked("POST")] == orders
    assert [picture.size for picture in space["result"]] == [(96, 64)] * 2
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_several_pictures_have_seeds_of_their_own_and_an_empty_negative_prompt_is_left_out(provider):
    assert len(painted(wish(count=3)).pictures) == 3
    assert [order.body["parameters"]["seed"] for order in provider.asked("POST")] == [7, 8, 9]
    assert "negative_prompt" not in provider.asked("POST")[0].body["parameters"]
    assert len(provider.asked("GET")) == 1


@pytest.mark.parametrize(
    ("name", "path"), [("together", "/router/together/v1/images/generations"), ("fal-ai", "/router/fal-ai/at-fal-ai/")]
)
def test_other_providers_paint_as_well(provider, name, path):
    provider.offers[MODEL] = offer("hf-inference", name)
    assert painted(provider=name).pictures[0].getpixel((0, 0)) == (255, 0, 0)
    assert provider.asked("POST")[0].path.startswith(path)
    # fal.ai's picture is fetched by its address, without the token: the fixture looks at every request.
    assert len(provider.asked("GET")) == (2 if name == "fal-ai" else 1)


def test_the_first_provider_that_paints_and_works_is_taken(provider):
    provider.offers[MODEL] = (
        offer("novita", "unheard-of") | offer("fal-ai", status="error") | offer("nscale", task="x") | offer("together")
    )
    painted(provider="auto")
    assert "/together/" in provider.asked("POST")[0].path


def test_the_list_of_providers_is_the_librarys():
    from huggingface_hub.inference._providers import PROVIDERS

    from pipelines import remote_pictures

    painting = [name for name, able in PROVIDERS.items() if remote_pictures.TASK in able]
    assert sorted(remote_pictures.PROVIDERS) == sorted(painting)


def test_who_offers_a_model_is_asked_anew(provider):
    provider.offers[MODEL] = {}
    assert fault().key == "remote_not_served"
    provider.offers[MODEL] = offer("together")
    painted()


@pytest.mark.parametrize("token", [None, "", "  ", 7])
def test_a_token_is_needed_and_the_owners_is_not_lent(provider, token):
    assert fault(token=token).key == "needs_token"
    assert provider.requests == []


@pytest.mark.parametrize("token", ["sk-other", "hf_a\r\nX-Evil: 1", "hf_two words", "hf_ü", "hf_", "hf_" + "a" * 9000])
def test_what_is_no_hugging_face_token_is_sent_nowhere(provider, token):
    assert str(fault(token=token)) == "remote_token_refused()"
    assert provider.requests == []


def test_white_space_around_a_token_does_not_matter(provider):
    painted(token=f" {TOKEN}\n")


def test_what_cannot_be_painted_elsewhere_is_refused_at_once(provider, monkeypatch):
    from huggingface_hub import constants

    assert str(fault(wish(model="pocket/flux-emoji"))) == "not_remote(model=pocket/flux-emoji)"
    assert fault(wish(model="../../etc")).key == "bad_model_id"
    assert fault(provider="cohere").key == "bad_choice"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fault().key == "remote_offline"
    assert provider.requests == []


def test_a_model_that_nobody_offers(provider):
    assert fault(wish(model="owner/missing")).key == "remote_not_served"
    assert fault(provider="together").key == "remote_not_served"
    provider.offers[MODEL] = offer("hf-inference", task="text-classification")
    assert fault().key == "remote_not_served"
    assert provider.asked("POST") == []


@pytest.mark.parametrize(
    ("answer", "key", "params"),
    [
        (Answer(401, b'{"error":"Invalid username or password."}'), "remote_token_refused", {}),
        (Answer(401, f"Invalid token {TOKEN}".encode()), "remote_token_refused", {}),
        (Answer(402, b'{"error":"You have exceeded your monthly included credits"}'), "remote_no_credit", {}),
        (Answer(403, b'{"error":"This token lacks permissions"}'), "remote_not_allowed", {}),
        (Answer(404, b"Not Found"), "remote_gone", {}),
        (Answer(410, b"Gone"), "remote_gone", {}),
        (Answer(429, headers={"Retry-After": "600"}), "remote_too_many", {"seconds": 600}),
        (Answer(503, b"<html>Service Unavailable</html>"), "remote_down", {"status": 503}),
        (Answer(504), "remote_down", {"status": 504}),
        (Answer(400, TOKEN.encode()), "remote_refused", {"status": 400}),
        (Answer(422, TOKEN.encode()), "remote_refused", {"status": 422}),
        (Answer(418, TOKEN.encode()), "remote_failed", {"reason": "HfHubHTTPError"}),
        (Answer(body=picture_file(), cut=20), "remote_no_network", {}),
        (Answer(cut=0, body=picture_file()), "remote_no_network", {}),
        (Answer(body=b"<html>no picture</html>"), "remote_failed", {"reason": "UnidentifiedImageError"}),
        (Answer(body=picture_file()[:60]), "remote_failed", {"reason": "OSError"}),
        (Answer(body=b""), "remote_failed", {"reason": "UnidentifiedImageError"}),
        (Answer(body=picture_file(form="BMP")), "remote_failed", {"reason": "not_an_image"}),
        (Answer(body=claiming(5001, 5001)), "remote_failed", {"reason": "image_too_large"}),
        (
            Answer(body=claiming(20_000, 20_000)),
            "remote_failed",
            {"reason": "DecompressionBombError"},
        ),
    ],
)
def test_each_fault_has_its_sentence(provider, answer, key, params):
    provider.answers.append(answer)
    error = fault()
    assert error.key == key and error.params.items() >= params.items()
    assert error.params["model"] == MODEL
    assert len(provider.asked("POST")) == 1


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        (Answer(429, headers={"Retry-After": "600"}), "remote_too_many"),
        (Answer(503), "remote_down"),
        (Answer(403), "remote_not_served"),
        (Answer(body=b"<html>Log in to this wireless network</html>"), "remote_failed"),
    ],
)
def test_faults_of_the_hub_itself(provider, answer, key):
    provider.lookup = answer
    assert fault().key == key
    assert provider.asked("POST") == []


def test_a_short_wait_is_waited_for_and_told(provider):
    provider.answers.append(Answer(429, headers={"Retry-After": "1"}))
    begun = time.monotonic()
    *events, last = paint_remotely(wish(), TOKEN)
    assert time.monotonic() - begun >= 1 and isinstance(last, Painted)
    assert Waiting(0, 1) in events
    assert len(provider.asked("POST")) == 2


def test_nobody_is_kept_waiting_for_long(provider):
    asked = [Answer(429, headers={"Retry-After": str(wait)}) for wait in (0, 0, 3)]
    provider.answers.extend(asked)
    error = fault()
    assert error.key == "remote_too_many" and error.params["seconds"] == 3
    assert len(provider.asked("POST")) == remote.TRIES == 3


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-5"}])
def test_where_no_time_is_named_the_waits_grow(provider, monkeypatch, headers):
    monkeypatch.setattr(remote, "BACKOFF_S", (0, 1))
    provider.answers.extend([Answer(429, headers=headers)] * 3)
    begun = time.monotonic()
    error = fault()
    assert error.key == "remote_too_many" and error.params["seconds"] == 60
    assert time.monotonic() - begun >= 1 and len(provider.asked("POST")) == 3


def test_a_picture_that_does_not_come_is_given_up(provider, monkeypatch):
    monkeypatch.setattr(remote, "DEADLINE_S", 0.5)
    provider.answers.append(Answer(stalled=True))
    begun = time.monotonic()
    assert fault(wish(count=2)).key == "remote_slow"
    assert time.monotonic() - begun < 2


def test_a_large_picture_is_made_smaller(provider):
    provider.answers.append(Answer(body=picture_file(3000, 1000, "white", "1")))
    (picture,) = painted().pictures
    assert (picture.mode, picture.size) == ("RGB", (2048, 683))


def test_nobody_there(provider, monkeypatch):
    from huggingface_hub import constants

    nobody = closed_port()
    monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", nobody + "/{provider}")
    assert fault().key == "remote_no_network"
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    assert fault().key == "remote_no_network"


def test_a_stop_returns_at_once_and_no_further_picture_is_asked_for(provider):
    provider.answers.append(Answer(stalled=True))
    stop = threading.Event()
    running = paint_remotely(wish(count=3), TOKEN, stop=stop)
    assert next(running) == Waiting(0, None)
    assert wait_for(lambda: provider.asked("POST"))
    begun = time.monotonic()
    stop.set()
    with pytest.raises(VisitorError) as caught:
        list(running)
    assert caught.value.key == "stopped" and time.monotonic() - begun < 1
    _no_more(provider)


def test_closing_ends_it_as_well(provider):
    provider.answers.append(Answer(stalled=True))
    running = paint_remotely(wish(count=3), TOKEN)
    next(running)
    assert wait_for(lambda: provider.asked("POST"))
    begun = time.monotonic()
    running.close()
    assert time.monotonic() - begun < 1
    _no_more(provider)


def test_a_stop_ends_the_wait_before_the_second_try(provider):
    provider.answers.append(Answer(429, headers={"Retry-After": "5"}))
    stop = threading.Event()
    running = paint_remotely(wish(), TOKEN, stop=stop)
    next(running)
    begun = time.monotonic()
    stop.set()
    with pytest.raises(VisitorError, match="stopped"):
        list(running)
    assert time.monotonic() - begun < 1
    _no_more(provider)


def _no_more(provider: LocalProvider) -> None:
    """Let the request that hangs succeed; the worker ends with it, without asking for the next picture."""
    provider.released.set()
    assert wait_for(lambda: not any(thread.name == "remote" for thread in threading.enumerate()))
    assert len(provider.asked("POST")) == 1
