"""Where results go: new names, pictures that carry where they come from, files whole or not at all."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blip3o.cli.options import Stopped
from blip3o.errors import OutputError
from blip3o.files import writing

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


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path to write that nobody else has: this one, or the first of path-2, path-3 ... that is free.

    An empty file holds it until it is written; where that fails, it is gone. Raises OutputError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = next(place for place in places(path) if _created(place))
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror}): choose another place") from error
    try:
        yield free
    except BaseException:
        free.unlink(missing_ok=True)
        raise


def places(path: Path) -> Iterator[Path]:
    """The path, path-2, path-3 ..., whether they exist or not."""
    yield path
    yield from (path.with_stem(f"{path.stem}-{number}") for number in count(2))


def _created(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def write_picture(image: "PIL.Image.Image", path: Path) -> Path:
    """Write a picture with all of its `info` (prompt, seed, model, version ...): PNG text, or the comment of a JPEG."""
    from blip3o.processing.picture_files import png_text

    with writing(path) as temporary:
        if FORMATS[path.suffix.lower()] == "PNG":
            image.save(temporary, "PNG", pnginfo=png_text(image))
        else:
            image.save(temporary, "JPEG", quality=95, comment=json.dumps(image.info, default=str))
    return path


def write_new_picture(image: "PIL.Image.Image", path: Path) -> Path:
    """Write a picture under a name that nobody else has; gives that path."""
    with new_file(path) as free:
        return write_picture(image, free)


class Gallery:
    """Pictures written where the user wants them as they are made; `with` it, Ctrl-C keeps what is there and says so.

    Into a folder: each under its name, a new one where that exists, and in the end several also as `grid.png`. Into a
    file: the picture, or the grid of several, in place of what was there.
    """

    def __init__(self, output: Path | None, names: Sequence[str], columns: int) -> None:
        self.output, self.names, self.columns = output, names, columns
        self.into_folder = is_folder(output)
        self.images: list[PIL.Image.Image] = []
        self.paths: list[Path] = []

    def add(self, index: int, image: "PIL.Image.Image") -> None:
        """Take the next picture, the one of this index."""
        if self.into_folder:
            self.paths.append(write_new_picture(image, (self.output or Path()) / f"{self.names[index]}.png"))
        self.images.append(image)

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
        if not self.images or not (kind is None or stopped):
            return
        if not self.into_folder:
            self.paths = [write_picture(self._page(), self.output or Path())] * len(self.images)
        elif len(self.images) > 1 and not stopped:
            write_new_picture(self._page(), (self.output or Path()) / "grid.png")
        if stopped:
            written = f"{len(self.paths)} of {len(self.names)} pictures are written"
            raise Stopped(f"stopped: {written}, the last to {self.paths[-1]}")

    def show(self, as_record: bool) -> None:
        """Print where the pictures are, or a record of each in JSON."""
        if as_record:
            records = zip(self.paths, self.images, strict=True)
            print(as_json([{"path": str(path), **image.info} for path, image in records]))
            return
        for path in dict.fromkeys(self.paths):
            print(path)

    def _page(self) -> "PIL.Image.Image":
        return self.images[0] if len(self.images) == 1 else grid(self.images, self.columns)


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
