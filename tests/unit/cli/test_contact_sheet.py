"""Contact sheets hold every tile and every word."""

import pytest
from PIL import Image, ImageFont

from blip3o.cli import contact_sheet as sheets
from blip3o.cli.contact_sheet import sheet, wrapped

RED = (Image.new("RGB", (4, 4), "red"), "a red square")


@pytest.mark.parametrize("text", ["a red dog and two blue cars on a beach at night", "one\ntwo words", "x" * 200])
def test_wrapping_loses_no_word(text):
    lines = wrapped(text, ImageFont.load_default(12))
    assert " ".join(lines).split() == text.split()


def test_every_line_fits_under_its_picture():
    font = ImageFont.load_default(12)
    assert all(font.getlength(line) <= sheets.SIDE for line in wrapped("a red dog " * 20, font))


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (6, 1), (7, 2)])
def test_every_tile_is_on_the_sheet(count, rows):
    page = sheet([("title", [RED] * count)])
    area = sum(color == (255, 0, 0) for color in page.get_flattened_data())
    assert area == count * sheets.SIDE**2
    assert page.height == rows * (sheets.SIDE + sheets.GAP + sheets.LINE) + sheets.TITLE + sheets.GAP


def test_sections_begin_on_their_own_rows():
    alone, both = sheet([("", [RED])]).height, sheet([("", [RED]), ("", [RED])]).height
    assert both - sheets.GAP == 2 * (alone - sheets.GAP)
