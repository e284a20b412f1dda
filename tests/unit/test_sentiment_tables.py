"""CSV in and out: what people upload, what must be refused, what a spreadsheet must not run."""

from __future__ import annotations

import csv
import io

import pytest

from pipelines.errors import VisitorError
from pipelines.table_files import parse_lines, read_table, to_csv


def read(text: str, encoding: str = "utf-8"):
    return read_table(text.encode(encoding))


def test_columns_are_found_by_name_in_korean_and_english():
    table = read("id,문장,정답\n1,정말 좋아요,긍정\n2,별로예요,부정\n")
    assert table.texts == ["정말 좋아요", "별로예요"]
    assert table.gold == ["긍정", "부정"]
    assert (table.text_column, table.gold_column, table.rows) == ("문장", "정답", [2, 3])
    assert read("Label,Review\n1,fine\n").texts == ["fine"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_the_encodings_that_excel_writes_are_read(encoding):
    assert read("문장\n좋아요\n", encoding).texts == ["좋아요"]


@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
def test_the_delimiter_is_found(mark):
    table = read(f"id{mark}document{mark}label\n7{mark}좋은 영화{mark}1\n8{mark}나쁜 영화{mark}0\n")
    assert (table.texts, table.gold) == (["좋은 영화", "나쁜 영화"], ["1", "0"])


def test_without_a_header_the_longest_column_is_the_text():
    table = read("좋은 영화였어요,긍정\n돈이 아까워요,부정\n")
    assert (table.texts, table.gold) == (["좋은 영화였어요", "돈이 아까워요"], ["긍정", "부정"])
    assert (table.text_column, table.gold_column) == ("1", "2")


def test_unknown_column_names_are_still_a_header():
    table = read("no,opinion\n1,I did not like it at all\n2,A fine evening out with friends\n")
    assert table.texts == ["I did not like it at all", "A fine evening out with friends"]
    assert table.text_column == "opinion"


def test_plain_lines_with_commas_are_one_column():
    assert read("좋아요, 정말\n별로예요\n그저 그래요, 음, 글쎄요\n").texts == [
        "좋아요, 정말",
        "별로예요",
        "그저 그래요, 음, 글쎄요",
    ]
    assert read("text\ngood, very good\nbad, too\n").texts == ["good, very good", "bad, too"]


def test_quoted_cells_hold_commas_and_new_lines():
    table = read('text,label\n"good, very\ngood",pos\n')
    assert table.texts == ["good, very\ngood"]


def test_rows_without_text_are_left_out_with_their_label():
    table = read("text,label\n,pos\nbad,neg\n")
    assert (table.texts, table.gold, table.rows) == (["bad"], ["neg"], [3])


def test_a_file_on_disk_is_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"text\nfine\n")
    assert read_table(path).texts == ["fine"]


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"", "table_empty"),
        (b" \n\n", "table_empty"),
        (b"text,label\n", "table_empty"),
        (b"PK\x03\x04....", "table_excel"),
        (b"\x89PNG\r\n\x1a\n\0\0", "table_binary"),
        (b"text\n\xff\xfe\xfa\xff\x81\n", "table_encoding"),
        (b"a" * 2_000_001, "table_too_big"),
        (b"text\n" + b"fine\n" * 501, "table_too_many_rows"),
        (b"text" + b",x" * 20 + b"\na" + b",b" * 20 + b"\n", "table_too_many_columns"),
        (b"text\n" + b"a" * 20_001, "table_cell_too_long"),
        (b"text,label\ngood, very good,pos\n", "table_ragged"),
        (b"1,2\n3,4\n", "table_no_text"),
        (b"text,label\n,pos\n", "table_no_text"),
        (b"text\n" + b"a" * 140_000, "table_broken"),
    ],
)
def test_each_thing_wrong_has_its_own_error(data, key):
    with pytest.raises(VisitorError) as caught:
        read_table(data)
    assert caught.value.key == key


def test_typed_lines_may_carry_a_label_after_a_tab():
    assert parse_lines("좋아요\t긍정\n\n별로\n") == (["좋아요", "별로"], ["긍정", ""])
    assert parse_lines("good\t1\nbad\t0") == (["good", "bad"], ["1", "0"])


def test_tabs_inside_sentences_are_not_labels():
    assert parse_lines("a\tb c\nd") == (["a\tb c", "d"], None)
    assert parse_lines("\t\n") == ([], None)


ROWS = [
    {
        "text": '=HYPERLINK("http://x")',
        "gold": "positive",
        "agree": False,
        "results": {"x/a": {"label": "@LABEL", "polarity": "positive", "score": 0.25, "scores": {}}},
    },
    {"text": "좋아요", "gold": None, "agree": None, "results": {}},
]


def test_results_open_in_excel_and_keep_every_model():
    data = to_csv(ROWS, ["x/a"])
    assert data.startswith(b"\xef\xbb\xbf")
    head, first, second = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    assert head == ["text", "gold", "agree", "polarity x/a", "label x/a", "score x/a"]
    assert first == ['\'=HYPERLINK("http://x")', "positive", "no", "positive", "'@LABEL", "0.250000"]
    assert second == ["좋아요", "", "", "", "", ""]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_cell_begins_as_a_formula(start):
    row = {"text": start + "1", "agree": None, "results": {}}
    _, cells = csv.reader(io.StringIO(to_csv([row], []).decode("utf-8-sig"), newline=""))
    assert cells[0].startswith("'")
