"""Visitors' tables: a CSV or TSV of sentences in, a CSV of results out; bounded, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import VisitorError
from pipelines.gold import is_gold_word
from settings import SETTINGS

MAX_BYTES = SETTINGS.max_table_mb * 1_000_000
MAX_COLUMNS = SETTINGS.max_columns
TEXT_NAMES = (
    *("text", "sentence", "review", "document", "content", "comment", "tweet", "message", "utterance"),
    *("문장", "리뷰", "내용", "텍스트", "댓글", "후기", "본문", "발화", "글"),
)
GOLD_NAMES = (
    *("gold", "label", "labels", "sentiment", "polarity", "class", "target", "stars"),
    *("정답", "감정", "감성", "레이블", "라벨", "극성", "긍부정", "별점"),
)
_DELIMITERS = ",\t;|"
_ONE_COLUMN = "\x1f"
# Full-width forms too: Excel in some locales takes them for the operators.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_FILE_KINDS = ((b"PK\x03\x04", "table_excel"), (b"\xd0\xcf\x11\xe0", "table_excel"), (b"%PDF", "table_binary"))


@dataclass(frozen=True)
class Table:
    """Sentences read from a file.

    Attributes:
        texts: The sentences, blank rows left out.
        gold: Gold label cell of each text as it was written ("" where blank), or None without such a column.
        rows: Row of each text in the file, from 1, the header counted: what a spreadsheet shows beside it.
        text_column: Name of the column, or its number from 1 in a file without a header.
        gold_column: The same, or None.
    """

    texts: list[str]
    gold: list[str] | None
    rows: list[int]
    text_column: str
    gold_column: str | None


def read_table(source: str | Path | bytes) -> Table:
    """Read a CSV or TSV file with a column of sentences and perhaps one of gold labels.

    UTF-8 (with or without BOM), else UTF-16 with BOM, else cp949. The delimiter is the one of comma, tab, semicolon
    and | that gives every row as many cells. The text column is found by its name (TEXT_NAMES), else it is the one
    with the longest cells; the gold column by its name (GOLD_NAMES), else it is one whose cells are all gold words.

    Raises:
        VisitorError: table_empty, table_excel, table_binary, table_encoding, table_too_big, table_too_many_rows,
            table_too_many_columns, table_cell_too_long, table_ragged, table_no_text, table_broken.
    """
    cells = _rows(_decode(_bytes(source)))
    if not cells:
        raise VisitorError("table_empty")
    header = _header(cells)
    body = cells[1:] if header else cells
    if not body:
        raise VisitorError("table_empty")
    if len(body) > SETTINGS.max_texts:
        raise VisitorError("table_too_many_rows", limit=SETTINGS.max_texts, count=len(body))
    width = max(len(row) for _, row in cells)
    if width > MAX_COLUMNS:
        raise VisitorError("table_too_many_columns", limit=MAX_COLUMNS, count=width)
    for number, row in body:
        if max(map(len, row)) > SETTINGS.max_model_chars:
            raise VisitorError("table_cell_too_long", row=number, limit=f"{SETTINGS.max_model_chars:,}")
    columns = [[row[i].strip() if i < len(row) else "" for _, row in body] for i in range(width)]
    names = [_name(cell) for cell in header] + [""] * (width - len(header))
    text = _text_column(names, columns)
    gold = _gold_column(names, columns, text)
    kept = [i for i, value in enumerate(columns[text]) if value]
    if not kept:
        raise VisitorError("table_no_text")

    def called(column: int) -> str:
        return header[column].strip() if column < len(header) and header[column].strip() else str(column + 1)

    return Table(
        texts=[columns[text][i] for i in kept],
        gold=None if gold is None else [columns[gold][i] for i in kept],
        rows=[body[i][0] for i in kept],
        text_column=called(text),
        gold_column=None if gold is None else called(gold),
    )


def parse_lines(typed: str) -> tuple[list[str], list[str] | None]:
    """Read typed sentences, one per line, each with a gold label after a tab where the visitor gave one.

    A pasted pair of spreadsheet columns looks just so. Tabs are taken for this only when at least one line ends in a
    gold word or in 0 or 1.

    Example:
        >>> parse_lines("정말 좋아요\\t긍정\\n별로예요")
        (['정말 좋아요', '별로예요'], ['긍정', ''])
    """
    pairs = [line.rpartition("\t") for line in typed.splitlines() if line.strip()]
    if not any(tab and text.strip() and (is_gold_word(last) or last.strip() in "01") for text, tab, last in pairs):
        return [text + tab + last for text, tab, last in pairs], None
    return [text if tab else last for text, tab, last in pairs], [last if tab else "" for _, tab, last in pairs]


def to_csv(rows: Sequence[dict[str, Any]], models: Sequence[str]) -> bytes:
    """Return a comparison (sentiment.compare) as CSV, in UTF-8 with BOM so that Excel shows Hangul.

    Columns: text, gold (when there is one), agree, and polarity, label and score of each model. A cell that a
    spreadsheet would run as a formula gets an apostrophe before it.
    """
    has_gold = any("gold" in row for row in rows)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    kinds = ("polarity", "label", "score")
    names = [f"{kind} {model}" for model in models for kind in kinds]
    writer.writerow(map(_guard, ["text", *(["gold"] if has_gold else []), "agree", *names]))
    for row in rows:
        agree = {True: "yes", False: "no", None: ""}[row["agree"]]
        answers = [row["results"].get(model, {}).get(kind) for model in models for kind in kinds]
        writer.writerow(map(_guard, [row["text"], *([row.get("gold")] if has_gold else []), agree, *answers]))
    return file.getvalue().encode("utf-8-sig")


def _guard(cell: object) -> object:
    if isinstance(cell, float):
        return f"{cell:.6f}"
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else "" if cell is None else cell


def _bytes(source: str | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        # One byte more than allowed tells a file that is too big, however big it is.
        with Path(source).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise VisitorError("table_too_big", limit_mb=MAX_BYTES // 1_000_000)
    if not data.strip():
        raise VisitorError("table_empty")
    return data


def _decode(data: bytes) -> str:
    for magic, key in _FILE_KINDS:
        if data.startswith(magic):
            raise VisitorError(key)
    encodings = ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp949")
    if encodings[0] != "utf-16" and b"\0" in data:
        raise VisitorError("table_binary")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise VisitorError("table_encoding")


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """Return (row number from 1, cells) of the rows that are not blank, by the delimiter that fits best."""
    tried = {delimiter: _parse(text, delimiter) for delimiter in _DELIMITERS}
    even = {d: rows for d, rows in tried.items() if len({len(row) for _, row in rows}) == 1 and len(rows[0][1]) > 1}
    named = {d: rows for d, rows in tried.items() if rows and _knows_header(rows[0][1]) and len(rows[0][1]) > 1}
    for rows in (*(even[d] for d in even if d in named), *named.values()):
        _check_even(rows)
        return rows
    if even and not any(rows and _knows_header(rows[0][1]) for rows in tried.values()):
        return max(even.values(), key=lambda rows: len(rows[0][1]))
    return _parse(text, _ONE_COLUMN)


def _parse(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    rows, number = [], 0
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            number += 1
            if any(cell.strip() for cell in row):
                rows.append((number, row))
    except csv.Error as error:
        raise VisitorError("table_broken", row=number + 1) from error
    return rows


def _check_even(rows: list[tuple[int, list[str]]]) -> None:
    """Extra cells are most often a comma inside an unquoted sentence: guessing where it belongs would misread it."""
    expected = len(rows[0][1])
    for number, row in rows:
        if len(row) > expected and any(cell.strip() for cell in row[expected:]):
            raise VisitorError("table_ragged", row=number, cells=len(row), expected=expected)


def _name(cell: str) -> str:
    return cell.strip().strip("'\"").lower()


def _knows_header(row: list[str]) -> bool:
    return not {_name(cell) for cell in row}.isdisjoint(TEXT_NAMES)


def _header(cells: list[tuple[int, list[str]]]) -> list[str]:
    """Return the first row when it names columns, else []: it does when a name is known, or when its cells are all
    different short words, none a number or a gold word, beside a column of texts at least twice as long."""
    first, rest = cells[0][1], [row for _, row in cells[1:]]
    if _knows_header(first):
        return first
    words = [cell.strip() for cell in first]
    plain = all(word and len(word) <= 30 and not _is_number(word) and not is_gold_word(word) for word in words)
    if not plain or len(set(words)) < len(words) or len(words) < 2 or not rest:
        return []
    if not {word.lower() for word in words}.isdisjoint(GOLD_NAMES):
        return first
    longest = max(range(len(words)), key=lambda i: sum(len(row[i]) for row in rest if i < len(row)))
    mean = sum(len(row[longest]) for row in rest if longest < len(row)) / len(rest)
    return first if mean >= 2 * len(words[longest]) else []


def _text_column(names: list[str], columns: list[list[str]]) -> int:
    for name in TEXT_NAMES:
        if name in names:
            return names.index(name)
    lengths = [sum(0 if _is_number(cell) else len(cell) for cell in column) for column in columns]
    best = max(range(len(columns)), key=lengths.__getitem__)
    if not lengths[best] or all(is_gold_word(cell) for cell in columns[best] if cell):
        raise VisitorError("table_no_text")
    return best


def _gold_column(names: list[str], columns: list[list[str]], text: int) -> int | None:
    for name in GOLD_NAMES:
        if name in names and names.index(name) != text and any(columns[names.index(name)]):
            return names.index(name)
    for i, column in enumerate(columns):
        filled = [cell for cell in column if cell]
        if i != text and filled and all(map(is_gold_word, filled)):
            return i
    return None


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[\d.,]+", cell))
