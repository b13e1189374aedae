"""Pictures out of requests and into responses. None is ever fetched, and no path is ever opened."""

import base64
import binascii
import io
import re
import threading
from collections.abc import Sequence

from PIL import Image

from blip3o.errors import PictureError
from blip3o.processing.chat_template import ChatTemplate
from blip3o.processing.conversation import Picture
from blip3o.processing.picture_files import png_text
from blip3o.serve.limits import Limits

DATA = re.compile(r"data:image/[\w.+-]+;base64,")
"""How a picture begins that stands in its address."""
DECODING = threading.BoundedSemaphore(4)
"""Requests whose pictures are decoded at a time."""


FORMS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF")
"""What Pillow may read of a request: for others it starts programs, or finds out late how large they are."""


def bytes_of(address: str) -> bytes:
    """The file that an address holds. Raises PictureError for one that is elsewhere."""
    start = DATA.match(address)
    if start is None:
        raise PictureError(
            f"image_url is {address[:40]!r}: give the picture itself, as data:image/png;base64,...; none is fetched"
        )
    try:
        return base64.b64decode(address[start.end() :], validate=True)
    except binascii.Error as error:
        raise PictureError(f"image_url is no base64 ({error}): encode the bytes of the file") from None


def opened(contents: Sequence[bytes], template: ChatTemplate, limits: Limits) -> list[Picture]:
    """The pictures of a request, whose sizes are looked at before any is decoded. Raises PictureError."""
    if len(contents) > limits.pictures:
        raise PictureError(f"{len(contents)} pictures in one request, more than {limits.pictures}: send fewer")
    pixels = sum(map(_pixels, contents))
    if pixels > limits.pixels:
        raise PictureError(f"the pictures have {pixels} pixels, more than {limits.pixels}: scale them down")
    with DECODING:
        return [template.picture(content) for content in contents]


def _pixels(content: bytes) -> int:
    """How many a picture says it has."""
    if not content:
        raise PictureError("a picture is empty (0 bytes): send the bytes of its file", "empty image")
    try:
        with Image.open(io.BytesIO(content), formats=FORMS) as header:
            return header.width * header.height
    except Exception:  # noqa: BLE001 - a reader of Pillow raises whatever breaks in it
        raise PictureError(f"a picture is none of {', '.join(FORMS)}, or damaged: send one of these") from None


def encoded(image: Image.Image, form: str = "png", quality: int = 95) -> str:
    """The bytes of a file in base64; a PNG with all that the picture tells of itself."""
    held = io.BytesIO()
    if form == "png":
        image.save(held, "PNG", pnginfo=png_text(image))
    else:
        image.save(held, "JPEG", quality=quality)
    return base64.b64encode(held.getvalue()).decode()
