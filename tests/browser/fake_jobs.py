"""The app with work whose pace the tests set: a painter (fake_painting), and a comparison that waits between models.

A text with "gate" waits before the second model, and before its words are explained, for the file "open" in the folder
FAKE_PAINTING; every comparison that begins is a line of the file "begun" there.
"""

import time

import app
from pipelines import loading, sentiment
from pipelines.run import Run
from tabs import image_generation
from tabs import sentiment as tab
from tests.browser.fake_painting import FOLDER, paint


def classify(texts, model):
    answer = {"label": "POS", "polarity": "positive", "score": 0.9, "scores": {"POS": 0.9, "NEG": 0.1}}
    return Run([answer] * len(texts), model, timing={"model": 4.0})


def gate(text):
    while "gate" in text and not (FOLDER / "open").exists():
        time.sleep(0.05)


def compare(texts, models, gold):
    with (FOLDER / "begun").open("a", encoding="utf-8") as lines:
        print(texts[0], file=lines)
    for number, step in enumerate(sentiment.compare_each(texts, models, gold, classify=classify)):
        if number:
            gate(texts[0])
        yield step


def explain(text, model, method):
    gate(text)
    tokens = [{"text": word, "start": 0, "end": 0, "weight": 0.0} for word in text.split()]
    return Run({"text": text, "label": "POS", "method": method, "words": tokens}, model)


def main():
    loading.start_warm_up = lambda: None
    build_pictures, build_sentiment = image_generation.build, tab.build
    image_generation.build = lambda: build_pictures(paint=paint)
    tab.build = lambda: build_sentiment(compare=compare, explain=explain)
    page = app.build()
    app.launch(page)
    page.block_thread()


if __name__ == "__main__":
    main()
