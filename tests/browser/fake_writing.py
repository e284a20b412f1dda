"""The app with a writer of its own, for tests of what the page does with text that comes token by token.

Its words are numbered; the alternatives of "w3" are "x3", "y3", "z3" and markup. A prompt with "slow" is written
slowly, with "broken" it fails after three tokens; several beams are seen for a while before the text comes.
"""

import time

import app
from pipelines import loading, text_tasks
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import text_tasks as tab

SHARES = (0.4, 0.25, 0.15, 0.1, 0.05)


def entry(place, letter):
    words = [f" {each}{place + 1}" for each in "wxyz"] + ["<b>&\n"]
    others = [
        {"token": word, "id": 10 * place + number, "probability": share}
        for number, (word, share) in enumerate(zip(words, SHARES, strict=True))
    ]
    return {**others["wxyz".index(letter)], "alternatives": others}


def write(prompt, max_new_tokens=50, model=None, stop=None, begun=(), num_beams=1, seed=None, **settings):
    pause = 0.2 if "slow" in prompt else 0.01
    how = text_tasks.sampling(max_new_tokens, 1, 0, 1, 0 if seed is None else seed, None, num_beams)
    tokens, letter = list(begun), "wxyz"[how.seed % 4]

    def run(**more):
        text = prompt + "".join(each["token"] for each in tokens)
        return Run({"text": text, "tokens": list(tokens)} | more, "tiny/writer", timing={"model": 12.0})

    yield run()
    for step in range(20 if num_beams > 1 else 0):
        time.sleep(pause)
        yield run(beams=[f"{prompt} beam {number} of step {step}" for number in range(1, num_beams + 1)])
    for number in range(max_new_tokens):
        time.sleep(pause)
        if stop():
            return
        if "broken" in prompt and number == 3:
            raise VisitorError("out_of_memory", model="tiny/writer")
        tokens.append(entry(len(tokens), letter))
        yield run()


def main():
    loading.start_warm_up = lambda: None
    build = tab.build
    tab.build = lambda: build(stream=write)
    page = app.build()
    app.launch(page)
    page.block_thread()


if __name__ == "__main__":
    main()
