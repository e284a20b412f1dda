"""The pocket Korean entities: places in the text are exact, and a name ends before its particle."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import catalog, hub, loading, show_code, text_tasks

MODEL = "pocket/entities-ko"
KINDS = {"PS", "LC", "OG", "DT", "TI", "QT"}
POCKET = Path(__file__).parents[2] / "assets" / "pocket"

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not (POCKET / "entities-ko" / "config.json").exists(), reason="entities-ko is not made yet"),
]


def found(text):
    return {(each["text"], each["entity"]) for each in text_tasks.entities(text, model=MODEL).result}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("이순신 장군은 1545년 서울에서 태어났다.", {("이순신", "PS"), ("1545년", "DT"), ("서울", "LC")}),
        ("배우 송강호가 5일 부산에서 팬들을 만났다.", {("송강호", "PS"), ("5일", "DT"), ("부산", "LC")}),
        ("회의는 오후 3시에 시작한다.", {("오후 3시", "TI")}),
        ("학생 30명이 버스를 탔다.", {("30명", "QT")}),
        ("경찰은 24일 김 모(45)씨를 체포했다고 밝혔다.", {("경찰", "OG"), ("24일", "DT"), ("김", "PS"), ("45", "QT")}),
    ],
)
def test_a_name_comes_without_its_particle(text, expected):
    assert expected <= found(text)


@pytest.mark.parametrize(
    "text",
    [
        "이순신 장군은 1545년 서울에서 태어났다.",
        "  ㅋㅋㅋ\t배우 전지현이랑  2시간 봄!!\n",
        "① １９８７년 ½개 ㎏ 서울 한강 🙂 BTS가",
        "가" * 700 + " 서울에서",
    ],
)
def test_places_are_those_of_the_text_as_typed(text):
    result = text_tasks.entities(text, model=MODEL).result
    assert all(each["text"] == text[each["start"] : each["end"]] and each["entity"] in KINDS for each in result)
    assert all(before["end"] <= after["start"] for before, after in zip(result, result[1:], strict=False))


def test_two_names_in_a_row_are_two():
    assert {("유재석", "PS"), ("강호동", "PS")} <= found("개그맨 유재석, 강호동이 함께 나왔다.")


def test_a_sentence_without_names_has_none():
    assert not found("정말 재미있게 잘 봤습니다.")


def test_a_long_text_is_read_to_its_end():
    text = "그날은 비가 많이 내렸고 길이 미끄러웠다. " * 40 + "대통령은 3일 서울에서 회의를 열었다."
    assert ("서울", "LC") in found(text)


def test_korean_entities_need_no_network(monkeypatch):
    monkeypatch.setattr(hub, "offline", lambda: True)
    assert loading.default_model("entities", "이순신 장군은 서울에서 태어났다.") == MODEL


def test_the_shown_code_finds_the_same():
    texts = [
        "이순신 장군은 1545년 서울에서 태어났다.",
        "투르치노프 대통령 권한대행은 이날 오전 프랑크 베옌스와 에스에스엘엠 대표를 만났다.",
        "블레이크라이블리랑 조니뎁 나오는 4부작 보고싶다 ㅋㅋ 사다코3D",
    ]
    code = [show_code.show_code("entities", {"text": text, "model": MODEL})["python"] for text in texts]
    ours = [text_tasks.entities(text, model=MODEL).result for text in texts]
    program = "\n".join(
        f"{each}\nfor e in result: shown.append([e['entity_group'], e['start'], e['end']])" for each in code
    )
    done = subprocess.run(
        [sys.executable, "-c", f"shown = []\n{program}\nimport json\nprint(json.dumps(shown))"],
        capture_output=True,
        text=True,
        cwd=POCKET.parents[1],
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = json.loads(done.stdout.splitlines()[-1])
    assert shown == [[each["entity"], each["start"], each["end"]] for found in ours for each in found]


def test_its_labels_are_those_of_klue_and_it_is_small():
    from transformers import AutoConfig

    labels = set(AutoConfig.from_pretrained(POCKET / "entities-ko").id2label.values())
    assert labels == {"O"} | {f"{place}-{kind}" for kind in KINDS for place in "BI"}
    assert sum(file.stat().st_size for file in (POCKET / "entities-ko").iterdir()) < 8e6
    assert catalog.card(MODEL).license == "cc-by-sa-4.0"
