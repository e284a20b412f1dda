"""pocket/stars-ko and pocket/sentences-ko, asked about what they never saw."""

import json
from pathlib import Path

import pytest

from pipelines import catalog, loading, text_tasks
from settings import POCKET

HERE = Path(__file__).parent
VOLCANO = (
    "화산은 땅속 깊은 곳의 마그마가 땅 위로 솟아오르는 곳이다. 마그마가 올라와 압력이 커지면 화산이 폭발하고 "
    "용암과 화산재가 나온다. 화산재가 쌓인 땅은 기름져서 농사가 잘된다. 우리 이모는 커피를 좋아한다."
)

pytestmark = pytest.mark.models


@pytest.fixture(autouse=True, scope="module")
def fresh():
    text_tasks.MEMO.clear()


@pytest.mark.parametrize(("name", "megabytes"), [("stars-ko", 2), ("sentences-ko", 5), ("fill-mask-ko", 7)])
def test_a_folder_is_small_and_in_sixteen_or_eight_bits(name, megabytes):
    from safetensors import safe_open

    assert sum(file.stat().st_size for file in (POCKET / name).iterdir()) <= megabytes * 1e6
    [weights] = (POCKET / name).glob("*.safetensors")
    with safe_open(weights, "pt") as tensors:
        kinds = {str(tensors.get_tensor(key).dtype) for key in tensors.keys()}
        assert kinds <= {"torch.float16", "torch.float8_e4m3fn"}


def test_the_adapter_names_its_body():
    config = json.loads((POCKET / "stars-ko" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == catalog.card("pocket/stars-ko").base == "pocket/sentiment-ko"


@pytest.mark.parametrize(
    ("review", "low", "high"),
    [
        ("내 인생 최고의 영화. 두 번 봐도 눈물이 난다", 5, 5),
        ("배우들 연기도 좋고 재미있어요 추천합니다", 4, 5),
        ("돈 아깝다. 이런 쓰레기를 왜 만드냐", 1, 1),
    ],
)
def test_stars_follow_the_review(review, low, high):
    [answer] = text_tasks.sentiment(review, "pocket/stars-ko").result
    assert low <= int(answer["label"][0]) <= high
    assert answer["polarity"] == ("positive" if low > 3 else "negative")
    assert list(sorted(answer["scores"])) == ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]


def test_stars_are_offered_but_not_the_default():
    assert loading.default_model("sentiment", "최고의 영화") == "pocket/sentiment-ko"
    assert "pocket/stars-ko" in [card.id for card in catalog.offered("sentiment")]


@pytest.mark.parametrize("task", ["similarity", "keywords", "summarize"])
def test_each_language_gets_its_own_encoder(task):
    assert loading.default_model(task, "밖에 비가 많이 온다") == "pocket/sentences-ko"
    assert loading.default_model(task, "It rains") == loading.default_model(task) == catalog.MINILM


def test_similar_korean_sentences_are_closer_than_others():
    run = text_tasks.similarity(
        "밖에 비가 많이 온다.\n오늘 비가 많이 내린다.\n점심으로 국수를 먹었다.\n점심에 국수를 먹었어요."
    )
    matrix = run.result["matrix"]
    assert run.model == "pocket/sentences-ko" and run.note is None
    assert min(matrix[0][1], matrix[2][3]) > 0.2 + max(matrix[0][2], matrix[0][3], matrix[1][2], matrix[1][3])


def test_a_list_of_two_languages_is_answered_and_says_so():
    run = text_tasks.similarity("밖에 비가 많이 온다.\nIt rains.\n점심으로 국수를 먹었다.")
    assert run.note == "note.language" and len(run.result["matrix"]) == 3


def test_topics_of_korean_sentences_are_found_more_often_than_by_chance():
    lines = [line.split("\t", 1) for line in (HERE / "topics_ko.tsv").read_text(encoding="utf-8").splitlines()]
    topics = sorted({topic for topic, _ in lines})
    runs = [text_tasks.zero_shot(text, topics, model="pocket/sentences-ko") for _, text in lines]
    right = sum(run.result["labels"][0] == topic for run, (topic, _) in zip(runs, lines, strict=True))
    assert runs[0].method == "method.embeddings_zero_shot" and runs[0].note == "note.weak"
    assert right / len(lines) >= 0.2  # chance is 0.125


def test_keywords_and_summaries_of_korean_stay_with_the_subject():
    words = text_tasks.keywords(VOLCANO).result
    assert any(word in words[0]["keyword"] for word in ("화산", "마그마", "용암"))
    run = text_tasks.summarize(VOLCANO, 2)
    assert "화산" in run.result["summary"] and "이모" not in run.result["summary"]
    assert (run.model, run.method) == ("pocket/sentences-ko", "method.lexrank")
