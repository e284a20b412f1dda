"""Parameters in PNG files: what is written comes back, through Pillow too; any other bytes give None."""

import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines import picture_files

DETAILS = {
    "prompt": "빨간 사과 <b>${alert(1)}</b>",
    "model": "pocket/flux-emoji",
    "steps": 20,
    "guidance": 2.5,
    "seed": 7,
    "width": 64,
    "height": 64,
    "count": 1,
    "negative_prompt": "",
    "seconds": 1.25,
}


def picture():
    return Image.new("RGB", (16, 16), "red")


def chunk(kind, body):
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def test_what_is_written_comes_back():
    data = picture_files.png(picture(), DETAILS)
    assert picture_files.details(data) == DETAILS
    opened = Image.open(io.BytesIO(data))
    opened.load()
    assert opened.text["parameters"].startswith(DETAILS["prompt"]) and "seed: 7" in opened.text["parameters"]


def test_the_same_picture_and_parameters_give_the_same_bytes():
    assert picture_files.png(picture(), DETAILS) == picture_files.png(picture(), dict(DETAILS))


def test_a_picture_without_parameters_has_none():
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    assert picture_files.details(buffer.getvalue()) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data):
    assert picture_files.details(data) is None
    assert picture_files.details(b"\x89PNG\r\n\x1a\n" + data) is None


@pytest.mark.parametrize(
    "text",
    [b"[]", b"{", b"[" * 9_000, b'{"prompt": ""}', b'{"prompt": 3}', b'{"seed": 1}', b"\xff\xfe"],
)
def test_other_peoples_text_under_our_name_is_not_believed(text):
    body = b"model-classroom\0\0\0\0\0" + text
    assert picture_files.details(b"\x89PNG\r\n\x1a\n" + chunk(b"iTXt", body)) is None


def test_values_of_the_wrong_type_are_left_out():
    body = b'model-classroom\0\0\0\0\0{"prompt": "x", "seed": "7", "steps": true, "guidance": Infinity, "evil": 1}'
    assert picture_files.details(b"\x89PNG\r\n\x1a\n" + chunk(b"iTXt", body)) == {"prompt": "x"}


def test_a_compressed_bomb_is_cut_off():
    body = b"model-classroom\0\1\0\0\0" + zlib.compress(b'{"prompt": "' + b"a" * 50_000_000)
    assert picture_files.details(b"\x89PNG\r\n\x1a\n" + chunk(b"iTXt", body)) is None
