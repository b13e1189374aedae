"""Pictures out of requests and into responses. None is ever fetched, and no path is ever opened."""

import base64
import binascii
import io
import re

from PIL import Image

from blip3o.errors import PictureError
from blip3o.processing.chat_template import ChatTemplate
from blip3o.processing.conversation import Picture

DATA = re.compile(r"data:image/[\w.+-]+;base64,")
"""How a picture begins that stands in its address."""


def of_address(address: str, template: ChatTemplate, most_pixels: int) -> Picture:
    """The picture that an address holds. Raises PictureError for one that is elsewhere."""
    start = DATA.match(address)
    if start is None:
        raise PictureError(
            f"image_url is {address[:40]!r}: give the picture itself, as data:image/png;base64,...; none is fetched"
        )
    try:
        return of_bytes(base64.b64decode(address[start.end() :], validate=True), template, most_pixels)
    except binascii.Error as error:
        raise PictureError(f"image_url is no base64 ({error}): encode the bytes of the file") from None


def of_bytes(content: bytes, template: ChatTemplate, most_pixels: int) -> Picture:
    """The picture in the bytes of a file, whose size is looked at before anything is decoded. Raises PictureError."""
    try:
        with Image.open(io.BytesIO(content)) as header:
            width, height = header.size
    except Exception:  # noqa: BLE001 - `template.picture` tells what is wrong with it
        width = height = 0
    if width * height > most_pixels:
        raise PictureError(f"a picture has {width} x {height} pixels, more than {most_pixels}: scale it down")
    return template.picture(content)


def encoded(image: Image.Image, form: str = "png", quality: int = 95) -> str:
    """The bytes of a file in base64; a PNG with all that the picture tells of itself."""
    from PIL.PngImagePlugin import PngInfo

    held = io.BytesIO()
    if form == "png":
        text = PngInfo()
        for key, value in image.info.items():
            text.add_text(str(key), str(value).encode(errors="backslashreplace").decode())
        image.save(held, "PNG", pnginfo=text)
    else:
        image.save(held, "JPEG", quality=quality)
    return base64.b64encode(held.getvalue()).decode()
