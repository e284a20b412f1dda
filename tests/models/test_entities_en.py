"""pocket/entities-en: names of ordinary sentences, in exactly the characters where they stand."""

import pytest

from pipelines import loading, text_tasks
from settings import POCKET

pytestmark = pytest.mark.models
MODEL = "pocket/entities-en"
MEGABYTE = 2**20

# Each name in brackets with its type; none of the sentences was trained on.
SENTENCES = """
[Tim Cook|person] visited [Seoul|location] with [Samsung|corporation].
[Marie Curie|person] was born in [Warsaw|location].
[Angela Merkel|person] met [Barack Obama|person] in [Berlin|location].
My cousin moved from [Glasgow|location] to [Melbourne|location] last year.
[Google|corporation] and [Microsoft|corporation] are hiring in [Zurich|location].
[Emma Thompson|person] grew up in [London|location].
Is [Madrid|location] bigger than [Barcelona|location]?
[Elon Musk|person] talked about [Mars|location] again.
We took the ferry to [Dublin|location] and met [Patrick|person] there.
[Nelson Mandela|person] became president of [South Africa|location].
Yesterday [Toyota|corporation] opened a factory in [Poland|location].
[Hannah Arendt|person] taught in [New York|location].
"It was a fair game," said [Roger Federer|person] in [Paris|location].
[Facebook|corporation] bought [Instagram|product] years ago.
Does your new [iPhone|product] work in [Japan|location]?
[Ludwig van Beethoven|person] lived in [Vienna|location].
The soup was cold and the bread was hard.
On Friday we had a test about volcanoes.
""".strip().splitlines()


def marked(line: str) -> tuple[str, set[tuple[int, int, str]]]:
    text, names = "", set()
    for part in line.split("["):
        name, bar, rest = part.partition("|")
        if bar:
            kind, _, rest = rest.partition("]")
            names.add((len(text), len(text) + len(name), kind))
        text += (name if bar else "") + (rest if bar else part)
    return text, names


def found(text: str) -> set[tuple[int, int, str]]:
    entities = text_tasks.entities(text, MODEL).result
    assert all(text[each["start"] : each["end"]] == each["text"] for each in entities)
    return {(each["start"], each["end"], each["entity"]) for each in entities}


def test_ordinary_sentences_are_read_with_exact_places():
    right = given = wanted = 0
    for line in SENTENCES:
        text, names = marked(line)
        answer = found(text)
        right, given, wanted = right + len(answer & names), given + len(answer), wanted + len(names)
    assert 2 * right / (given + wanted) >= 0.7


def test_it_answers_when_no_model_is_named():
    assert loading.default_model("entities", "Tim Cook visited Seoul.") == MODEL


def test_places_survive_what_people_type():
    for text in (
        "  Étienne met O'Neil at IBM's HQ in\tNew York 😀!!",
        "RT @someone: JUST LANDED IN LOS ANGELES #blessed http://t.co/aBcDeF &lt;3",
        "▴ tim ▲ ibm",
        "McDonald's İstanbul ß ŒUVRE 서울 (Seoul)",
    ):
        found(text)


def test_capitals_reach_the_model_and_point_at_their_word():
    tokenizer = loading.tokenizer(MODEL)
    text = "Tim met IBM, I think"
    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    pieces = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert pieces == ["tim", "##▴", "met", "ibm", "##▲", ",", "i", "think"]
    assert [text[a:b] for a, b in encoded["offset_mapping"]] == ["Tim", "m", "met", "IBM", "M", ",", "I", "think"]


def test_a_name_is_never_split_between_its_letters():
    for text in ("She studied at the University of Paris.", "We ate at McDonald's near Times Square in Cupertino."):
        for start, end, _ in found(text):
            assert not (text[start - 1 : start] + text[start]).isalnum() or start == 0
            assert not text[end - 1 : end + 1].isalnum() or end == len(text)


def test_labels_are_the_six_types():
    with loading.use(MODEL, "entities") as loaded:
        labels = set(loaded.pipe.model.config.id2label.values())
        assert type(loaded.pipe.model).__name__ == "BertForTokenClassification"
    types = ("person", "location", "corporation", "group", "product", "creative-work")
    assert labels == {"O"} | {f"{part}-{kind}" for part in "BI" for kind in types}


def test_the_adapter_is_small_and_in_float16():
    import torch
    from safetensors import safe_open

    weights = POCKET / "entities-en" / "adapter_model.safetensors"
    assert weights.stat().st_size <= 2.5 * MEGABYTE
    with safe_open(weights, "pt") as tensors:
        assert {tensors.get_tensor(key).dtype for key in tensors.keys()} == {torch.float16}
