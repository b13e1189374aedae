"""Contact sheets: pictures with their captions under them, in titled sections."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageFont

SIDE, GAP, LINE, TITLE = 192, 14, 15, 34
"""In px: a picture, the space between two, a line of a caption, a title."""


@dataclass(frozen=True)
class Tile:
    """A picture and what stands under it."""

    image: "PIL.Image.Image"
    caption: str


@dataclass(frozen=True)
class Section:
    """Tiles under one title; none where it is empty."""

    title: str
    tiles: Sequence[Tile]


def sheet(sections: Sequence[Section], columns: int = 6) -> "PIL.Image.Image":
    """All sections on one page, `columns` tiles in a row."""
    from PIL import Image, ImageDraw, ImageFont

    font, bold = ImageFont.load_default(12), ImageFont.load_default(18)
    rows = [
        (section, section.tiles[i : i + columns]) for section in sections for i in range(0, len(section.tiles), columns)
    ]
    captions = [[wrapped(tile.caption, font) for tile in row] for _, row in rows]
    titled = [bool(s.title) and (i == 0 or rows[i - 1][0] is not s) for i, (s, _) in enumerate(rows)]
    heights = [
        SIDE + GAP + LINE * max(map(len, texts)) + TITLE * title for texts, title in zip(captions, titled, strict=True)
    ]
    page = Image.new("RGB", (columns * (SIDE + GAP) + GAP, sum(heights) + GAP), "white")
    pen, y = ImageDraw.Draw(page), GAP
    for (section, row), texts, title, height in zip(rows, captions, titled, heights, strict=True):
        if title:
            pen.text((GAP, y), section.title, "black", bold)
        top = y + TITLE * title
        for index, (tile, lines) in enumerate(zip(row, texts, strict=True)):
            x = GAP + index * (SIDE + GAP)
            page.paste(tile.image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC), (x, top))
            for number, line in enumerate(lines):
                pen.text((x, top + SIDE + 3 + number * LINE), line, (60, 60, 60), font)
        y += height
    return page


def wrapped(text: str, font: "PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont") -> list[str]:
    """A text in lines no wider than a picture; line ends stay."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines.append("")
        for word in paragraph.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and font.getlength(longer) > SIDE:
                lines.append(word)
            else:
                lines[-1] = longer
    return lines
