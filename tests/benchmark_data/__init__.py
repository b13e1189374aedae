"""Tiny data sets of benchmarks: `write(folder)` makes the official files, `write_mirror(folder)` the Hub's."""

from dataclasses import replace
from io import BytesIO

from PIL import Image

from blip3o.evals.tables import opened


def write_picture(path, color="red", size=(64, 48)):
    """A picture file of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def content(color="red", size=(64, 48)):
    """The bytes of a PNG of one colour."""
    buffer = BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def looked_at(items):
    """The items with what is in their pictures, wherever these are kept."""
    return [replace(item, pictures=tuple(opened(picture).tobytes() for picture in item.pictures)) for item in items]
