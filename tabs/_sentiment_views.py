"""The side-by-side comparison as HTML: pure functions from results to strings. Everything a visitor or a model wrote
is escaped here; nothing else makes HTML of it."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import VisitorError
from pipelines.inputs import is_korean
from pipelines.metrics import POLARITIES
from pipelines.sentiment import disagreements_first
from pipelines.table_files import to_csv
from tabs._i18n import say, sentence, table

esc = html.escape
GLYPHS = {"negative": "▼", "neutral": "●", "positive": "▲"}
MOST_ROWS = 100
# Below these no word counts as decisive; they also keep tiny weights from being painted as strong ones.
SCALES = {"probability": 0.1, "log_odds": 1.0}


def comparison(
    result: dict[str, Any],
    lang: str,
    pending: Sequence[str] = (),
    explained: int | None = None,
    explanation: str = "",
) -> str:
    """Return the summary, the table (disagreements first) and, with gold labels, each model's marks.

    Args:
        result: What sentiment.compare returns.
        lang: "ko" or "en".
        pending: Models that have not answered yet; their columns wait.
        explained: Index in result["rows"] of the row that `explanation` (HTML) opens under.
        explanation: HTML of `words`.
    """
    failed = {name: facts["error"] for name, facts in result["models"].items() if "error" in facts}
    models = [name for name in (*result["models"], *pending) if name not in failed]
    rows = result["rows"]
    place = {id(row): i for i, row in enumerate(rows)}
    shown = disagreements_first(rows)
    # An explained row stays on screen, however far down it stands.
    shown = [row for i, row in enumerate(shown) if i < MOST_ROWS or place[id(row)] == explained]
    head = "".join(_head(name, result["models"].get(name), len(rows), lang) for name in models)
    body = ""
    for row in shown:
        i = place[id(row)]
        cells = "".join(_cell(name, result["models"].get(name), row, lang) for name in models)
        opened = i == explained
        body += (
            f'<tr class="{_row_class(row)}">{_sentence_cell(row, i, opened, bool(row["results"]), lang)}{cells}</tr>'
            + (f'<tr class="mc-sc-opened"><td colspan="{len(models) + 1}">{explanation}</td></tr>' if opened else "")
        )
    hidden = len(rows) - len(shown)
    more = f'<p class="mc-hint">{esc(say(lang, "sentiment.more_rows", count=hidden))}</p>' if hidden else ""
    quick = any(facts.get("rounded") for facts in result["models"].values())
    rounded = f'<p class="mc-hint">{esc(say(lang, "sentiment.rounded"))}</p>' if quick else ""
    return (
        f'<p class="mc-sc-summary">{summary(result, lang)}</p>{_ranking(result, lang)}{_failures(failed, lang)}'
        f'<div class="mc-scroll mc-sc-box" tabindex="0" role="region" aria-label="{esc(say(lang, "sentiment.table"))}">'
        f'<table class="mc-sc"><thead><tr><th scope="col">{esc(say(lang, "sentiment.sentence"))}</th>{head}</tr>'
        "</thead>"
        f"<tbody>{body}</tbody></table></div>{more}"
        f"{marks(result, lang)}"
        f'<p class="mc-hint">{esc(say(lang, "sentiment.score_hint"))}</p>{rounded}'
        f"{_csv_button(rows, [name for name in models if name not in pending], lang)}"
    )


def summary(result: dict[str, Any], lang: str) -> str:
    """Return one sentence on how far the models agree, as HTML."""
    rows = result["rows"]
    answered = [name for name, facts in result["models"].items() if "error" not in facts]
    compared = [row for row in rows if row["agree"] is not None]
    agreed = sum(row["agree"] for row in compared)
    if len(answered) < 2 or not compared:
        return esc(say(lang, "sentiment.one_model", count=len(rows)))
    key = "all_agree" if agreed == len(compared) else "none_agree" if not agreed else "some_agree"
    params = {"models": len(answered), "agreed": agreed, "differ": len(compared) - agreed, "count": len(compared)}
    return esc(say(lang, f"sentiment.{key}", **params))


def short(name: str) -> str:
    """Return a model's id without its owner."""
    return name.rpartition("/")[2]


def polarity(value: str | None, lang: str) -> str:
    """Return a glyph and a word in the colour of a polarity."""
    if value not in GLYPHS:
        return f'<span class="mc-sc-unknown">? {esc(say(lang, "polarity.unknown"))}</span>'
    return f'<span class="mc-sc-{value}"><i aria-hidden="true">{GLYPHS[value]}</i> {esc(_word(value, lang))}</span>'


def marks(result: dict[str, Any], lang: str) -> str:
    """Return accuracy, macro-F1 and confusion matrix of each model that was measured, else nothing."""
    measured = {name: facts for name, facts in result["models"].items() if facts.get("labelled")}
    if not measured:
        return ""
    best = max(facts["accuracy"] for facts in measured.values())
    cards = "".join(_mark(name, facts, facts["accuracy"] == best, lang) for name, facts in measured.items())
    return (
        f'<section class="mc-sc-marks"><h3>{esc(say(lang, "sentiment.marks"))}</h3>'
        f'<div class="mc-sc-cards">{cards}</div><p class="mc-hint">{esc(say(lang, "sentiment.f1_hint"))}</p></section>'
    )


def words(text: str, explanations: dict[str, Any], pending: Sequence[str], row: int, method: str, lang: str) -> str:
    """Return a sentence painted once per model with the weight of each word.

    Args:
        text: The sentence.
        explanations: {model: result of importance.explain, or the VisitorError it raised}.
        pending: Models still at work.
        row: Index of the sentence in the comparison, for the buttons.
        method: "leave_one_out" or "gradient".
    """
    switch = "".join(
        f'<button type="button" data-why="{row}" data-method="{name}" aria-pressed="{str(name == method).lower()}">'
        f"{esc(say(lang, f'sentiment.{name}'))}</button>"
        for name in ("leave_one_out", "gradient")
    )
    painted = "".join(
        f'<div class="mc-sc-why"><p><b title="{esc(name)}">{esc(short(name))}</b> {_said(found, lang)}</p>'
        f"{_painted(text, found, lang)}</div>"
        for name, found in explanations.items()
    )
    waiting = "".join(f'<p class="mc-wait"><b>{esc(short(name))}</b> …</p>' for name in pending)
    how, close = esc(say(lang, "sentiment.how")), esc(say(lang, "sentiment.close"))
    return (
        f'<div class="mc-sc-words"><div class="mc-sc-switch" role="group" aria-label="{how}">{switch}'
        f'<button type="button" data-why="-1" aria-label="{close}">✕</button></div>'
        f"{painted}{waiting}"
        f'<p class="mc-hint">{esc(say(lang, "sentiment.legend"))} {esc(say(lang, f"sentiment.{method}_hint"))}</p>'
        "</div>"
    )


def example_file(path: Path, text: str) -> str:
    """Return a link that saves an example table; it travels in the link itself, so no file is served."""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<a class="mc-sc-file" download="{esc(path.name)}" href="data:text/csv;base64,{data}">{text}</a>'


def _word(value: str, lang: str) -> str:
    return say(lang, f"polarity.{value}")


def _ranking(result: dict[str, Any], lang: str) -> str:
    measured = [(facts["accuracy"], name) for name, facts in result["models"].items() if facts.get("labelled")]
    if not measured:
        return ""
    ranked = sorted(measured, key=lambda pair: -pair[0])
    listed = " · ".join(f"{short(name)} {100 * accuracy:.0f} %" for accuracy, name in ranked)
    return f'<p class="mc-sc-ranking">{esc(say(lang, "sentiment.ranking", list=listed))}</p>'


def _failures(failed: dict[str, dict[str, Any]], lang: str) -> str:
    """A model that failed gets a sentence instead of an empty column."""
    return "".join(
        f'<p class="mc-error">{esc(sentence(VisitorError(error["key"], **error["params"]), lang))}</p>'
        for error in failed.values()
    )


def _row_class(row: dict[str, Any]) -> str:
    return {True: "mc-sc-same", False: "mc-sc-differ", None: ""}[row["agree"]]


def _sentence_cell(row: dict[str, Any], i: int, opened: bool, explainable: bool, lang: str) -> str:
    differ = f'<span class="mc-sc-mark">≠ {esc(say(lang, "sentiment.differ"))}</span>' if row["agree"] is False else ""
    gold = ""
    if row.get("gold"):
        gold = f'<span class="mc-sc-gold">{esc(say(lang, "sentiment.gold"))} {polarity(row["gold"], lang)}</span>'
    why = (
        f'<button type="button" class="mc-sc-ask" data-why="{-1 if opened else i}" '
        f'aria-expanded="{str(opened).lower()}">'
        f"{esc(say(lang, 'sentiment.why'))}</button>"
        if explainable
        else ""
    )
    return (
        f'<th scope="row"><span class="mc-sc-text">{esc(row["text"])}</span>'
        f'<span class="mc-sc-below">{differ}{gold}{why}</span></th>'
    )


def _head(name: str, facts: dict[str, Any] | None, count: int, lang: str) -> str:
    owner = name.rpartition("/")[0]
    title = f'<small>{esc(owner)}/</small><b title="{esc(name)}">{esc(short(name))}</b>'
    if facts is None:
        return f'<th scope="col" class="mc-sc-waiting">{title}<small>{esc(say(lang, "sentiment.waiting"))}</small></th>'
    speed = say(lang, "sentiment.ms_each", ms=f"{facts['ms'] / max(1, count):,.1f}")
    size = f"{facts['size_mb']:,.0f} MB" if facts["size_mb"] else None
    known = ", ".join(facts["languages"]) or say(lang, "sentiment.language_unknown")
    taught = table(lang).get(f"trained_on.{facts['trained_on']}")
    lesson = f'<small class="mc-sc-taught" title="{esc(taught)}">{esc(taught)}</small>' if taught else ""
    line = esc(" · ".join(part for part in (known, size) if part))
    return f'<th scope="col">{title}<small>{line}</small><small>{esc(speed)}</small>{lesson}</th>'


def _cell(name: str, facts: dict[str, Any] | None, row: dict[str, Any], lang: str) -> str:
    model = f'data-model="{esc(short(name))}"'
    if facts is None:
        return f'<td {model} class="mc-sc-waiting">…</td>'
    answer = row["results"][name]
    right = ""
    if row.get("gold"):
        ok = answer["polarity"] == row["gold"]
        key = "sentiment.right" if ok else "sentiment.wrong"
        css = "mc-sc-right" if ok else "mc-sc-wrong"
        right = f'<span class="{css}" role="img" aria-label="{esc(say(lang, key))}">{"✓" if ok else "✗"}</span>'
    width = max(0.0, min(100.0, 100 * answer["score"]))
    foreign = ""
    if answer["foreign"]:
        key = "sentiment.foreign_ko" if is_korean(row["text"]) else "sentiment.foreign"
        foreign = f'<span class="mc-sc-foreign">⚠ {esc(say(lang, key))}</span>'
    return (
        f'<td {model}><div class="mc-sc-verdict">{polarity(answer["polarity"], lang)}<b>{width:.1f} %</b>{right}</div>'
        f'<div class="mc-sc-bar mc-sc-{answer["polarity"] or "unknown"}"><i style="width:{width:.1f}%"></i></div>'
        f'<div class="mc-sc-raw"><small>{esc(str(answer["label"]))} {answer["score"]:.3f}</small>{foreign}</div></td>'
    )


def _csv_button(rows: list[dict[str, Any]], models: list[str], lang: str) -> str:
    # Character references: a parser would fold CR LF, and drop a BOM at the start of nothing else.
    text = esc(to_csv(rows, models).decode("utf-8-sig")).replace("\r", "&#13;").replace("\n", "&#10;")
    return (
        f'<div class="mc-tools"><button type="button" data-mc="download" data-name="sentiment.csv" '
        f'data-text="&#xFEFF;{text}">{esc(say(lang, "sentiment.csv"))}</button></div>'
    )


def _mark(name: str, facts: dict[str, Any], best: bool, lang: str) -> str:
    right = round(facts["accuracy"] * facts["labelled"])
    counted = esc(say(lang, "sentiment.right_of", right=right, count=facts["labelled"]))
    asked = sum(facts["confusion"][1])
    remarks = []
    if asked and "neutral" not in facts["says"]:
        remarks.append(say(lang, "sentiment.no_neutral", count=asked))
    if facts["unmapped"]:
        remarks.append(say(lang, "sentiment.unmapped", count=facts["unmapped"]))
    notes = "".join(f'<p class="mc-hint">{esc(remark)}</p>' for remark in remarks)
    star = " ★" if best else ""
    return (
        f'<article class="mc-sc-card"><h4 title="{esc(name)}">{esc(short(name))}{star}</h4>'
        f'<p class="mc-sc-accuracy"><b>{100 * facts["accuracy"]:.1f} %</b> {counted}</p>'
        f'<p class="mc-soft">macro-F1 {facts["macro_f1"]:.3f}</p>{_confusion(facts["confusion"], lang)}{notes}'
        "</article>"
    )


def _confusion(matrix: list[list[int]], lang: str) -> str:
    """Return the counts as a heatmap: a row is shaded by its own share, so rare classes show as well as common ones."""
    head = "".join(f'<th scope="col" title="{esc(_word(p, lang))}">{GLYPHS[p]}</th>' for p in POLARITIES)
    body = ""
    for i, answer in enumerate(POLARITIES):
        total = sum(matrix[i])
        cells = "".join(_heat(count, total, i == j) for j, count in enumerate(matrix[i]))
        body += f'<tr><th scope="row">{GLYPHS[answer]} {esc(_word(answer, lang))}</th>{cells}</tr>'
    return (
        f'<table class="mc-heat mc-sc-confusion"><caption>{esc(say(lang, "sentiment.confusion"))}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _heat(count: int, total: int, diagonal: bool) -> str:
    share = count / total if total else 0
    ink = "#fff" if share > 0.55 else "var(--mc-ink)"
    css = ' class="mc-sc-diagonal"' if diagonal else ""
    return f'<td{css} style="background:rgb(0 84 140 / {share:.2f});color:{ink}">{count}</td>'


def _said(found: Any, lang: str) -> str:
    if isinstance(found, Exception):
        return ""
    return f"{polarity(found['polarity'], lang)} <small>{esc(str(found['label']))} {100 * found['score']:.1f} %</small>"


def _painted(text: str, found: Any, lang: str) -> str:
    if isinstance(found, VisitorError):
        return f'<p class="mc-hint">{esc(sentence(found, lang))}</p>'
    weights = [word["weight"] for word in found["words"]]
    largest = max(map(abs, weights), default=0.0)
    scale = max(largest, SCALES[found["unit"]])
    parts, at = [], 0
    for word in found["words"]:
        parts.append(esc(text[at : word["start"]]) + _word_span(word, scale, found))
        at = word["end"]
    rest = text[at:]
    tail = f'<span class="mc-sc-rest" title="{esc(say(lang, "note.first_words"))}">{esc(rest)}</span>' if rest else ""
    calm = ""
    if largest < SCALES[found["unit"]] / 4:
        calm = f'<p class="mc-hint">{esc(say(lang, "sentiment.no_single_word"))}</p>'
    return f'<p class="mc-sc-line">{"".join(parts)}{tail}</p>{calm}'


def _word_span(word: dict[str, Any], scale: float, found: dict[str, Any]) -> str:
    weight = word["weight"]
    percent = found["unit"] == "probability"
    amount = f"{100 * weight:+.1f}" if percent else f"{weight:+.2f}"
    strength = min(1.0, abs(weight) / scale)
    number = f"<small>{amount}</small>" if strength >= 0.1 else "<small></small>"
    css = f"mc-sc-for mc-sc-{found['polarity'] or 'unknown'}" if weight >= 0 else "mc-sc-against"
    return (
        f'<span class="mc-sc-word {css if strength >= 0.1 else ""}" style="--weight:{100 * strength:.0f}%" '
        f'title="{amount}">{esc(word["word"])}{number}</span>'
    )
