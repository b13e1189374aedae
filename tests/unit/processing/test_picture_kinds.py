"""What is put in where a picture is wanted: every form of one, broken EXIF, foreign formats, and what is no picture."""

import os
import struct
import warnings
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from blip3o.errors import PictureError
from blip3o.processing.chat_template import ChatTemplate, PromptConfig
from blip3o.processing.images import open_picture

PIXELS = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
UPSIDE_DOWN = (0x0112, 3, 1, struct.pack("<HH", 3, 0))


def exif(*entries):
    """EXIF of these (tag, type, count, value)."""
    body = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + b"\0\0\0\0"


def saved(picture, kind="PNG", **options):
    """The bytes of a picture's file."""
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


BROKEN_EXIF = {
    "noise": bytes(range(256)),
    "no head": b"\xff" * 40,
    "only a head": b"Exif\0\0II*\0",
    "cut": exif(UPSIDE_DOWN)[:20],
    "a count beyond its end": exif((0x0112, 3, 2**31, struct.pack("<I", 8))),
    "words for an orientation": exif((0x0112, 2, 4, b"up\0\0")),
}
ODD_EXIF = {
    "a size below zero": exif((0x0100, 9, 1, struct.pack("<i", -1)), UPSIDE_DOWN),
    "words for a number": exif((0x0103, 2, 4, b"abc\0"), UPSIDE_DOWN),
    "an unknown type": exif((0x0100, 99, 1, b"\0\0\0\0"), UPSIDE_DOWN),
    "data beyond its end": exif((0x010F, 2, 100, struct.pack("<I", 60_000)), UPSIDE_DOWN),
}


@pytest.mark.parametrize("kind", BROKEN_EXIF)
@pytest.mark.parametrize("suffix", ["PNG", "WEBP"])
def test_exif_that_cannot_be_read_is_passed_over(kind, suffix):
    data = saved(Image.fromarray(PIXELS), suffix, exif=BROKEN_EXIF[kind], lossless=True)
    assert (np.asarray(open_picture(data)) == PIXELS).all()
    with Image.open(BytesIO(data)) as image:
        assert (np.asarray(open_picture(image)) == PIXELS).all()


@pytest.mark.parametrize("kind", ODD_EXIF)
def test_an_orientation_is_obeyed_whatever_stands_beside_it(kind):
    data = saved(Image.fromarray(PIXELS), exif=ODD_EXIF[kind])
    assert (np.asarray(open_picture(data)) == PIXELS[::-1, ::-1]).all()
    assert (np.asarray(open_picture(open_picture(data))) == PIXELS[::-1, ::-1]).all()


def test_some_of_this_exif_stops_the_library_that_turns_pictures():
    data = saved(Image.fromarray(PIXELS), exif=ODD_EXIF["a size below zero"])
    with Image.open(BytesIO(data)) as image, pytest.raises(struct.error):
        ImageOps.exif_transpose(image)


def test_what_a_library_thinks_of_a_file_is_not_shown(capfd, tmp_path):
    odd = tmp_path / "odd.tiff"
    odd.write_bytes(b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0115, 3, 1, 70_000) + b"\0\0\0\0")  # samples per pixel
    good = saved(Image.fromarray(PIXELS), "JPEG", exif=exif((0x010F, 2, 100, struct.pack("<I", 60_000))))
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        open_picture(good)
        with pytest.raises(PictureError):
            open_picture(odd)
    assert shown == []
    assert capfd.readouterr() == ("", "")


# --- formats --------------------------------------------------------------------------------------------------------


def bitmap(compression):
    """A BMP of one pixel with this compression."""
    header = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, compression, 4, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + header + b"\0\0\0\0"


FOREIGN = {
    "a PDF": b"%PDF-1.4\n",
    "an SVG drawing": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "a HEIC photo": b"\0\0\0\x18ftypheic\0\0\0\0",
    "a JPEG XL picture": b"\xff\x0a\xfa\x1f",
    "Unsupported BMP compression": bitmap(9),
    "DDS": b"DDS " + struct.pack("<IIIII", 124, 0x1007, 4, 4, 0) + b"\0" * 52 + struct.pack("<II", 32, 8) + b"\0" * 44,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_format_that_is_not_supported_is_named_and_not_called_damaged(kind, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(FOREIGN[kind])
    for source in (path, FOREIGN[kind]):
        with pytest.raises(PictureError, match=r": (give a PNG, JPEG|save it as PNG or JPEG)") as raised:
            open_picture(source)
        assert kind in str(raised.value) or kind == "DDS"
        assert "damaged" not in str(raised.value)


def test_letters_that_begin_another_format_are_no_sign_of_it_further_on():
    with pytest.raises(PictureError, match=r"no picture that Pillow can read: give"):
        open_picture(b"text \xff\x0a %PDF")


@pytest.mark.parametrize(("mode", "most"), [("I", 255), ("I", 65_535), ("F", 1), ("F", 255)])
def test_integers_and_floating_point_numbers_are_taken_by_their_range(mode, most):
    values = np.linspace(0, most, 64).reshape(8, 8)
    image = Image.fromarray(values.astype(np.int32 if mode == "I" else np.float32))
    assert image.mode == mode
    shown = np.asarray(open_picture(image))[..., 0]
    assert np.abs(shown - 255 * values / most).max() <= 1.01


def test_numbers_that_are_none_are_black():
    assert np.asarray(open_picture(Image.fromarray(np.full((2, 2), np.nan, np.float32)))).max() == 0


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_transparency_that_is_multiplied_in_is_laid_on_white(mode):
    clear = Image.new("LA" if mode == "La" else "RGBA", (2, 2), 0)
    assert open_picture(clear.convert(mode)).getpixel((0, 0)) == (255, 255, 255)


# --- forms ----------------------------------------------------------------------------------------------------------


def test_arrays_bytes_and_files_are_the_picture_that_they_hold(tmp_path):
    path, data = tmp_path / "x.png", saved(Image.fromarray(PIXELS))
    path.write_bytes(data)
    with path.open("rb") as file:
        forms = [PIXELS, PIXELS[::-1][::-1], data, bytearray(data), BytesIO(data), file, path, str(path)]
        assert all((np.asarray(open_picture(form)) == PIXELS).all() for form in forms)
    grey, clear = PIXELS[..., 0], np.dstack([PIXELS, np.zeros((8, 8), np.uint8)])
    assert (np.asarray(open_picture(grey)) == grey[..., None]).all()
    assert (np.asarray(open_picture(clear)) == 255).all()


NO_PICTURE = {
    "None": (None, "given as NoneType"),
    "a number": (7, "given as int"),
    "a tensor": (torch.zeros(3, 8, 8, dtype=torch.uint8), "given as Tensor: give an image, a file, its bytes"),
    "an array of floats": (np.zeros((8, 8, 3)), "array of float64, 8 x 8 x 3: give uint8"),
    "channels first": (np.zeros((3, 8, 8), np.uint8), "array of uint8, 3 x 8 x 8: give uint8"),
    "an array of many": (np.zeros((2, 8, 8, 3), np.uint8), "2 x 8 x 8 x 3: give uint8"),
    "an array of nothing": (np.zeros((0, 8, 3), np.uint8), "has 8 x 0 pixels"),
    "an image of nothing": (Image.new("RGB", (0, 0)), "has 0 x 0 pixels"),
    "an address": ("https://example.com/dog.png", "is an address, not a file"),
    "data in an address": ("data:image/png;base64,AAAA", "is an address, not a file"),
    "no bytes": (b"", "is empty"),
    "a file of text": (StringIO("x"), "given as str"),
    "a name with a NUL": ("a\0b.png", "does not exist"),
    "a name in other bytes": ("caf\udce9.png", "does not exist"),
}


@pytest.mark.parametrize("kind", NO_PICTURE)
def test_what_can_be_no_picture_is_refused_in_one_line(kind):
    source, said = NO_PICTURE[kind]
    with pytest.raises(PictureError) as raised:
        open_picture(source)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_closed_file_is_refused(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(saved(Image.fromarray(PIXELS)))
    with path.open("rb") as file:
        pass
    with pytest.raises(PictureError, match=r"x\.png cannot be read \(.*closed file\): open it again"):
        open_picture(file)


def test_a_message_names_the_file_that_a_picture_came_from(tmp_path, words):
    path = tmp_path / "long.png"
    Image.new("RGB", (2000, 4)).save(path)
    config = PromptConfig(picture_size=None, patch_size=14, merge_size=2, temporal_patch_size=2, slot_length=4)
    template = ChatTemplate(config, words)
    for source in (path, open_picture(path)):
        with pytest.raises(PictureError, match=r"long\.png has 2000 x 4 px: crop it"):
            template.picture(source)
    with pytest.raises(PictureError, match="the picture has 2000 x 4 px"):
        template.picture(path.read_bytes())


PILLOW = os.environ.get("BLIP3O_PILLOW_IMAGES")


@pytest.mark.slow
@pytest.mark.skipif(PILLOW is None, reason="BLIP3O_PILLOW_IMAGES names no folder of Pillow's Tests/images")
def test_every_file_of_pillows_own_tests_is_a_picture_or_refused_in_one_line():
    refused, paths = {}, sorted(path for path in Path(str(PILLOW)).rglob("*") if path.is_file())
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                assert open_picture(path).mode == "RGB"
            except PictureError as error:
                refused[path] = str(error)
    assert [path for path, said in refused.items() if not said.startswith(str(path)) or "\n" in said] == []
    assert len(paths) - len(refused) > 800
