"""Text that a model writes, as HTML: its tokens, what else could have stood in each place, and earlier versions.

assets/writing.js draws the bars of the place that is looked at from the numbers in `data-tokens`, so that they travel
once and not with every token. Everything a visitor or a model wrote is escaped here.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.run import Run
from tabs._i18n import say

esc = html.escape
HUES = 8
SNIPPET = 48
WORDS = ("after", "before", "go", "others", "place", "written")
FACTS = ("temperature", "top_k", "top_p", "num_beams", "repetition_penalty")


@dataclass(frozen=True)
class Version:
    """One text of the list of versions.

    Attributes:
        number: Counts from 1 for each visitor.
        arguments: What it was asked for with, seed and `begun` included.
        run: What came of it.
        swapped: Places of the tokens that were chosen by hand.
        change: The last of these changes: (the token before, the token now).
    """

    number: int
    arguments: dict[str, Any]
    run: Run
    swapped: tuple[int, ...] = ()
    change: tuple[str, str] | None = None


def generate(
    result: dict[str, Any], arguments: dict[str, Any], lang: str, version: Version | None = None, live: bool = False
) -> str:
    """Return a text as tokens to choose from.

    Args:
        result: {text, tokens}, or with beams while they are weighed.
        arguments: What it was asked for with.
        lang: "ko" or "en".
        version: Its place among the versions.
        live: It is being written: nothing in it can be pressed yet.
    """
    tokens = result["tokens"]
    elsewhere = version is not None and version.run.provider is not None
    told = not elsewhere or any(each["alternatives"] for each in tokens)
    swapped = version.swapped if version else ()
    numbers = _attribute([_numbers(each) for each in (tokens[-1:] if live else tokens)])
    # What was changed last is looked at, so that its other alternatives are at hand; stepping, it is the newest token.
    stepping = arguments.get("max_new_tokens") == 1 or not swapped or live
    at = len(tokens) - 1 if stepping else swapped[-1]
    words = {name: say(lang, f"write.{name}", **_blanks(name)) for name in WORDS}
    spans = "".join(_token(each["token"], place, place in swapped, lang) for place, each in enumerate(tokens))
    longest = len(arguments["prompt"]) + 4 * int(arguments.get("max_new_tokens") or 0)
    beams = "".join(f"<li>{esc(beam[len(result['text']) :])}</li>" for beam in result.get("beams", ()))
    searching = f'<p class="mc-soft">{esc(say(lang, "write.beams"))}</p><ol class="mc-beams">{beams}</ol>'
    hint = "write.hint" if not elsewhere else "write.elsewhere_hint" if told else "write.elsewhere_plain"
    # A chat model's answer begins on a line of its own; where no chances are told, there is nothing to draw.
    prompt = esc(arguments["prompt"]) + ("\n\n" if elsewhere and version.run.method == "method.remote_chat" else "")
    return (
        f'<div class="mc-written" data-live="{int(live)}" data-version="{version.number if version else 0}" '
        f'data-fixed="{int(elsewhere)}"{"" if told else " data-drawn"} '
        f'data-at="{at}" data-words="{_attribute(words)}" data-tokens="{numbers}">'
        f'<p class="mc-text mc-generated" role="group" aria-label="{esc(say(lang, "write.text"))}" '
        f'style="--mc-long:{min(longest, 900)}"><span class="mc-prompt">{prompt}</span>{spans}</p>'
        + (f'<div class="mc-next">{searching if beams else ""}</div>' if told else "")
        + f'<p class="mc-hint">{esc(say(lang, hint))}</p>{_facts(arguments, lang)}</div>'
    )


def versions(all_of_them: Sequence[Version], shown: int, lang: str, live: bool = False) -> str:
    """Return the list of versions, newest first, each a button that shows it again; nothing for a single one."""
    if len(all_of_them) < 2:
        return ""
    rows = "".join(_version(each, each.number == shown, lang, live) for each in all_of_them)
    title = esc(say(lang, "write.versions"))
    return f'<section class="mc-versions"><h4>{title}</h4><ol>{rows}</ol></section>'


def _version(version: Version, shown: bool, lang: str, live: bool) -> str:
    tokens = version.run.result["tokens"]
    rest = "".join(each["token"] for each in tokens[version.swapped[-1] if version.swapped else 0 :])
    snippet = " ".join(rest.split())
    snippet = snippet[:SNIPPET].rstrip() + "…" if len(snippet) > SNIPPET else snippet
    if version.change:
        old, new = (each.strip() or each.replace("\n", "↵").replace(" ", "␣") for each in version.change)
        what = say(lang, "write.change", old=old, new=new)
    else:
        seed = version.arguments.get("seed")
        what = say(lang, f"write.{method(version.arguments)}") + (f" · seed {seed}" if seed is not None else "")
    return (
        f'<li><button type="button" data-version="{version.number}" aria-current="{str(shown).lower()}"'
        f"{' disabled' if live else ''}><b>{version.number}</b> <span>{esc(what)}</span> "
        f"<small>{esc(snippet)}</small></button></li>"
    )


def method(arguments: dict[str, Any]) -> str:
    """Return "sample", "greedy" or "beam"."""
    if (arguments.get("num_beams") or 1) > 1:
        return "beam"
    return "greedy" if arguments.get("temperature") == 0 else "sample"


def _facts(arguments: dict[str, Any], lang: str) -> str:
    """Return the line of the settings that had an effect, and the seed with a button that keeps it."""
    how = method(arguments)
    named = [f"{name} {arguments[name]:g}" for name in FACTS if arguments.get(name) is not None]
    if how == "greedy":
        named.remove("temperature 0")
    seed, keep = arguments.get("seed"), ""
    if seed is not None:
        named.append(f"seed {seed}")
        keep = (
            f' <button type="button" class="mc-chip" data-seed="{esc(str(seed))}">'
            f"{esc(say(lang, 'write.keep_seed'))}</button>"
        )
    facts = " · ".join([say(lang, f"write.{how}"), *named])
    return f'<p class="mc-facts"><span>{esc(facts)}</span>{keep}</p>'


def _token(token: str, place: int, swapped: bool, lang: str) -> str:
    # Not buttons: these break a line only around them, and swallow a line break inside.
    more = f' title="{esc(say(lang, "write.swapped"))}"' if swapped else ""
    css = f"mc-token mc-hue-{place % HUES}" + (" mc-swapped" if swapped else "")
    shown = esc(token).replace("\n", '<span class="mc-ws">↵</span>\n')
    return f'<span class="{css}"{more}>{shown}</span>'


def _numbers(entry: dict[str, Any]) -> list[Any]:
    """Return [token, id, probability, [[token, id, probability] of each alternative]].

    A provider tells no ids; the script needs some to tell the written token from the others.
    """
    names = [each["token"] for each in entry["alternatives"]]
    own = names.index(entry["token"]) if entry["token"] in names else len(names)
    others = [
        [each["token"], _id(each, place), round(each["probability"], 5)]
        for place, each in enumerate(entry["alternatives"])
    ]
    return [entry["token"], _id(entry, own), round(entry.get("probability") or 0, 5), others]


def _id(entry: dict[str, Any], place: int) -> int:
    return -1 - place if entry.get("id") is None else entry["id"]


def _blanks(name: str) -> dict[str, str]:
    """The script fills these in."""
    blanks = {"go": ("token", "share"), "place": ("place", "count")}.get(name, ())
    return {blank: f"{{{blank}}}" for blank in blanks}


def _attribute(value: Any) -> str:
    return esc(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
