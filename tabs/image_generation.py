"""Pictures from words: noise becomes a picture while the visitor watches.

The visitor writes what the picture shows and sees every step, then the picture with its parameters, which the PNG
carries too: dropped in again, it fills the form. A second prompt with the same seed is laid over the first. Earlier
pictures stay in the visitor's own browser. A run goes on while the page is loaded anew or its connection is gone. A
switch lets an inference provider paint (tabs/_elsewhere.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from pipelines import image_generation, images, painters, picture_files, remote_pictures
from pipelines.errors import VisitorError
from pipelines.lane import Waiting
from tabs import _elsewhere, _jobs, _model_line, _page, _painting_form, _painting_runs, _painting_views, _ui
from tabs._i18n import label, language

TITLE = "tab.image_generation"
EXAMPLES = {
    "ko": ("빨간 사과", "고양이 얼굴", "무지개", "웃는 해"),
    "en": ("red apple", "rocket", "blue heart", "penguin"),
}
# A press on anything with parameters puts them into the form; the component passes them on as an event.
CHOOSE = """
element.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-details]");
  if (pressed) trigger("click", { details: pressed.dataset.details });
});
"""


def build(
    paint: Callable[..., Iterator[Any]] = image_generation.paint,
    wish: Callable[..., image_generation.Wish] = image_generation.wish,
    expected: Callable[[], Waiting] = image_generation.expected_wait,
    elsewhere: Callable[..., Iterator[Any]] = remote_pictures.paint_remotely,
) -> gr.Blocks:
    """Build the tab.

    Args:
        paint: (wish, stop) -> what happens on the way, and the pictures in the end.
        wish: (prompt, model, steps, guidance, seed, width, height, count, negative_prompt) -> a valid wish.
        expected: () -> what a click now would wait for.
        elsewhere: (wish, token, provider, stop=…) -> as `paint`, by an inference provider.
    """
    with gr.Blocks() as page:
        last = gr.State({})
        with gr.Row(elem_classes="mc-columns mc-paint"):
            with gr.Column(scale=5, elem_classes="mc-left"):
                form = _Form()
            with gr.Column(scale=7, elem_classes="mc-right"):
                with gr.Column(elem_classes="mc-paint-stage"):
                    answer = _ui.empty_panel("paint.empty", js_on_load=CHOOSE)
                    live = gr.HTML("", elem_classes="mc-paint-over")
                shelf = gr.HTML(_painting_views.history(), js_on_load=CHOOSE)

        quiet = {"show_progress": "hidden", "show_progress_on": form.error, "api_visibility": "private"}
        shown = [live, answer, last, *form.inputs]
        one, two = (_jobs.Kept(name) for name in ("image_generation", "image_generation-two"))
        one.wire(
            form.run,
            partial(_painting_runs.one, paint, elsewhere, wish),
            _painting_runs.shows(),
            [*form.inputs, *form.switch.inputs],
            [form.error, *shown],
            secret=form.switch.token,
            **quiet,
        )
        two.wire(
            form.compare,
            partial(_painting_runs.two, paint, elsewhere, wish),
            _painting_runs.shows(second=True),
            [*form.inputs, form.second, last, *form.switch.inputs],
            [form.compare_error, *shown, form.second],
            secret=form.switch.token,
            **quiet,
        )
        _jobs.stopper(form.stop, one, two, **quiet)
        filled = [form.error, *form.inputs]
        form.file.upload(_read_back, form.file, [form.file, form.file_error, *form.inputs], queue=False, **quiet)
        for chosen in (answer, shelf):
            chosen.click(_from_details, None, filled, queue=False, **quiet)
        # Only what a visitor chooses takes the model's habits; what is read from a picture brings its own values.
        form.line.wire({painters.TASK: form.model})
        form.model.input(_painting_form.of_model, form.model, form.inputs[2:], queue=False, **quiet)
        where = [form.switch.where, form.model]
        form.switch.where.input(_moved, where, form.inputs[1:], queue=False, **quiet)
        _ui.on_link("image_generation").click(_from_link, None, filled, queue=False, **quiet)
        ask = gr.Button("", visible="hidden", elem_id="mc-paint-ask")  # pressed by image_generation.js while one looks
        ask.click(_expecting(expected), None, form.queue, queue=False, **quiet)
    return page


class _Form:
    """The left side: what to paint, with which model and how.

    Attributes:
        inputs: The fields in the order of `_painting_form.arguments`.
    """

    def __init__(self) -> None:
        habits = painters.habits(painters.default_model())
        chips = [
            (lang, words, {"mc-image_generation-prompt": words}) for lang, names in EXAMPLES.items() for words in names
        ]
        _ui.opening("paint.intro", chips)
        self.prompt = _words("prompt", lines=2)
        self.model = _ui.model_picker(painters.TASK, "mc-image_generation-model")
        self.model.choices[0] = (label("paint.model_auto"), "")
        self.line = _model_line.ModelLine("image_generation", more=_elsewhere.offer)
        with gr.Accordion(label("ui.options"), open=False, elem_classes="mc-options"):
            self.size = gr.Radio(**_painting_form.sizes(habits), elem_classes="mc-paint-size", **_named("size"))
            self.steps = gr.Slider(1, habits.most_steps, value=habits.steps, step=1, **_named("steps"))
            self.guidance = gr.Slider(0, habits.most_guidance, value=habits.guidance, step=0.1, **_named("guidance"))
            self.seed = gr.Number(value=None, precision=0, **_named("seed"))
            self.count = gr.Slider(1, image_generation.MOST_COUNT, value=1, step=1, **_named("count"))
            self.negative = _words("negative", lines=1, visible=habits.negative_prompt)
        self.run, self.stop = _ui.run_row(stop=True)
        self.queue = gr.HTML("", elem_classes="mc-paint-queue")
        self.error = _ui.error_line()
        self.switch = _elsewhere.Switch("image_generation", remote_pictures.PROVIDERS)
        with gr.Accordion(label("paint.compare_title"), open=False, elem_id="mc-paint-twice"):
            self.second = _words("second", lines=1, info=label("paint.compare_info"))
            self.compare = gr.Button(label("paint.compare"), size="sm", elem_classes="mc-paint-go")
            self.compare_error = _ui.error_line()
        with gr.Accordion(label("paint.read_title"), open=False, elem_id="mc-paint-read"):
            self.file = gr.File(
                file_types=["image"], height=96, show_label=False, elem_classes="mc-paint-file", **_named("file")
            )
            self.file_error = _ui.error_line()
        self.file.preprocess = lambda payload: payload.path if payload else None  # opened by pipelines.images only
        self.inputs = [
            self.prompt,
            self.model,
            self.size,
            self.steps,
            self.guidance,
            self.seed,
            self.count,
            self.negative,
        ]


def _named(name: str) -> dict[str, Any]:
    return {"label": label(f"paint.{name}"), "elem_id": f"mc-image_generation-{name}"}


def _words(name: str, **options: Any) -> gr.Textbox:
    return gr.Textbox(max_lines=5, elem_classes="mc-field", **_named(name), **options)


def _moved(where: Any, model: str | None) -> list[Any]:
    """Fill in a model that a provider may have, once one paints and none such is chosen."""
    skip = [gr.skip()] * (_painting_form.FIELDS - 1)
    return _painting_form.at_provider(model) if where == _elsewhere.ELSEWHERE else skip


def _expecting(expected: Callable[[], Waiting]) -> Callable[[gr.Request], str]:
    def wait_line(request: gr.Request) -> str:
        waiting = expected()
        return _painting_views.wait_line(waiting.ahead, waiting.seconds, language(request))

    return wait_line


def _from_link(request: gr.Request) -> list[Any]:
    """Fill the form a link names: ?tab=image_generation&prompt=…&model=…&seed=…"""
    query = dict(request.query_params or {})
    if query.get("tab") != "image_generation":
        return [gr.skip()] * (1 + _painting_form.FIELDS)
    seed = query.get("seed", "")
    asked = {name: query[name] for name in ("prompt", "model") if name in query}
    return _painting_form.filled(asked | ({"seed": int(seed)} if seed.isdecimal() and len(seed) < 12 else {}))


def _from_details(event: gr.EventData) -> list[Any]:
    """Fill the form with what a picture in the page was made with, or with its seed alone."""
    try:
        found = json.loads(str(getattr(event, "details", ""))[: picture_files.MOST_BYTES])
    except (ValueError, RecursionError):
        found = {}
    return _painting_form.filled(found if isinstance(found, dict) else {})


def _read_back(request: gr.Request, path: str | None) -> list[Any]:
    """Fill the form with what a PNG says about itself; the file is let go, so that it can be dropped again."""
    try:
        found = picture_files.details(images.read(path))
        if found is None:
            raise VisitorError("no_parameters")
    except Exception as error:
        return [None, _ui.error_html(error, language(request)), *[gr.skip()] * _painting_form.FIELDS]
    return [None, *_painting_form.filled(found)]


if __name__ == "__main__":
    page = build()
    page.launch(**_page.options())
