"""Inside one tokenizer: its vocabulary, what a token spells, what decoding loses, what its chat template writes."""

from __future__ import annotations

import heapq
import re
import unicodedata
from itertools import accumulate
from typing import Any

from pipelines import catalog, chat_templates, inputs, jamo, loading
from pipelines.errors import VisitorError
from pipelines.simple_tokenizers import SIMPLE
from pipelines.tokenizer import tokenize, unknown_mask

ROLES = ("system", "user", "assistant")
MOST_MESSAGES = 50
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_vocabularies: dict[str, dict[int, str]] = {}


def lookup(tokenizer: str, query: object, most: int = 50) -> dict:
    """Look something up in a vocabulary, both ways.

    Args:
        tokenizer: Id of a tokenizer.
        query: A number is an id; anything else is a token, or a text.
        most: How many entries that contain the query to return.

    Returns:
        ``size`` of the vocabulary; ``entry`` ({id, token, text, special}) for the id or the token that the query
        names, or None; ``pieces``: the entries that the query is cut into as a text; ``matches``: entries that
        contain it, shortest first, and ``n_matches``, how many there are.

    Raises:
        VisitorError: empty_query, text_too_long, simple_tokenizer, and whatever `loading.tokenizer` says.
    """
    clean = inputs.text(query, limit=200, what="query")
    _no_simple(tokenizer)
    with loading.tokenizer_lock(tokenizer):
        tok = loading.tokenizer(tokenizer)
        vocabulary = _vocabulary(tokenizer, tok)
        special, kind = set(tok.all_special_ids), _kind(tok)
        parts = tok(clean, add_special_tokens=False, verbose=False)["input_ids"]
        forms = {clean, _written(kind, clean)}
        ids = [tok.convert_tokens_to_ids(form) for form in forms]

    def entry(number: int) -> dict:
        token = vocabulary[number]
        piece = _piece(kind, token)
        text = piece if isinstance(piece, str) else piece.hex(" ").upper()
        return {"id": number, "token": token, "text": text, "special": number in special}

    # Asked for a token that it does not hold, a tokenizer answers with the unknown token's id.
    found = [number for number in ids if number in vocabulary and vocabulary[number] in forms]
    if clean.strip().isascii() and clean.strip().isdigit():
        found = [number for number in (int(clean),) if number in vocabulary] + found
    matches = [(len(token), n) for n, token in vocabulary.items() if any(form in token for form in forms)]
    return {
        "size": len(vocabulary),
        "entry": entry(found[0]) if found else None,
        "pieces": [entry(number) for number in parts if number in vocabulary],
        "matches": [entry(number) for _, number in heapq.nsmallest(most, matches)],
        "n_matches": len(matches),
    }


def pieces(tokenizer: str, tokens: list[str]) -> list[str | bytes]:
    """Return what each token spells: a string, or bytes where it holds only part of a character.

    A leading space is a space (not Ġ or ▁). WordPiece's ## stays: it says that no space comes before.
    """
    if tokenizer in SIMPLE:
        return [_piece("byte_fallback" if tokenizer == "builtin/bytes" else "plain", token) for token in tokens]
    with loading.tokenizer_lock(tokenizer):
        tok = loading.tokenizer(tokenizer)
        kind, special = _kind(tok), set(tok.all_special_tokens)
    return [token if token in special else _piece(kind, token) for token in tokens]


def unknown_token(tokenizer: str) -> str | None:
    """Return the token that stands for what the vocabulary does not hold; None when nothing is unknown to it."""
    if tokenizer in SIMPLE:
        return None
    with loading.tokenizer_lock(tokenizer):
        tok = loading.tokenizer(tokenizer)
        return tok.unk_token if tok.unk_token_id is not None and any(unknown_mask(tok, [tok.unk_token_id])) else None


def byte_view(tokenizer: str, text: object, limit: int = 300) -> dict:
    """Say which bytes and letters of each character belong to which token.

    Returns:
        ``tokens`` ({token, id} each); ``characters`` (see `jamo.byte_owners`; indices point into tokens), and
        ``changed``: the tokenizer's normalizer changed the text first, and the characters are those it made.

    Raises:
        VisitorError: text_too_long above `limit` characters, and as `tokenize`.
    """
    clean = inputs.text(text, limit=limit)
    entry = tokenize(clean, [tokenizer], add_special_tokens=False).result[tokenizer][0]
    spelled = [p if isinstance(p, bytes) else p.encode("utf-8") for p in pieces(tokenizer, entry["tokens"])]
    whole = b"".join(spelled)
    changed = False
    if whole.removeprefix(b" ") == clean.encode("utf-8"):
        shown, owners = whole.decode("utf-8"), [i for i, piece in enumerate(spelled) for _ in piece]
    elif entry["offsets"] is None or (_is_byte_level(tokenizer) and not entry["n_unknown"]):
        changed = True
        shown = whole.decode("utf-8", errors="replace")
        owners = [i for i, piece in enumerate(spelled) for _ in piece][: len(shown.encode("utf-8"))]
        owners += [None] * (len(shown.encode("utf-8")) - len(owners))
    else:
        shown, owners = clean, _owners_by_offset(clean, entry["offsets"])
    return {
        "tokens": [{"token": t, "id": n} for t, n in zip(entry["tokens"], entry["ids"], strict=True)],
        "characters": jamo.byte_owners(shown, owners),
        "changed": changed,
    }


def round_trip(tokenizer: str, text: object) -> dict:
    """Encode a text, decode the ids, and say what was lost on the way.

    Returns:
        ``text``, ``decoded``, ``equal``, ``first_difference`` (index of a character, or None) and ``reasons``, any of
        "unknown", "lower", "accents", "nfd", "nfc", "nfkc", "spaces", "other".

    Raises:
        VisitorError: as `lookup`.
    """
    clean = inputs.text(text)
    _no_simple(tokenizer)
    with loading.tokenizer_lock(tokenizer):
        tok = loading.tokenizer(tokenizer)
        # The tokens that the tokenizer itself adds are left out here; <unk> and what the visitor typed stay.
        ids = tok(clean, add_special_tokens=False, verbose=False)["input_ids"]
        decoded = tok.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        unknown = any(unknown_mask(tok, ids))
    differs = next((i for i, (a, b) in enumerate(zip(clean, decoded, strict=False)) if a != b), None)
    if differs is None and len(clean) != len(decoded):
        differs = min(len(clean), len(decoded))
    reasons = [] if decoded == clean else _reasons(clean, decoded, unknown)
    return {
        "text": clean,
        "decoded": decoded,
        "equal": decoded == clean,
        "first_difference": differs,
        "reasons": reasons,
    }


def chat_view(tokenizer: str, messages: object, add_generation_prompt: bool = True) -> dict:
    """Write a conversation as the tokenizer's own chat template does, and tokenize it.

    Args:
        tokenizer: Id of a tokenizer.
        messages: [{"role": "system" | "user" | "assistant", "content": text}].
        add_generation_prompt: End where the assistant would begin to answer.

    Returns:
        ``text``; ``tokens``, ``ids``, ``offsets``; and ``roles``: for each token the role whose content it stands in,
        "special" for control tokens, "template" for what the template wrote around them.

    Raises:
        VisitorError: no_chat_template, chat_template_failed, bad_messages, too_many_texts, and as `lookup`.
    """
    clean = _messages(messages)
    _no_simple(tokenizer)
    with loading.tokenizer_lock(tokenizer):
        tok = loading.tokenizer(tokenizer)
        if not getattr(tok, "chat_template", None):
            raise VisitorError("no_chat_template", tokenizer=tokenizer)
        text = _rendered(tok, tokenizer, clean, add_generation_prompt)
        spans = _content_spans(tok, tokenizer, clean, text, add_generation_prompt)
        encoded = tok(text, add_special_tokens=False, return_offsets_mapping=tok.is_fast, verbose=False)
        special = set(tok.all_special_ids) | set(tok.added_tokens_decoder)
        tokens = tok.convert_ids_to_tokens(encoded["input_ids"])
    offsets = encoded.get("offset_mapping") or [(0, 0)] * len(tokens)
    return {
        "text": text,
        "tokens": tokens,
        "ids": encoded["input_ids"],
        "offsets": [list(pair) for pair in offsets],
        "roles": [
            "special" if number in special else _role_at(start, end, spans)
            for number, (start, end) in zip(encoded["input_ids"], offsets, strict=True)
        ],
    }


def _vocabulary(name: str, tok: Any) -> dict[int, str]:
    if name not in _vocabularies:
        while len(_vocabularies) >= 8:
            _vocabularies.pop(next(iter(_vocabularies)), None)
        _vocabularies[name] = {number: token for token, number in tok.get_vocab().items()}
    return _vocabularies[name]


def _no_simple(name: object) -> None:
    if name in SIMPLE:
        raise VisitorError("simple_tokenizer", tokenizer=name)


def _is_byte_level(name: str) -> bool:
    if name in SIMPLE:
        return False
    with loading.tokenizer_lock(name):
        return _kind(loading.tokenizer(name)) in ("byte_level", "byte_fallback")


def _kind(tok: Any) -> str:
    """Tell how a vocabulary writes text, from the decoder that turns it back."""
    backend = getattr(tok, "backend_tokenizer", None)
    if backend is None:
        return "sentencepiece" if hasattr(tok, "sp_model") or hasattr(tok, "spm_source") else "plain"
    decoder = b"" if backend.decoder is None else backend.decoder.__getstate__()
    if b'"ByteLevel"' in decoder:
        return "byte_level"
    if b'"ByteFallback"' in decoder:
        return "byte_fallback"
    return "sentencepiece" if "▁".encode() in decoder or b'"Metaspace"' in decoder else "plain"


def _piece(kind: str, token: str) -> str | bytes:
    if kind == "byte_level":
        raw = jamo.byte_level(token)
    elif kind == "byte_fallback" and (match := _BYTE.fullmatch(token)):
        raw = bytes([int(match[1], 16)])
    else:
        return token.replace("▁", " ") if kind in ("sentencepiece", "byte_fallback") else token
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _written(kind: str, text: str) -> str:
    """Return how a vocabulary of this kind writes a text."""
    if kind == "byte_level":
        return jamo.byte_level_token(text)
    return text.replace(" ", "▁") if kind in ("sentencepiece", "byte_fallback") else text


def _owners_by_offset(text: str, offsets: list[list[int]]) -> list[int | None]:
    starts = [0, *accumulate(len(character.encode("utf-8")) for character in text)]
    owners: list[int | None] = [None] * starts[-1]
    for index, (start, end) in enumerate(offsets):
        for place in range(starts[start], starts[end]):
            if owners[place] is None:
                owners[place] = index
    return owners


def _reasons(text: str, decoded: str, unknown: bool) -> list[str]:
    def form(name: str, value: str) -> str:
        return unicodedata.normalize(name, value)

    def bare(value: str) -> str:
        return "".join(c for c in form("NFD", value) if unicodedata.category(c) != "Mn")

    def folded(value: str) -> str:
        return bare(form("NFKC", value)).lower()

    changes = {
        "unknown": unknown,
        "lower": text != text.lower() and decoded.replace("[UNK]", "") == decoded.replace("[UNK]", "").lower(),
        "accents": bare(text) != form("NFD", text) and bare(decoded) == form("NFD", decoded),
        "nfd": form("NFC", text) == text and form("NFC", decoded) != decoded,
        "nfc": form("NFC", text) != text and form("NFC", decoded) == decoded,
        "nfkc": form("NFKC", text) != form("NFC", text) and form("NFKC", decoded) == form("NFC", decoded),
        "spaces": folded(text) != folded(decoded) and folded(text).split() != folded(decoded).split()
        and "".join(folded(text).split()) == "".join(folded(decoded).split())
        or [c for c in text if c.isspace()] != [c for c in decoded if c.isspace()],
    }  # fmt: skip
    return [name for name, holds in changes.items() if holds] or ["other"]


def _messages(value: object) -> list[dict[str, str]]:
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(message, dict) for message in value):
        raise VisitorError("bad_messages")
    if len(value) > MOST_MESSAGES:
        raise VisitorError("too_many_texts", limit=MOST_MESSAGES, count=len(value))
    clean = [
        {"role": inputs.choice(message.get("role"), "role", ROLES), "content": inputs.text(message.get("content"))}
        for message in value
    ]
    inputs.texts([message["content"] for message in clean])
    return clean


def _rendered(tok: Any, name: str, messages: list[dict[str, str]], prompt: bool) -> str:
    import jinja2

    if catalog.card(name) is None:
        return chat_templates.render(tok, name, messages, prompt)
    try:
        return tok.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    except (jinja2.TemplateError, ValueError, TypeError, KeyError) as error:
        reason = str(error)[:200] or type(error).__name__
        raise VisitorError("chat_template_failed", tokenizer=name, reason=reason) from error


def _content_spans(
    tok: Any, name: str, messages: list[dict[str, str]], text: str, prompt: bool
) -> list[tuple[int, int, str]]:
    """Find where each message's content stands: (start, end, role).

    A word such as "user" may stand in the template too, so the template is rendered once more with stand-ins that
    occur nowhere else; a template that looks into the contents is searched in order instead.
    """
    marks = [f"\ue000{index}\ue001" for index in range(len(messages))]
    try:
        skeleton = _rendered(
            tok, name, [m | {"content": mark} for m, mark in zip(messages, marks, strict=True)], prompt
        )
    except VisitorError:
        skeleton = ""
    spans, place, rest = [], 0, skeleton
    for message, mark in zip(messages, marks, strict=True):
        before, found, rest = rest.partition(mark)
        place += len(before)
        content = next((c for c in (message["content"], message["content"].strip()) if text.startswith(c, place)), None)
        if not found or content is None:
            return _searched_spans(messages, text)
        spans.append((place, place + len(content), message["role"]))
        place += len(content)
    return spans if text[place:] == rest else _searched_spans(messages, text)


def _searched_spans(messages: list[dict[str, str]], text: str) -> list[tuple[int, int, str]]:
    spans, place = [], 0
    for message in messages:
        content = message["content"].strip()
        start = text.find(content, place)
        if start >= 0:
            place = start + len(content)
            spans.append((start, place, message["role"]))
    return spans


def _role_at(start: int, end: int, spans: list[tuple[int, int, str]]) -> str:
    return next((role for a, b, role in spans if start < b and end > a), "template")
