"""The closer looks at tokens as HTML: batch matrix, bytes and jamo, round trip, vocabulary, chat, BPE, cost.

Pure functions; everything that a visitor or a vocabulary wrote is escaped here.
"""

from __future__ import annotations

import json
from difflib import SequenceMatcher

from tabs._i18n import say
from tabs._tokens import chip, esc, line_break, plain, spelled, stable_hue, t

MOST_ROWS, MOST_COLUMNS = 12, 48
MOST_COMPARED = 400
MATRICES = ("input_ids", "attention_mask", "token_type_ids")


def why(key: str, lang: str) -> str:
    """Return the line that says what a view shows and why it matters."""
    return f'<p class="tk-lead">{t(lang, f"{key}")}</p>'


def hint(key: str, lang: str, **params: object) -> str:
    return f'<p class="mc-hint">{t(lang, key, **params)}</p>'


def section(name: str, body: str) -> str:
    """Return one tokenizer's part of a view; `body` is HTML."""
    return f'<section class="tk-card"><h4>{esc(name)}</h4>{body}</section>'


def matrix(entries: list[dict], pieces: list[list[str | bytes]], lang: str) -> str:
    """Return input_ids, attention_mask and token_type_ids of several sentences as aligned tables.

    Args:
        entries: Entries of `pipelines.tokenizer.tokenize`, one a sentence.
        pieces: What each token of each sentence spells.
        lang: "ko" or "en".
    """
    shown, columns = entries[:MOST_ROWS], min(MOST_COLUMNS, max(len(entry["ids"]) for entry in entries))
    tables = []
    for name in MATRICES:
        values = {"input_ids": "ids"}.get(name, name)
        if shown[0][values] is None:
            tables.append(f'<p class="tk-matrix-name">{name}</p>{hint("no_type_ids", lang)}')
            continue
        rows = "".join(
            f'<tr><th scope="row">{number}</th>{_cells(entry, values, spelled_row, columns)}</tr>'
            for number, (entry, spelled_row) in enumerate(zip(shown, pieces, strict=False), start=1)
        )
        shape = f"({len(entries)}, {len(entries[0]['ids'])})" if _even(entries) else f"({len(entries)}, ?)"
        tables.append(
            f'<p class="tk-matrix-name">{name} <small>{shape}</small></p><table class="tk-matrix">{rows}</table>'
        )
    cut = len(entries) > MOST_ROWS or max(len(entry["ids"]) for entry in entries) > MOST_COLUMNS
    note = hint("cut_table", lang, rows=len(shown), columns=columns) if cut else ""
    return f'<div class="mc-scroll" tabindex="0" role="group" aria-label="input_ids">{"".join(tables)}</div>{note}'


def _even(entries: list[dict]) -> bool:
    return len({len(entry["ids"]) for entry in entries}) == 1


def _cells(entry: dict, values: str, pieces: list[str | bytes], columns: int) -> str:
    out = []
    for place in range(min(columns, len(entry["ids"]))):
        css = "tk-pad" if not entry["attention_mask"][place] else "tk-sp" if entry["special_mask"][place] else ""
        token = f"<small>{spelled(pieces[place])}</small>" if values == "ids" else ""
        out.append(f'<td class="{css}">{token}{entry[values][place]}</td>')
    return "".join(out)


def byte_table(view: dict, lang: str) -> str:
    """Return each character with its jamo and its bytes, coloured by the token that holds them."""
    boxes = []
    for row in view["characters"]:
        cells = "".join(_byte(view, byte, token) for byte, token in row["bytes"])
        jamo = f'<span class="tk-jamo">{esc(" ".join(row["letters"]))}</span>' if row["letters"] else ""
        boxes.append(
            f'<div class="tk-char{" tk-split" if row["split"] else ""}"><b>{spelled(row["char"])}</b>{jamo}'
            f'<small>{esc(" ".join(row["codepoints"][:3]))}</small><span class="tk-bytes">{cells}</span></div>'
        )
    total, split = len(view["characters"]), sum(row["split"] for row in view["characters"])
    note = hint("bytes_changed", lang) if view["changed"] else ""
    return f'{note}{hint("split_count", lang, n=split, total=total)}<div class="tk-chars">{"".join(boxes)}</div>'


def _byte(view: dict, byte: str, token: int | None) -> str:
    if token is None:
        return f"<span>{byte}</span>"
    owner = view["tokens"][token]
    return f'<span class="mc-hue-{token % 8}" title="{esc(owner["token"])} · {owner["id"]}">{byte}</span>'


def trip(result: dict, lang: str) -> str:
    """Return a text and what came back of it, the first difference marked."""
    if result["equal"]:
        return f'<p class="tk-same">{t(lang, "same")}</p><p class="tk-trip">{esc(result["decoded"])}</p>'
    reasons = "".join(f"<li>{t(lang, f'reason_{name}')}</li>" for name in result["reasons"])
    return f'<p class="tk-differs">{t(lang, "differs")}</p><ul>{reasons}</ul><p class="tk-trip">{_marked(result)}</p>'


def _marked(result: dict) -> str:
    """Mark what came back otherwise; in a long text, too dear to compare, all from the first difference on."""
    text, decoded, at = result["text"], result["decoded"], result["first_difference"]
    if max(len(text), len(decoded)) > MOST_COMPARED:
        return f'{esc(decoded[:at])}<mark class="tk-mark">{esc(decoded[at:])}</mark>'
    parts = []
    for kind, _, _, start, end in SequenceMatcher(None, text, decoded, autojunk=False).get_opcodes():
        part = esc(decoded[start:end])
        parts.append(part if kind == "equal" else f'<mark class="tk-mark">{part or "∅"}</mark>')
    return "".join(parts)


def found(result: dict, query: str, lang: str) -> str:
    """Return what a vocabulary holds of a query."""
    size = f"<small>{t(lang, 'vocabulary_size', n=format(result['size'], ','))}</small>"
    if result["entry"]:
        top = f'<p class="tk-entry">{_pair(result["entry"], 0)}</p>'
    else:
        parts = "".join(_pair(entry, place % 8) for place, entry in enumerate(result["pieces"]))
        cut = f"<p>{t(lang, 'cut_into')} {parts}</p>" if parts else ""
        top = f"<p>{t(lang, 'no_entry', query=query)}</p>{cut}"
    shown, total = len(result["matches"]), result["n_matches"]
    if not total:
        return size + top + hint("no_matches", lang)
    key = "found" if shown == total else "found_first"
    heading = t(lang, f"{key}", n=f"{total:,}", shown=shown)
    pairs = "".join(_pair(entry, place % 8) for place, entry in enumerate(result["matches"]))
    return f'{size}{top}<p class="mc-hint">{heading}</p><div class="tk-pairs">{pairs}</div>'


def _pair(entry: dict, hue: int) -> str:
    css = "tk tk-special" if entry["special"] else f"tk mc-hue-{hue}"
    return (
        f'<span class="tk-pair"><span class="{css}" title="{esc(entry["token"])}">{spelled(entry["text"])}</span>'
        f"<small>{entry['id']}</small></span>"
    )


def conversation(view: dict, pieces: list[str | bytes], lang: str) -> str:
    """Return a conversation as the model reads it, each token in the colour of who speaks."""
    legend = "".join(
        f'<span><span class="tk tk-role-{role}">{t(lang, f"role_{role}")}</span></span>'
        for role in ("system", "user", "assistant", "template")
    )
    tokens = "".join(
        f'<span class="tk {"tk-special" if role == "special" else f"tk-role-{role}"}" data-id="{number}" '
        f'title="{esc(f"{token} · {number}")}">{spelled(piece)}</span>{line_break(piece)}'
        for piece, token, number, role in zip(pieces, view["tokens"], view["ids"], view["roles"], strict=True)
    )
    return (
        f'<p class="tk-legend">{legend}</p>{hint("chat_tokens", lang, n=len(view["ids"]))}'
        f'<div class="tk-text">{tokens}</div><details><summary>{t(lang, "chat_text")}</summary>'
        f'<pre class="tk-pre">{esc(view["text"])}</pre></details>'
    )


def replay(learned: dict, n_characters: int, lang: str) -> str:
    """Return the learned merges with a slider; assets/tokenizer.js replays them in the browser.

    The page gets the first step, the merges and the counts of each step; it joins the tokens itself.
    """
    steps, merges = learned["steps"], learned["merges"]
    if not merges:
        return hint("bpe_nothing", lang)
    data = {
        "tokens": steps[0]["tokens"],
        "merges": merges,
        "counts": [[step["n_tokens"], step["vocabulary"]] for step in steps],
        "words": {key: say(lang, f"tokenizer.{key}", **params) for key, params in (("step_start", {}),
                  ("step_seen", {"n": "{n}"}), ("play", {}), ("pause", {}))},
    }  # fmt: skip
    last, last_count = len(merges), steps[-1]["n_tokens"]
    width = f"{100 * last_count / steps[0]['n_tokens']:.1f}%"
    tokens, before = [], None
    for token in steps[-1]["tokens"]:
        before = stable_hue(token, before)
        tokens.append(f'<span class="tk mc-hue-{before}">{esc(token)}</span>')
    rules = "".join(
        f'<span class="tk-rule" data-step="{number}">{esc(left + right)}</span>'
        for number, (left, right, _) in enumerate(merges, start=1)
    )
    packed = esc(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    return (
        f'<div class="tk-replay" data-replay="{packed}"><div class="tk-replay-bar">'
        f'<button type="button" class="mc-chip" data-tk="play">▶ {t(lang, "play")}</button>'
        f'<input type="range" min="0" max="{last}" value="{last}" step="1" aria-label="{t(lang, "step")}">'
        f"<output>{last} / {last}</output></div>"
        f'<p class="tk-caption" aria-live="polite">{_caption(merges[-1], lang)}</p>'
        f'<p class="tk-figures"><span class="tk-count"><b class="tk-n">{last_count:,}</b> {t(lang, "in_text")}</span>'
        f'<span class="tk-bar" aria-hidden="true"><span style="width:{width}"></span></span>'
        f'<span class="tk-facts">{t(lang, "vocabulary")} <b class="tk-v">{steps[-1]["vocabulary"]:,}</b></span></p>'
        f'<div class="tk-text tk-small">{"".join(tokens)}</div>{hint("bpe_shown", lang) if n_characters > 400 else ""}'
        f'<p class="mc-hint">{t(lang, "learned")}</p><div class="tk-rules">{rules}</div></div>'
    )


def _caption(merge: list, lang: str) -> str:
    left, right, count = merge
    seen = t(lang, "step_seen", n=f"{count:,}")
    return f"<b>{esc(left)}</b> + <b>{esc(right)}</b> → <b>{esc(left + right)}</b> <small>{seen}</small>"


def costs(usual: dict, own: dict | None, lang: str) -> str:
    """Return the tokens of the same content in Korean and in English, for each tokenizer."""
    parts = []
    for heading, found_ in (("your_pair", own), ("usual_pairs", usual)):
        if found_ is None:
            continue
        longest = max(max(one["ko"], one["en"]) for one in found_.values())
        rows = "".join(_cost(name, one, longest, lang) for name, one in found_.items())
        parts.append(f"<h4>{t(lang, f'{heading}')}</h4>{rows}")
    names = list(usual)
    head = "".join(f'<th colspan="2">{esc(name)}</th>' for name in names)
    body = "".join(
        f"<tr><td>{esc(row['ko'])}<br><small>{esc(row['en'])}</small></td>"
        + "".join(
            f"<td>{usual[n]['rows'][i]['ko_tokens']}</td><td>{usual[n]['rows'][i]['en_tokens']}</td>" for n in names
        )
        + "</tr>"
        for i, row in enumerate(usual[names[0]]["rows"])
    )
    sides = f"<th>{t(lang, 'korean')}</th><th>{t(lang, 'english')}</th>" * len(names)
    table = f'<table class="tk-pairs-table"><tr><td></td>{head}</tr><tr><td></td>{sides}</tr>{body}</table>'
    return (
        "".join(parts) + f"<details><summary>{t(lang, 'each_sentence')}</summary>"
        f'<div class="mc-scroll" tabindex="0">{table}</div></details>'
    )


def _cost(name: str, one: dict, longest: int, lang: str) -> str:
    doubt = f" <small>({t(lang, 'ratio_unknown')})</small>" if one["ko_unknown"] > 0.05 * one["ko"] else ""
    bars = "".join(
        f'<span class="tk-side">{t(lang, word)}</span><span class="tk-bar tk-{side}">'
        f'<span style="width:{100 * one[side] / max(1, longest):.1f}%"></span></span>'
        f'<span class="tk-side-n">{one[side]:,}</span>'
        for side, word in (("ko", "korean"), ("en", "english"))
    )
    return (
        f'<div class="tk-cost"><p><b>{esc(name)}</b> <b class="tk-times">{one["ratio"]:.2f} ×</b>{doubt}</p>'
        f'<div class="tk-cost-bars">{bars}</div></div>'
    )


def level(name: str, entry: dict, pieces: list[str | bytes], lang: str, most: int = 300) -> str:
    """Return one way to cut a text, with how many tokens and how many different ones it makes."""
    tokens = "".join(
        chip(piece, number, f"{plain(piece)} · {number}", place % 8, special=bool(special))
        for place, (piece, number, special) in enumerate(
            zip(pieces[:most], entry["ids"], entry["special_mask"], strict=False)
        )
    )
    counts = f"<b>{len(entry['ids']):,}</b> {t(lang, 'n_tokens')}"
    distinct = t(lang, "distinct", n=f"{len(set(entry['ids'])):,}")
    return section(
        name, f'<p class="tk-figures"><span>{counts} · {distinct}</span></p><div class="tk-text">{tokens}</div>'
    )
