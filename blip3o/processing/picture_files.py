"""Pictures for people and files: several on one tile, one inside a page, and one as the bytes of a PNG."""

import base64
from collections.abc import Sequence
from io import BytesIO
from math import ceil, sqrt

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from blip3o.processing.conversation import Picture

SIDE = 192
"""Height and width in px of a tile."""


def tile(pictures: Sequence[Picture], side: int = SIDE) -> Image.Image:
    """Pictures on one white square in reading order, each whole and as large as fits; white alone for none."""
    page = Image.new("RGB", (side, side), "white")
    columns = ceil(sqrt(len(pictures)))
    for number, picture in enumerate(pictures):
        cell = side // columns
        small = ImageOps.contain(Image.fromarray(picture.pixels), (cell, cell))
        free_x, free_y = cell - small.width, cell - small.height
        rows = ceil(len(pictures) / columns)
        top = (side - rows * cell) // 2
        page.paste(small, (number % columns * cell + free_x // 2, top + number // columns * cell + free_y // 2))
    return page


def png_text(image: Image.Image) -> PngInfo:
    """All that an image tells of itself (its `info`: prompt, seed, model ...), as the text of a PNG."""
    text = PngInfo()
    for key, value in image.info.items():
        text.add_text(str(key), str(value).encode(errors="backslashreplace").decode())
    return text


def data_address(picture: Picture, side: int = SIDE) -> str:
    """A picture, no larger than `side` px, as an address that holds its bytes, for a page of one file."""
    image = Image.fromarray(picture.pixels)
    image.thumbnail((side, side))
    image.save(content := BytesIO(), "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def to_png(picture: Picture) -> bytes:
    """A picture as the bytes of a PNG."""
    Image.fromarray(picture.pixels).save(content := BytesIO(), "PNG")
    return content.getvalue()
