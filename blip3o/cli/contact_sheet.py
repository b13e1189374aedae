"""Contact sheets: pictures with their captions under them, in titled sections."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageFont

SIDE, GAP, LINE, TITLE = 192, 14, 15, 34
"""In px: a picture, the space between two, a line of a caption, a title."""


Tile = tuple["PIL.Image.Image", str]
"""A picture and what stands under it."""
Section = tuple[str, Sequence[Tile]]
"""A title, empty for none, and the tiles under it."""


def sheet(sections: Sequence[Section], columns: int = 6) -> "PIL.Image.Image":
    """All sections on one page, `columns` tiles in a row."""
    from PIL import Image, ImageDraw, ImageFont

    font, bold = ImageFont.load_default(12), ImageFont.load_default(18)
    rows = [
        ("" if start else title, tiles[start : start + columns])
        for title, tiles in sections
        for start in range(0, len(tiles), columns)
    ]
    captions = [[wrapped(caption, font) for _, caption in tiles] for _, tiles in rows]
    heights = [
        TITLE * bool(title) + SIDE + GAP + LINE * max(map(len, texts))
        for (title, _), texts in zip(rows, captions, strict=True)
    ]
    page = Image.new("RGB", (columns * (SIDE + GAP) + GAP, sum(heights) + GAP), "white")
    pen, y = ImageDraw.Draw(page), GAP
    for (title, tiles), texts, height in zip(rows, captions, heights, strict=True):
        pen.text((GAP, y), title, "black", bold)
        top = y + TITLE * bool(title)
        for index, ((image, _), lines) in enumerate(zip(tiles, texts, strict=True)):
            x = GAP + index * (SIDE + GAP)
            page.paste(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC), (x, top))
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
