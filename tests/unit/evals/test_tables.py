"""Pictures of the data come out alike by whatever door they came in, and a bad one is one line."""

import base64
from io import BytesIO

import numpy as np
import pytest
from benchmark_data import content
from PIL import Image, TiffImagePlugin

from blip3o.errors import DataError, PictureError
from blip3o.evals import tables
from blip3o.evals.tables import opened, picture


def saved(image, form="PNG", **options):
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def lying():
    """A picture, red above blue, whose file says that it lies on its side."""
    image = Image.new("RGB", (32, 48), "blue")
    image.paste("red", (0, 0, 32, 24))
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(image.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)


def glass(mode):
    """Green that cannot be seen."""
    if mode == "P":
        palette = Image.new("P", (8, 8), 1)
        palette.putpalette([255, 0, 0, 0, 255, 0])
        return saved(palette, transparency=b"\xff\x00")
    return saved(Image.new("RGBA", (8, 8), (0, 255, 0, 0)).convert(mode))


def doors(data, folder):
    """The ways by which a picture comes in."""
    path = folder / "picture"
    path.write_bytes(data)
    text = base64.b64encode(data).decode()
    return [picture(cell, folder / "table.tsv") for cell in (data, text, f"data:image/png;base64,{text}")] + [path]


def test_a_lying_picture_stands_upright_by_every_door(tmp_path):
    for source in doors(lying(), tmp_path):
        found = np.asarray(opened(source))
        assert found.shape == (48, 32, 3)
        assert found[4, 16, 0] > 200
        assert found[44, 16, 2] > 200


@pytest.mark.parametrize("mode", ["RGBA", "P"])
@pytest.mark.filterwarnings("error")
def test_of_a_clear_picture_the_colours_beneath_are_seen_by_every_door(tmp_path, mode):
    """As Pillow's convert gives it to lmms-eval and the official scripts, by which published numbers were made."""
    for source in doors(glass(mode), tmp_path):
        found = opened(source)
        assert (found.mode, found.getpixel((1, 1))) == ("RGB", (0, 255, 0))


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_wide_modes_do_not_go_black(tmp_path, mode):
    kind = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
    peak = 65535 if mode == "I;16" else 255
    data = saved(Image.fromarray(np.full((4, 4), peak).astype(kind)), "TIFF")
    for source in doors(data, tmp_path):
        assert opened(source).getpixel((1, 1)) == (255, 255, 255)


def test_broken_notes_about_a_picture_leave_it_whole():
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\x12\x01\x03\x00"
    assert opened(saved(Image.new("RGB", (8, 8), "red"), "PNG", exif=exif)).size == (8, 8)


BAD = {
    "empty": b"",
    "cut": content(size=(300, 300))[:80],
    "words": b"these are words",
    "bomb": saved(Image.new("1", (20_000, 6_000))),
    "twice a bomb": saved(Image.new("1", (20_000, 20_000))),
    "no base64": "x" * 101,
    "an empty data URL": "",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.filterwarnings("error")
def test_a_bad_picture_is_one_line_and_no_warning(bad):
    with pytest.raises(PictureError, match="a picture inside the data") as raised:
        opened(bad)
    assert "\n" not in str(raised.value)


def test_whatever_a_reader_of_a_format_raises_is_one_line(monkeypatch):
    tiff = saved(Image.new("RGB", (8, 8)), "TIFF")
    for error in (KeyError("x"), IndexError("x"), TypeError("x"), AttributeError("x"), OverflowError(), MemoryError()):

        def raising(self, error=error):
            raise error

        monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "load", raising)
        with pytest.raises(PictureError, match="a picture inside the data is damaged"):
            opened(tiff)


def test_a_cell_that_names_no_file_is_told_with_its_table(tmp_path):
    with pytest.raises(DataError, match=r"table\.tsv has no picture where one is expected, but 'missing\.png'"):
        picture("missing.png", tmp_path / "table.tsv")
    with pytest.raises(DataError, match="but '3'"):
        picture(3, tmp_path / "table.tsv")
    assert picture(None, tmp_path) == b""


@pytest.mark.parametrize(
    ("name", "read"), [("a.json", tables.read_json), ("a.jsonl", tables.read_lines), ("a.tsv", tables.read_table)]
)
def test_a_byte_order_mark_is_passed_over_and_other_encodings_are_one_line(tmp_path, name, read):
    text = {"a.json": '{"x": "1"}', "a.jsonl": '{"x": "1"}\n', "a.tsv": "x\n1\n"}[name]
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read(path) in ({"x": "1"}, [{"x": "1"}])
    path.write_bytes(text.replace("1", "\xe9").encode("latin-1"))
    with pytest.raises(DataError, match=rf"{name} is no (text|table) in UTF-8"):
        read(path)
