"""The pocket storyteller: loaded as anyone would, streamed, measured on a new text, read for unfit words."""

import math
import time
from functools import cache
from pathlib import Path

import pytest

from pipelines import loading, text_tasks
from recipes._stories_text import unfit

FOLDER = Path(__file__).parents[2] / "assets" / "pocket" / "stories-en"
MODEL = "pocket/stories-en"
PROMPTS = ("Once upon a time", "The little fox", "Alice opened the door and", "In the garden there was")
# Beatrix Potter, The Tale of Peter Rabbit (1902), public domain, and none of the books it was trained on.
RABBIT = (
    "Once upon a time there were four little Rabbits, and their names were Flopsy, Mopsy, Cotton-tail, and Peter. "
    "They lived with their Mother in a sand-bank, underneath the root of a very big fir-tree. "
    '"Now, my dears," said old Mrs. Rabbit one morning, "you may go into the fields or down the lane, '
    "but don't go into Mr. McGregor's garden.\""
)

pytestmark = pytest.mark.models


@cache
def parts():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(FOLDER).float().eval(), AutoTokenizer.from_pretrained(FOLDER)


def nats_per_character(text: str) -> float:
    import torch

    model, tokenizer = parts()
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return float(model(ids, labels=ids).loss) * (ids.shape[1] - 1) / len(text)


def test_its_folder_is_small_and_complete():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 8_500_000
    assert {"README.md", "config.json", "generation_config.json", "metrics.json", "model.safetensors"} <= {
        file.name for file in FOLDER.iterdir()
    }


@pytest.mark.parametrize(
    "text", ["Once upon a time", "옛날 옛적에 여우가", "🦊 café\n\n\tZürich", 'The FOX said, "No!"']
)
def test_its_tokenizer_reads_anything_and_gives_it_back(text):
    _, tokenizer = parts()
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_a_story_that_it_never_read_surprises_it_less_than_its_words_shuffled():
    told, shuffled = nats_per_character(RABBIT), nats_per_character(" ".join(sorted(RABBIT.split())))
    assert math.exp(told) < 4.0
    assert told < 0.85 * shuffled


def test_generate_streams_and_says_what_else_it_might_have_written():
    assert loading.default_model("generate", "Once upon a time") == MODEL
    runs = list(text_tasks.generate_stream("Once upon a time", max_new_tokens=12, seed=1))
    texts = [run.result["text"] for run in runs]
    assert texts[0].startswith("Once upon a time") and all(
        b.startswith(a) for a, b in zip(texts, texts[1:], strict=False)
    )
    assert runs[-1].note is None and runs[-1].model == MODEL
    for token in runs[-1].result["tokens"]:
        chances = [other["probability"] for other in token["alternatives"]]
        assert len(chances) == 5 and chances == sorted(chances, reverse=True)
        assert 0 < token["probability"] <= 1 and sum(chances) <= 1 + 1e-5


def test_the_same_seed_writes_the_same():
    first, again = (text_tasks.generate("The little fox", 10, seed=5).result["text"] for _ in range(2))
    assert first == again != text_tasks.generate("The little fox", 10, seed=6).result["text"]


def test_a_korean_prompt_is_met_with_a_note():
    assert text_tasks.generate("옛날 옛적 깊은 산속에", 5, seed=1).note == "note.language"


def test_streaming_costs_little_more_than_generate():
    prompt = "Once upon a time there was a little fox who"
    text_tasks.generate(prompt, 2, seed=1)
    with loading.use(MODEL, "generate") as loaded:
        ids = loaded.pipe.tokenizer(prompt, return_tensors="pt")
        begun = time.perf_counter()
        written = loaded.pipe.model.generate(**ids, max_new_tokens=40)
        bare = (time.perf_counter() - begun) / (written.shape[1] - ids["input_ids"].shape[1])
    begun = time.perf_counter()
    count = sum(1 for _ in text_tasks.generate_stream(prompt, 40, seed=3))
    ours = (time.perf_counter() - begun) / count
    assert ours < 2.5 * bare


@pytest.mark.parametrize("prompt", PROMPTS)
def test_twenty_samples_hold_no_unfit_word(prompt):
    for seed in range(5):
        text = text_tasks.generate(prompt, 40, seed=seed).result["text"]
        assert unfit(text) is None, text
