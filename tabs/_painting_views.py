"""The picture tab's progress and answers as HTML: everything a visitor or a model wrote is escaped here."""

from __future__ import annotations

import base64
import difflib
import html
import io
import json
import re
from typing import Any

from tabs._i18n import both, say

esc = html.escape
PREVIEW, THUMBNAIL = 384, 96
HISTORY = (
    '<section class="mc-paint-history" hidden><div class="mc-paint-head"><h3>{title}</h3>'
    '<button type="button" class="mc-chip" data-paint="clear">{clear}</button></div><p class="mc-soft">{told}</p>'
    '<ul class="mc-paint-kept"></ul><figure class="mc-paint-large" hidden><img alt=""><figcaption class="mc-soft">'
    "</figcaption></figure></section>"
)


def history() -> str:
    """Return the empty shelf of earlier pictures, which assets/image_generation.js fills from the browser's storage."""
    return HISTORY.format(title=both("paint.history"), clear=both("paint.clear"), told=both("paint.history_told"))


def wait_line(ahead: int, seconds: float | None, lang: str) -> str:
    """Return what a click now would wait for."""
    if not ahead:
        return f'<p class="mc-soft">{esc(say(lang, "paint.free"))}</p>'
    return f'<p class="mc-soft">{esc(_queue("paint.busy", ahead, seconds, lang))}</p>'


def turn(ahead: int, seconds: float | None, lang: str) -> str:
    """Return the line of a run that waits for its turn."""
    return f'<p class="mc-wait" role="status">{esc(_queue("paint.turn", ahead, seconds, lang))}</p>'


def working(lang: str) -> str:
    """Return the line under the button while the steps are under way; the progress itself stands over the picture."""
    return f'<p class="mc-wait" role="status">{esc(say(lang, "paint.working"))}</p>'


def progress(step: Any, side: int, lang: str, part: tuple[int, int] = (1, 1)) -> str:
    """Return the bar and the picture as it is after a step.

    Args:
        step: step, steps, picture, and the seconds left.
        side: Pixels at which the picture is shown.
        part: Which of how many runs this is.
    """
    done, total = step.step + (part[0] - 1) * step.steps, step.steps * part[1]
    told = say(lang, "paint.step", step=done, steps=total)
    left = say(lang, "paint.left", seconds=_seconds(step.left + (part[1] - part[0]) * (step.left + step.seconds)))
    bar = f'aria-label="{esc(say(lang, "paint.progress"))}" aria-valuemin="0" aria-valuemax="{total}"'
    return (
        f'<div class="mc-paint-live" style="--side:{side}px">'
        f'<img src="{data_url(step.picture, PREVIEW)}" alt="{esc(say(lang, "paint.preview"))}">'
        f'<div class="mc-paint-bar"><p><b>{esc(told)}</b> <span>{esc(left)}</span></p>'
        f'<div class="mc-bar-track" role="progressbar" {bar} aria-valuenow="{done}">'
        f'<span class="mc-bar-fill" style="width:{100 * done / total:.1f}%"></span></div></div></div>'
    )


def pictures(files: list[bytes], film: list[Any], result: dict[str, Any], side: int, lang: str) -> str:
    """Return the finished pictures, how they were made, and the steps that led to the first.

    Args:
        files: PNG files.
        film: PIL images.
        result: The run's parameters; picture number n has the seed + n.
        side: Pixels at which a picture is shown.
    """
    shown = "".join(
        f"<figure>{_picture(data, result | {'seed': result['seed'] + n, 'count': 1}, side, lang)}"
        f"<figcaption>{_save(n, len(files), lang)}</figcaption></figure>"
        for n, data in enumerate(files)
    )
    many = " mc-paint-many" if len(files) > 1 else ""
    return f'<div class="mc-paint-pictures{many}">{shown}</div>{parameters(result, lang)}{strip(film, lang)}'


def parameters(result: dict[str, Any], lang: str) -> str:
    """Return the line of parameters; the seed stands in a field, so that it can be copied and links hold it."""
    again = esc(json.dumps({"seed": result["seed"]}))
    facts = [
        say(lang, "paint.n_steps", steps=result["steps"]),
        say(lang, "paint.guidance_is", guidance=f"{result['guidance']:g}"),
        f"{result['width']} × {result['height']}",
        say(lang, "paint.took", seconds=f"{result['seconds']:.1f}"),
    ]
    if result.get("negative_prompt"):
        facts.append(say(lang, "paint.without", words=result["negative_prompt"]))
    seed = esc(say(lang, "paint.seed_is"))
    return (
        f'<div class="mc-paint-facts"><label class="mc-field" id="mc-image_generation-shown-seed">{seed} '
        f'<input readonly size="10" value="{result["seed"]}"></label>'
        f'<button type="button" class="mc-chip" data-details="{again}">{esc(say(lang, "paint.same_seed"))}</button>'
        f"<span>{esc(' · '.join(facts))}</span></div>"
    )


def strip(film: list[Any], lang: str) -> str:
    """Return the picture after each step, small, the step's number under each."""
    if not film:
        return ""
    frames = "".join(
        f'<li><img src="{data_url(frame, THUMBNAIL)}" alt=""><small>{number}</small></li>'
        for number, frame in enumerate(film, start=1)
    )
    title = esc(say(lang, "paint.film"))
    return f'<p class="mc-soft">{title}</p><ol class="mc-paint-film" tabindex="0" aria-label="{title}">{frames}</ol>'


def comparison(files: list[bytes], results: list[dict[str, Any]], side: int, lang: str) -> str:
    """Return two pictures over each other, parted by a line that a slider moves, and what changed in the words."""
    first, second = (_picture(data, result, side, lang) for data, result in zip(files, results, strict=True))
    before, after = _changed(results[0]["prompt"], results[1]["prompt"])
    slider = esc(say(lang, "paint.slider"))
    return (
        f'<div class="mc-paint-compare" style="--at:50%;--side:{side}px">'
        f'<div class="mc-paint-pair">{first}{second}</div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{slider}" title="{slider}">'
        f'<div class="mc-paint-words"><p>◀ {before}<br>{_save(0, 2, lang)}</p><p>{after} ▶<br>{_save(1, 2, lang)}</p>'
        f"</div></div>{parameters(results[0], lang)}"
    )


def taught(model: str, trained_on: str, lang: str) -> str:
    """Return the line that says what the model learned from."""
    told = say(lang, "paint.knows", model=model, taught=say(lang, f"trained_on.{trained_on}"))
    return f'<p class="mc-soft">{esc(told)}</p>'


def data_url(picture: Any, side: int) -> str:
    """Return a PIL image, made smaller where it is larger than `side`, as a data: URL."""
    small = picture.convert("RGB")
    if max(small.size) > side:
        small.thumbnail((side, side))
    buffer = io.BytesIO()
    # A small picture is smaller, and sharper, as PNG.
    kind, options = ("PNG", {}) if max(small.size) <= 128 else ("JPEG", {"quality": 85})
    small.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _picture(data: bytes, details: dict[str, Any], side: int, lang: str) -> str:
    told = esc(json.dumps(details, ensure_ascii=False))
    return (
        f'<img class="mc-paint-picture" src="data:image/png;base64,{base64.b64encode(data).decode()}" '
        f'alt="{esc(details["prompt"])}" data-made="{told}" style="--side:{side}px">'
    )


def _save(place: int, count: int, lang: str) -> str:
    number = f" {place + 1}" if count > 1 else ""
    return (
        f'<button type="button" class="mc-chip" data-paint="save" data-place="{place}">'
        f"↓ {esc(say(lang, 'paint.save'))}{number}</button>"
    )


def _changed(before: str, after: str) -> tuple[str, str]:
    """Return both prompts as HTML, the words that differ marked."""
    parts = [re.split(r"(\s+)", text) for text in (before, after)]
    marked = ["", ""]
    for kind, *spans in difflib.SequenceMatcher(None, *parts, autojunk=False).get_opcodes():
        for i, (start, end) in enumerate((spans[:2], spans[2:])):
            text = esc("".join(parts[i][start:end]))
            marked[i] += text if kind == "equal" or not text.strip() else f"<mark>{text}</mark>"
    return marked[0], marked[1]


def _queue(key: str, ahead: int, seconds: float | None, lang: str) -> str:
    if seconds is None:
        return say(lang, key, ahead=ahead)
    return say(lang, f"{key}_seconds", ahead=ahead, seconds=_seconds(seconds))


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}" if 0 < seconds < 1 else f"{max(0.0, seconds):,.0f}"
