"""Where results go: new names, pictures that carry where they come from, files whole or not at all."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blip3o.errors import OutputError

if TYPE_CHECKING:
    import PIL.Image

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""Suffix -> Pillow's name of the format."""


def slug(text: str, longest: int = 60) -> str:
    """A text as a file name: "a-red-dog"."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))[:longest].strip("-") or "picture"


def is_folder(output: Path | None) -> bool:
    """Whether an output names a folder (None: the current one). Raises OutputError for what no picture can be."""
    if output is None or output.is_dir() or not output.suffix:
        return True
    if output.suffix.lower() not in FORMATS:
        raise OutputError(f"cannot write {output}: pictures end in {', '.join(FORMATS)}, a folder has no ending")
    return False


def check_writable(output: Path | None) -> None:
    """Raise OutputError for an output that cannot be made, before work is put into it."""
    try:
        check_folder(Path() if output is None else output if is_folder(output) else output.parent)
        if output is not None:
            output.exists()
    except OSError as error:
        raise OutputError(f"cannot write {output} ({error.strerror}): choose another name") from error


def check_folder(folder: Path) -> None:
    """Raise OutputError for a folder that cannot be made or written to."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        why = "is a file" if not there.is_dir() else "may not be written to"
        raise OutputError(f"cannot write to {folder}: {there} {why}; name another folder with --output")


def unused(path: Path) -> Path:
    """The path, or the first of path-2, path-3 ... that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A file to write in place of `path`, which appears there only when complete. Raises OutputError."""
    from blip3o.weights.folders import whole_file

    with whole_file(path) as temporary:
        yield temporary


def write_picture(image: "PIL.Image.Image", path: Path) -> Path:
    """Write a picture with all of its `info` (prompt, seed, model, version ...): PNG text, or the comment of a JPEG."""
    from PIL.PngImagePlugin import PngInfo

    facts = {str(key): str(value) for key, value in image.info.items()}
    with writing(path) as temporary:
        if FORMATS[path.suffix.lower()] == "PNG":
            text = PngInfo()
            for key, value in facts.items():
                text.add_text(key, value)
            image.save(temporary, "PNG", pnginfo=text)
        else:
            image.save(temporary, "JPEG", quality=95, comment=json.dumps(facts))
    return path


def write_text(text: str, path: Path) -> Path:
    """Write a text file."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_pictures(
    images: Sequence["PIL.Image.Image"], names: Sequence[str], output: Path | None, columns: int
) -> list[Path]:
    """Write pictures where the user wants them; the path of each.

    Into a folder: each under its name, a new one where that exists, and several also as `grid.png`. Into a file: the
    picture, or the grid of several, in place of what was there.
    """
    if not is_folder(output):
        assert output is not None
        image = images[0] if len(images) == 1 else grid(images, columns)
        return [write_picture(image, output)] * len(images)
    folder = output or Path()
    paths = [write_picture(image, unused(folder / f"{name}.png")) for image, name in zip(images, names, strict=True)]
    if len(images) > 1:
        write_picture(grid(images, columns), unused(folder / "grid.png"))
    return paths


def grid(images: Sequence["PIL.Image.Image"], columns: int, gap: int = 2) -> "PIL.Image.Image":
    """Pictures of one size side by side in rows; carries the prompts and seeds of all."""
    from PIL import Image

    width, height = images[0].size
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for index, image in enumerate(images):
        page.paste(image, (index % columns * (width + gap), index // columns * (height + gap)))
    page.info |= {key: "; ".join(dict.fromkeys(str(image.info[key]) for image in images)) for key in images[0].info}
    return page


def as_json(value: Any) -> str:
    """A value as JSON to read."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
