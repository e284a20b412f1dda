"""Pictures that visitors bring: upright, RGB on white, bounded in bytes, pixels and memory; the bad ones in words."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pipelines import images
from pipelines.errors import VisitorError

ROOT = Path(__file__).resolve().parents[2]
MEASURE = """
import resource, sys
from PIL import Image
from pipelines import images
from pipelines.errors import VisitorError
images.load(Image.new("RGB", (8, 8)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(*images.load(sys.argv[1]).size)
except VisitorError as error:
    print(error.key)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000)
"""


def file(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def refused(source):
    with pytest.raises(VisitorError) as caught:
        images.load(source)
    return caught.value.key


def close(pixel, expected, by=12):
    return all(abs(a - b) <= by for a, b in zip(pixel, expected, strict=True))


@pytest.mark.parametrize("form", images.FORMATS)
def test_each_format_from_bytes_from_a_path_and_as_an_image(form, tmp_path):
    image = Image.new("RGB", (60, 40), (200, 30, 30))
    data = file(image, form)
    path = tmp_path / "picture"
    path.write_bytes(data)
    for source in (data, path, str(path), image):
        opened = images.load(source)
        assert opened.mode == "RGB" and opened.size == (60, 40) and close(opened.getpixel((30, 20)), (200, 30, 30))


def test_the_longest_side_is_bounded_and_small_pictures_stay_as_they_are():
    assert images.load(file(Image.new("RGB", (3000, 1500)), "PNG")).size == (1024, 512)
    assert images.load(file(Image.new("RGB", (20, 10)), "PNG")).size == (20, 10)
    assert images.load(file(Image.new("RGB", (300, 150)), "JPEG"), side=100).size == (100, 50)


def test_what_is_transparent_becomes_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.putpixel((0, 0), (0, 0, 255, 255))
    for form in ("PNG", "WEBP"):
        opened = images.load(file(clear, form, **({"lossless": True} if form == "WEBP" else {})))
        assert opened.getpixel((3, 3)) == (255, 255, 255) and close(opened.getpixel((0, 0)), (0, 0, 255))


def test_a_palette_with_transparency():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 200, 0])
    image.putpixel((0, 0), 1)
    opened = images.load(file(image, "PNG", transparency=0))
    assert opened.getpixel((3, 3)) == (255, 255, 255) and opened.getpixel((0, 0)) == (0, 200, 0)


@pytest.mark.parametrize("mode", ["L", "LA", "1", "RGB", "RGBA", "P"])
def test_every_mode_of_png_opens(mode):
    assert images.load(file(Image.new(mode, (5, 5)), "PNG")).mode == "RGB"


def test_sixteen_bits_of_grey_keep_their_brightness():
    image = Image.new("I;16", (4, 4), 128 * 257)
    assert close(images.load(file(image, "PNG")).getpixel((1, 1)), (128, 128, 128), by=1)


def test_cmyk_is_shown_in_its_colours():
    data = file(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = images.load(data).getpixel((8, 8))
    assert red > 200 and green < 60 and blue < 60


def test_of_an_animation_the_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP"):
        data = file(frames[0], form, save_all=True, append_images=frames[1:], duration=50)
        assert close(images.load(data).getpixel((4, 4)), (255, 0, 0))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_taken_sideways_is_turned_upright(form):
    image = Image.new("RGB", (80, 40), "white")
    image.paste((255, 0, 0), (0, 0, 40, 40))
    exif = Image.Exif()
    exif[274] = 6  # turn it a quarter to the right
    opened = images.load(file(image, form, exif=exif))
    assert opened.size == (40, 80)
    assert close(opened.getpixel((20, 10)), (255, 0, 0)) and close(opened.getpixel((20, 70)), (255, 255, 255))


def test_an_svg_is_refused_whatever_its_name(tmp_path):
    path = tmp_path / "drawing.png"
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    assert refused(path) == "not_an_image"


@pytest.mark.parametrize("form", ["TIFF", "BMP", "PPM", "ICO"])
def test_other_formats_are_refused(form):
    assert refused(file(Image.new("RGB", (16, 16)), form)) == "not_an_image"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_file_is_refused(form):
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    data = file(noise, form)
    assert refused(data[: len(data) // 2]) == "image_unreadable"
    assert refused(data[:20]) in ("image_unreadable", "not_an_image")


def test_a_broken_header_is_refused():
    data = file(Image.new("RGB", (50, 50)), "PNG")
    assert refused(data[:20] + b"\xff" * 40 + data[60:]) in ("image_unreadable", "not_an_image", "image_too_large")


@pytest.mark.parametrize(
    ("source", "key"),
    [
        (None, "no_image"),
        ("", "no_image"),
        (b"", "image_unreadable"),
        ("/no/such/file.png", "image_unreadable"),
        ("nul\x00byte.png", "image_unreadable"),
        ("http://example.com/cat.png", "image_unreadable"),
        (b"hello", "not_an_image"),
        (5, "not_an_image"),
        ({"path": "x"}, "not_an_image"),
        (str(ROOT), "image_unreadable"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(source, key):
    assert refused(source) == key


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.png").touch()
    assert refused(tmp_path / "empty.png") == "image_unreadable"


def test_too_many_bytes():
    data = file(Image.new("RGB", (8, 8)), "PNG")
    assert refused(data + b"\0" * 20_000_001) == "image_too_big"


def test_more_pictures_than_allowed():
    with pytest.raises(VisitorError, match="too_many_images"):
        images.several([b"x"] * 17)
    with pytest.raises(VisitorError, match="no_image"):
        images.several([None, ""])
    assert images.several("one.png") == ["one.png"]


def make(path, form, mode, size, **options):
    """Write a large picture in another process, so that its memory is not measured."""
    script = (
        f"Image.MAX_IMAGE_PIXELS = None; Image.new({mode!r}, {size!r}).save({str(path)!r}, {form!r}, **{options!r})"
    )
    subprocess.run([sys.executable, "-c", "from PIL import Image; " + script], check=True)


@pytest.mark.parametrize(
    ("form", "mode", "size", "options", "said"),
    [
        ("PNG", "1", (13_000, 13_000), {}, "image_too_large"),
        ("PNG", "P", (13_000, 13_000), {"optimize": True}, "image_too_large"),
        ("PNG", "RGBA", (5_000, 5_000), {}, "1024 1024"),
        ("PNG", "I;16", (5_000, 5_000), {}, "1024 1024"),
        ("JPEG", "RGB", (9_000, 9_000), {}, "1024 1024"),
        ("JPEG", "CMYK", (9_000, 9_000), {}, "1024 1024"),
        ("JPEG", "RGB", (5_000, 5_000), {"progressive": True, "subsampling": 0}, "1024 1024"),
        ("JPEG", "RGB", (9_000, 9_000), {"progressive": True}, "image_too_large"),
        ("WEBP", "RGBA", (4_000, 4_000), {"method": 0}, "1024 1024"),
        ("GIF", "P", (5_000, 5_000), {}, "1024 1024"),
    ],
)
def test_memory_never_rises_by_more_than_300_mb(tmp_path, form, mode, size, options, said):
    path = tmp_path / "large"
    make(path, form, mode, size, **options)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    answer, grown = done.stdout.strip().splitlines()
    assert answer == said
    assert float(grown) < 300


def test_a_small_copy_is_small_and_opens_again():
    noise = Image.effect_noise((1500, 900), 80).convert("RGB")
    data = images.small(noise, 96)
    assert len(data) < 12_000 and images.load(data).size == (96, 58) and images.mime(data).startswith("image/")
