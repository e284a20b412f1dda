"""The text tab's answers as HTML: pure functions from a result to a string. Everything a visitor or a model wrote is
escaped here; nothing else makes HTML of it."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from tabs._i18n import say, table
from tabs._writing_views import generate

esc = html.escape
GLYPHS = {"negative": "▼", "neutral": "●", "positive": "▲"}
HUES = 8


def hint(key: str, lang: str) -> str:
    """Return a line of advice."""
    return f'<p class="mc-hint">{esc(say(lang, key))}</p>'


def percent(score: float) -> str:
    """Return a score as "97.3 %"."""
    return f"{100 * score:.1f} %"


def bar(name: str, score: float, css: str = "") -> str:
    """Return one labelled bar; `name` is HTML."""
    width = max(0.0, min(100.0, 100 * score))
    return (
        f'<div class="mc-bar {css}"><span class="mc-bar-name">{name}</span><span class="mc-bar-track">'
        f'<span class="mc-bar-fill" style="width:{width:.1f}%"></span></span>'
        f'<span class="mc-bar-score">{percent(score)}</span></div>'
    )


def polarity(value: str | None, lang: str) -> str:
    """Return ▲ positive, ● neutral or ▼ negative: a glyph, a word and a colour, never colour alone."""
    if value not in GLYPHS:
        return f'<span class="mc-polarity">{esc(say(lang, "polarity.unknown"))}</span>'
    return f'<span class="mc-polarity mc-{value}">{GLYPHS[value]} {esc(say(lang, f"polarity.{value}"))}</span>'


def sentiment(result: list[dict], arguments: dict, lang: str) -> str:
    cards = []
    for row in result:
        kind = row["polarity"] or "unknown"
        bars = "".join(
            bar(esc(name), score, f"mc-{kind}" if name == row["label"] else "mc-faint")
            for name, score in sorted(row["scores"].items(), key=lambda item: -item[1])[:5]
        )
        verdict = f"{polarity(row['polarity'], lang)} <small>{percent(row['score'])}</small>"
        quote = f'<p class="mc-quote">{esc(row["text"])}</p>'
        cards.append(f'<div class="mc-card">{quote}<p class="mc-big">{verdict}</p>{bars}</div>')
    return "".join(cards)


def zero_shot(result: dict, arguments: dict, lang: str) -> str:
    pairs = list(zip(result["labels"], result["scores"], strict=True))
    bars = "".join(bar(esc(name), score, "" if i == 0 else "mc-faint") for i, (name, score) in enumerate(pairs))
    return f'<p class="mc-big">{esc(pairs[0][0])} <small>{percent(pairs[0][1])}</small></p>{bars}'


def marked(text: str, spans: list[tuple[int, int, str, str]]) -> str:
    """Return a text with spans (start, end, css, caption) marked in it; overlapping spans are left out."""
    parts, at = [], 0
    for start, end, css, caption in sorted(spans):
        if start < at or end <= start:
            continue
        tag = f'<span class="mc-tag">{esc(caption)}</span>' if caption else ""
        parts.append(f'{esc(text[at:start])}<mark class="{css}">{esc(text[start:end])}{tag}</mark>')
        at = end
    return f'<p class="mc-text">{"".join(parts)}{esc(text[at:])}</p>'


def kind_of_name(entity: str, lang: str) -> str:
    """Return a model's name for a kind of entity with the plain word before it, where there is one: "place · LC"."""
    plain = table(lang).get(f"entity.{entity.lower()}")
    return entity if plain is None or plain == entity.lower() else f"{plain} · {entity}"


def entities(result: list[dict], arguments: dict, lang: str) -> str:
    if not result:
        return hint("text.no_entities", lang)
    kinds = sorted({row["entity"] for row in result})
    spans = [
        (
            row["start"],
            row["end"],
            f"mc-hue-{kinds.index(row['entity']) % HUES}",
            f"{kind_of_name(row['entity'], lang)} {percent(row['score'])}",
        )
        for row in result
    ]
    return marked(arguments["text"], spans)


def answer(result: dict, arguments: dict, lang: str) -> str:
    if not result["answer"]:
        return hint("text.no_answer", lang) + marked(arguments["context"], [])
    span = (result["start"], result["end"], "mc-hue-2", percent(result["score"]))
    return f'<p class="mc-big">{esc(result["answer"])}</p>{marked(arguments["context"], [span])}'


def fill_mask(result: list[dict], arguments: dict, lang: str) -> str:
    return "".join(
        bar(f"<b>{esc(row['token'])}</b>", row["score"]) + f'<p class="mc-filled">{esc(row["sentence"])}</p>'
        for row in result
    )


def summarize(result: dict, arguments: dict, lang: str) -> str:
    return f'<p class="mc-text">{esc(result["summary"])}</p>'


def translate(result: dict, arguments: dict, lang: str) -> str:
    return f'<p class="mc-text">{esc(result["translation"])}</p>'


def heatmap(rows: list[str], columns: list[str], matrix: list[list[float]]) -> str:
    """Return a table of cosines as one sequential map, with the number in each cell; titles are numbered."""
    head = "".join(f'<th scope="col" title="{esc(name)}">{i + 1}</th>' for i, name in enumerate(columns))
    body = "".join(
        f'<tr><th scope="row">{i + 1}. {esc(name)}</th>' + "".join(_cell(value) for value in matrix[i]) + "</tr>"
        for i, name in enumerate(rows)
    )
    return f'<div class="mc-scroll" tabindex="0"><table class="mc-heat"><tr><th></th>{head}</tr>{body}</table></div>'


def _cell(value: float) -> str:
    strength = max(0.0, min(1.0, value))
    ink = "#fff" if strength > 0.55 else "var(--mc-ink)"
    return f'<td style="background:rgb(0 84 140 / {strength:.2f});color:{ink}">{value:.2f}</td>'


def similarity(result: dict, arguments: dict, lang: str) -> str:
    texts = arguments["texts"]
    shape = " × ".join(str(n) for n in result["embeddings_shape"])
    return (
        heatmap(texts, texts, result["matrix"])
        + f'<p class="mc-soft">{esc(say(lang, "text.embeddings", shape=shape))}</p>'
    )


def keywords(result: list[dict], arguments: dict, lang: str) -> str:
    if not result:
        return hint("text.no_keywords", lang)
    return "".join(bar(esc(row["keyword"]), row["score"]) for row in result)


def entail(result: dict, arguments: dict, lang: str) -> str:
    scores = sorted(result["scores"].items(), key=lambda item: -item[1])
    bars = "".join(
        bar(esc(relation(name, lang)), score, "" if name == result["label"] else "mc-faint") for name, score in scores
    )
    return f'<p class="mc-big">{esc(relation(result["label"], lang))}</p>{bars}'


def relation(label: str, lang: str) -> str:
    """Return a model's label of a pair with the plain words before it, where there are some: "follows · entailment"."""
    plain = table(lang).get(f"relation.{label.lower()}")
    return label if plain is None else f"{plain} · {label}"


VIEWS: dict[str, Callable[[Any, dict, str], str]] = {
    function.__name__: function
    for function in (
        sentiment,
        zero_shot,
        entities,
        answer,
        fill_mask,
        generate,
        summarize,
        translate,
        similarity,
        keywords,
        entail,
    )
}


def stages(result: dict, lang: str) -> str:
    """Return the three stages of a pipeline: tokens and ids, the model's numbers, what is made of them."""
    tokens = "".join(
        f'<span class="mc-pair"><span>{esc(str(token))}</span><small>{esc(str(number))}</small></span>'
        for token, number in result["tokens"]
    )
    tensors = "".join(_tensor(tensor) for tensor in result["tensors"])
    post = "".join(f"<li>{esc(str(step))}</li>" for step in result["post"])
    parts = (("text.stage1", tokens), ("text.stage2", tensors), ("text.stage3", f"<ol>{post}</ol>"))
    return "".join(f'<section class="mc-stage"><h4>{esc(say(lang, key))}</h4>{body}</section>' for key, body in parts)


def _tensor(tensor: dict) -> str:
    numbers = " · ".join(f"{name} {tensor[name]:.3f}" for name in ("min", "max", "mean") if name in tensor)
    shape = " × ".join(str(size) for size in tensor["shape"])
    rows = "".join("<tr>" + "".join(map(_number, row)) + "</tr>" for row in tensor.get("sample", []))
    return (
        f"<p><b>{esc(tensor['name'])}</b> [{esc(shape)}] {esc(str(tensor.get('dtype', '')))} {numbers}</p>"
        f'<div class="mc-scroll" tabindex="0"><table class="mc-numbers">{rows}</table></div>'
    )


def _number(value: Any) -> str:
    return f"<td>{value:.3f}</td>" if isinstance(value, float) else f"<td>{esc(str(value))}</td>"
