"""CLIP: pictures and words in one space.

The visitor gives a picture and labels and sees which fits; or several pictures and texts and sees a table of all
pairs; or searches pictures by words. Clicking an example fills pictures and words and runs. In a fourth mode an
inference provider finds the objects in a picture (tabs/_objects.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from pipelines import catalog, clip, clip_stages, emoji, images, inputs, remote_objects
from pipelines.errors import VisitorError
from pipelines.run import Run
from tabs import _clip_views, _model_line, _objects, _page, _ui, _views
from tabs._i18n import both, label, language

TITLE = "tab.clip"
MODES = ("match", "many", "search")
ELSEWHERE = _objects.NAME
ALL = (*MODES, ELSEWHERE)
SCORINGS = ("auto", *clip.SCORINGS)
# A click on an example says which; the component passes it on as an event.
CHOOSE = """
element.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-example]");
  if (pressed) trigger("click", { name: pressed.dataset.example });
});
"""


def build(
    match: Callable[..., Run] = clip.match_image,
    many: Callable[..., Run] = clip.match_images,
    rank: Callable[..., Run] = clip.rank_images,
    explain: Callable[..., dict] = clip_stages.stages,
    detect: Callable[..., Iterator[Any]] = remote_objects.detect_objects,
) -> gr.Blocks:
    """Build the tab.

    Args:
        match: (image, labels, template, scoring, model, none_of_these) -> labels and scores.
        many: (images, texts, template, scoring, model) -> a matrix of scores.
        rank: (text, images, model) -> indices and scores.
        explain: (pictures, texts, scoring, model) -> the three stages.
        detect: (image, token, model, threshold, provider, stop) -> waits and Runs of an inference provider.
    """
    with gr.Blocks() as page:
        mode = gr.Radio(
            choices=[(label(f"clip.mode.{name}"), name) for name in ALL],
            value=MODES[0],
            show_label=False,
            container=False,
            elem_classes="mc-tasks",
            elem_id="mc-clip-mode",
        )
        last = gr.State({})
        with gr.Row(elem_classes="mc-columns"):
            with gr.Column(scale=5, elem_classes="mc-left"):
                form = _Form()
            with gr.Column(scale=7, elem_classes="mc-right"):
                panels = {name: _ui.empty_panel(f"clip.empty.{name}", visible=name == MODES[0]) for name in MODES}
                found = _ui.empty_panel("clip.empty.objects", visible=False)
                show_stages = gr.Button(label("text.stages"), size="sm", elem_classes="mc-stages-button")
                stage_view = gr.HTML("", elem_classes="mc-stages")

        parts = [*form.parts, *((panels[name], (name,)) for name in MODES), (found, (ELSEWHERE,)), (show_stages, MODES)]
        where = [modes for _, modes in parts]
        chosen = [*(part for part, _ in parts), form.error, stage_view]
        quiet = {"show_progress": "hidden", "show_progress_on": form.error, "api_visibility": "private"}
        lane = quiet | _ui.TEXT_LANE
        mode.input(partial(_select, where), mode, chosen, queue=False, **quiet)
        opened = _ui.on_link("clip")
        opened.click(_linking(where), None, [mode, *chosen, *form.linked], queue=False, **quiet)
        handler = _ui.watched(partial(_run, {"match": match, "many": many, "search": rank}), outputs=5)
        running = {
            "fn": handler,
            "inputs": [mode, *form.inputs, last],
            "outputs": [form.error, *panels.values(), last, stage_view],
            "trigger_mode": "once",
            **lane,
        }
        form.run.click(**running)
        form.line.wire({clip.TASK: form.model})
        fills = {"match": [form.picture, form.labels], "many": [form.pictures, form.texts]}
        fills |= {"search": [form.pictures, form.query], ELSEWHERE: [form.picture]}
        for name in ALL:
            example = form.openings[name].click(_filling(name), None, [form.error, *fills[name]], queue=False, **quiet)
            if name != ELSEWHERE:  # an answer from there costs the visitor something
                example.success(**running)
        form.objects.wire(detect, form.picture, form.error, found, quiet)
        show_stages.click(_ui.guarded(partial(_stages, explain)), [mode, last], [form.error, stage_view], **lane)
        for component in (form.picture, form.pictures):
            component.upload(_check, component, [form.error], queue=False, **quiet)
    return page


class _Form:
    """The left side: examples, pictures and words of each mode, model, options and Run.

    Attributes:
        parts: What is shown in some modes only, and in which.
        inputs: The fields, in the order of `_run`.
        linked: The fields that a link can fill.
    """

    def __init__(self) -> None:
        self.parts: list[tuple[gr.blocks.Block, tuple[str, ...]]] = []
        self.openings = {
            name: self._part(gr.HTML(_clip_views.opening(name), js_on_load=CHOOSE, visible=name == MODES[0]), name)
            for name in ALL
        }
        with self._part(gr.Column(elem_classes="mc-plain"), "match", ELSEWHERE):
            _caption("clip.picture")
            self.picture = _unopened(
                gr.Image(
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    height=220,
                    buttons=[],
                    show_label=False,
                    label=label("clip.picture"),
                    elem_id="mc-clip-picture",
                    elem_classes="mc-clip-picture",
                )
            )
        with self._part(gr.Column(visible=False, elem_classes="mc-plain"), "many", "search"):
            _caption("clip.pictures")
            # Not visible at first itself: the page would fetch its code, a video player's among it.
            self.pictures = gr.Gallery(
                visible=False,
                type="filepath",
                interactive=True,
                columns=4,
                height=220,
                object_fit="contain",
                buttons=[],
                show_label=False,
                label=label("clip.pictures"),
                elem_id="mc-clip-pictures",
                elem_classes="mc-clip-pictures",
            )
            self._part(self.pictures, "many", "search")
        self.labels = self._part(_field("labels", lines=3), "match")
        self.texts = self._part(_field("texts", lines=3, visible=False), "many")
        self.query = self._part(_field("query", lines=1, visible=False), "search")
        with self._part(gr.Column(elem_classes="mc-plain"), *MODES):
            self.model = _ui.model_picker(clip.TASK, "mc-clip-model")
            self.line = _model_line.ModelLine("clip")
        options = gr.Accordion(label("ui.options"), open=False, elem_classes="mc-options")
        with self._part(options, "match", "many"):
            self.template = _field("template", lines=1, info=label("clip.template_info"), placeholder="{}")
            self.scoring = gr.Radio(
                choices=[(label(f"clip.scoring_{name}"), name) for name in SCORINGS],
                value="auto",
                label=label("clip.scoring"),
                elem_id="mc-clip-scoring",
                elem_classes="mc-clip-scoring",
            )
            none = gr.Checkbox(label=label("clip.none"), info=label("clip.none_info"), elem_id="mc-clip-none")
            self.none = self._part(none, "match")
        self.run, _ = _ui.run_row()
        self._part(self.run, *MODES)
        self.objects = _objects.Form()
        self._part(self.objects.group, ELSEWHERE)
        self.error = _ui.error_line()
        self.inputs = [self.picture, self.pictures, self.labels, self.texts, self.query]
        self.inputs += [self.template, self.scoring, self.none, self.model]
        self.linked = [self.labels, self.texts, self.query, self.model, self.objects.model]

    def _part(self, part: Any, *modes: str) -> Any:
        self.parts.append((part, modes))
        return part


def _unopened(component: gr.Image) -> gr.Image:
    """Let a picture reach pipelines.images as the file it is: gr.Image would have Pillow open anything first."""
    component.preprocess = lambda payload: payload.path if payload else None
    return component


def _caption(key: str) -> gr.HTML:
    """A label above a picture field: gradio's own stands on the picture."""
    return gr.HTML(f'<p class="mc-clip-caption">{both(key)}</p>')


def _field(name: str, **options: Any) -> gr.Textbox:
    return gr.Textbox(
        label=label(f"clip.{name}"), max_lines=8, elem_id=f"mc-clip-{name}", elem_classes="mc-field", **options
    )


def _select(where: list[tuple[str, ...]], chosen: str) -> list[Any]:
    """Show what a mode needs; the error line and the stages are all modes', and are emptied."""
    return [*(gr.update(visible=chosen in modes) for modes in where), "", ""]


def _linking(where: list[tuple[str, ...]]) -> Callable[[gr.Request], list[Any]]:
    def from_link(request: gr.Request) -> list[Any]:
        """Fill the form a link names: ?tab=clip&labels=…, &texts=… or &query=…, and &model=…; or &objects_model=…"""
        query = dict(request.query_params or {})
        if query.get("tab") != "clip":
            return [gr.skip()] * (8 + len(where))
        ways = {"query": "search", "texts": "many", "objects_model": ELSEWHERE}
        chosen = next((mode for name, mode in ways.items() if name in query), "match")
        words = [query.get(name, gr.skip()) for name in ("labels", "texts", "query", "model", "objects_model")]
        if chosen == MODES[0]:  # the form opens so; a late answer must not undo what was chosen meanwhile
            return [gr.skip()] * (3 + len(where)) + words
        return [chosen, *_select(where, chosen), *words]

    return from_link


def _filling(mode: str) -> Callable[..., list[Any]]:
    def fill(request: gr.Request, event: gr.EventData) -> list[Any]:
        """Put an example's pictures and words into the form."""
        lang, name = language(request), str(getattr(event, "name", ""))
        if mode in ("match", ELSEWHERE):
            if name not in emoji.examples():
                return [gr.skip()] * (3 if mode == "match" else 2)
            if mode == ELSEWHERE:
                return ["", str(emoji.picture(name))]
            return ["", str(emoji.picture(name)), ", ".join(_clip_views.labels_for(name, lang))]
        names = _clip_views.sets().get(name)
        if names is None:
            return [gr.skip()] * 3
        words = [emoji.examples()[each][lang] for each in names]
        return ["", [str(emoji.picture(each)) for each in names], words[0] if mode == "search" else ", ".join(words)]

    return fill


def _check(request: gr.Request, value: Any) -> str:
    """Say at once what is wrong with a picture that was added."""
    try:
        for path in images.several(_paths(value)):
            images.load(path, side=64)
    except Exception as error:
        return _ui.error_html(error, language(request))
    return ""


def _paths(value: Any) -> list[Any]:
    """Return the files of a picture field, or of a gallery of (file, caption)."""
    if not isinstance(value, list):
        return [value] if value else []
    return [each[0] if isinstance(each, (list, tuple)) else each for each in value]


def _run(functions: dict[str, Callable[..., Run]], lang: str, mode: str, *values: Any) -> list[Any]:
    picture, pictures, labels, texts, query, template, scoring, none, model, last = values
    inputs.choice(mode, "mode", MODES)
    named = {"template": (template or "").strip() or None, "model": (model or "").strip() or None}
    named["scoring"] = None if scoring in ("auto", None) else scoring
    if mode == "match":
        files = [_first(picture)]
        data = [images.read(files[0])]
        words = inputs.labels(labels, most=clip.MOST_LABELS)
        arguments = {"image": data[0], "labels": words, **named, "none_of_these": bool(none)}
        endpoint = "match_image"
    else:
        files = images.several(_paths(pictures))
        data = [images.read(each) for each in files]
    if mode == "many":
        words = inputs.labels(texts, most=clip.MOST_TEXTS)
        arguments, endpoint = {"images": data, "texts": words, **named}, "match_images"
    elif mode == "search":
        words = [inputs.text(query, limit=1_000, what="search").strip()]
        arguments, endpoint = {"text": words[0], "images": data, "model": named["model"]}, "rank_images"
    run = functions[mode](**arguments)
    how = run.method.removeprefix("method.")
    exact = arguments | {"model": run.model} | ({"scoring": how} if mode != "search" else {})
    body = _clip_views.VIEWS[mode](run, data, words, lang) + _taught(run, lang)
    shown = [gr.skip()] * len(MODES)
    shown[MODES.index(mode)] = _ui.panel(body, run, lang, endpoint, exact)
    # The files' names are kept for the stages, not the files: they may be large, and a session lasts.
    return [*shown, {**last, mode: (files, _read_texts(mode, exact), how, run.model)}, ""]


def _first(picture: Any) -> Any:
    if not picture:
        raise VisitorError("no_image")
    return picture


def _taught(run: Run, lang: str) -> str:
    card = catalog.card(run.model)
    return _clip_views.taught(run.model, card.trained_on, lang) if card and card.trained_on else ""


def _read_texts(mode: str, arguments: dict[str, Any]) -> list[str]:
    """Return what the text tower read, the template filled in."""
    if mode == "search":
        return [arguments["text"]]
    words = arguments["labels"] if mode == "match" else arguments["texts"]
    pattern = arguments["template"] or "{}"
    if mode == "match":
        spoken = clip.language_of(words)
        pattern = clip.own_template(arguments["template"], arguments["model"], spoken)
        if arguments["none_of_these"] and arguments["scoring"] != "sigmoid":
            words = [*words, clip.SOMETHING_ELSE[spoken]]
    return [pattern.replace("{}", word) for word in words]


def _stages(explain: Callable[..., dict], lang: str, mode: str, last: dict[str, tuple[Any, ...]]) -> str:
    if mode not in last:
        return _views.hint("text.stages_first", lang)
    return _views.stages(explain(*last[mode]), lang)


if __name__ == "__main__":
    page = build()
    page.launch(**_page.options())
