"""The files that data sets come in: JSON, lines of JSON, TSV, CSV, Parquet, Arrow, and the pictures inside."""

import ast
import base64
import binascii
import csv
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from blip3o.errors import DataError, PictureError
from blip3o.evals.columnar import ColumnFile, Stored
from blip3o.processing.images import MOST_PIXELS, to_rgb

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A picture that a benchmark makes itself; it lies nowhere yet."""

    path: Path
    """Where results keep it, from their folder."""
    image: Callable[[], Image.Image]


PictureSource = Path | bytes | str | Stored | Made
"""Where a picture is: a file, its content, its content in base64, a cell that is not read yet, or one to be made."""
DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,")
SHORTEST_BASE64 = 64
"""A shorter cell is the name of a file."""


def find(folder: Path, *patterns: str) -> Path | None:
    """The first file that matches the first of these patterns that any file below a folder matches."""
    for pattern in patterns:
        paths = sorted(path for path in folder.rglob(pattern) if path.is_file())
        if paths:
            return paths[0]
    return None


def need(folder: Path, what: str, *patterns: str) -> Path:
    """The same, where nothing else will do. Raises DataError that says `what` is missing."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: name the folder of {what} with --data")
    path = find(folder, *patterns)
    if path is None:
        raise DataError(f"{folder} holds no {' or '.join(patterns)}: put the files of {what} there")
    return path


def read_text(path: Path) -> str:
    """What a text says, without a byte-order mark. Raises DataError for one that is not in UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): name another file") from error
    except ValueError as error:
        raise DataError(f"{path} is no text in UTF-8 ({error}): copy it again") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises DataError for a broken one."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON ({error}): copy it again") from error


def read_lines(path: Path) -> list[Row]:
    """The objects of a file with one JSON object a line. Raises DataError with the number of a broken line."""
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, line {number}, is no JSON ({error}): copy it again") from error
    return rows


def read_strings(path: Path, what: str = "Python") -> dict[str, str]:
    """The strings that a Python file gives names to, at its top level; the file is read, never run.

    Raises DataError for a file that is no Python; `what` says which it should be.
    """
    return {
        target.id: node.value.value
        for node in read_python(path, what).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def read_python(path: Path, what: str) -> ast.Module:
    """The syntax of a Python file. Raises DataError for a file that is none."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is no {what} ({error}): copy it again") from error


def read_table(path: Path) -> list[Row]:
    """The rows of a .tsv, .csv, .json (a list) or .jsonl file; cells of TSV and CSV are strings."""
    if path.suffix in (".tsv", ".csv"):
        csv.field_size_limit(sys.maxsize)
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
        except (OSError, ValueError, csv.Error) as error:
            raise DataError(f"{path} is no table in UTF-8 ({error}): copy it again") from error
    return read_lines(path) if path.suffix == ".jsonl" else read_json(path)


def read_rows(folder: Path, what: str, *patterns: str) -> list[Row]:
    """The rows of all Parquet files below a folder that match the first pattern that any matches, in order of name; of
    Arrow files of that name where there are no Parquet files. Their pictures stay on disk.

    Raises DataError where there are none.
    """
    for pattern in (*patterns, *(pattern.replace(".parquet", ".arrow") for pattern in patterns)):
        paths = sorted(folder.rglob(pattern))
        if paths:
            _check_whole(paths)
            return [row for path in paths for row in ColumnFile(path).rows()]
    if folder.is_dir():
        raise DataError(
            f"{folder} holds no {' or '.join(patterns)}, nor the official files of {what}: put the ones or the others "
            "there; docs/benchmarks.md says where they are had"
        )
    need(folder, what, *patterns)
    return []


def _check_whole(paths: Sequence[Path]) -> None:
    """Raise DataError where a file of several that are numbered is missing ("test-00000-of-00003.parquet")."""
    names = {path.name for path in paths}
    for path in paths:
        numbered = re.fullmatch(r"(.*-)\d{5}(-of-(\d{5}).*)", path.name)
        if numbered is None:
            continue
        for number in range(int(numbered[3])):
            part = f"{numbered[1]}{number:05d}{numbered[2]}"
            if part not in names:
                raise DataError(f"{path.parent} lacks {part}, so the data are not whole: fetch it")


def column(row: Row, source: Path, *names: str) -> Any:
    """The cell of a row under the first of these names that it has. Raises DataError where it has none."""
    for name in names:
        if name in row:
            return row[name]
    raise DataError(f"{source} has no column {' or '.join(names)}, but {', '.join(row)}: is it of another data set?")


def picture(cell: Any, source: Path) -> PictureSource:
    """The picture of a cell: of a Hub's mirror, in base64 (bare or as a data URL), or the name of a file that stands
    beside its source. One that is empty or damaged is told when it is opened. Raises DataError for another thing."""
    if cell is None or isinstance(cell, Stored | bytes):
        return cell or b""
    if isinstance(cell, str) and (url := DATA_URL.match(cell)):
        return cell[url.end() :]
    if isinstance(cell, str) and len(cell) > SHORTEST_BASE64:
        return cell
    if isinstance(cell, str) and (source.parent / cell).is_file():
        return source.parent / cell
    raise DataError(f"{source} has no picture where one is expected, but {str(cell)[:40]!r}: is a folder missing?")


def picture_file(folder: Path, name: str) -> Path:
    """The picture file of this name below a folder. Raises DataError where it is missing."""
    beside = folder / name
    path = beside if beside.is_file() else find(folder, name)
    if path is None:
        raise _no_picture(folder, name)
    return path


class PictureFolder(dict[str, Path]):
    """All files below a folder, by name, found once: a look for each of thousands of names takes hours. Raises
    DataError for a name that is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for place, folders, names in os.walk(folder):
            folders.sort()
            for name in names:
                self.setdefault(name, Path(place) / name)

    def __missing__(self, name: str) -> Path:
        raise _no_picture(self.folder, name)


def _no_picture(folder: Path, name: str) -> DataError:
    return DataError(f"{folder} holds no picture {name}: put the pictures of the data set there")


def opened(picture: PictureSource) -> Image.Image:
    """A picture as official code is handed it (`official_rgb`). Raises PictureError for a damaged one."""
    if isinstance(picture, Made):
        return picture.image()
    name = str(picture) if isinstance(picture, Path) else "a picture inside the data"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            return _decoded(_content(picture), name)
    except PictureError:
        raise
    except Exception as error:  # Pillow's readers of formats raise whatever a damaged file leads them into
        raise PictureError(f"{name} is damaged ({error or type(error).__name__}): copy it again") from error


def _decoded(content: Path | bytes, name: str) -> Image.Image:
    with Image.open(content if isinstance(content, Path) else BytesIO(content)) as image:
        if image.width * image.height > MOST_PIXELS:
            raise PictureError(f"{name} has {image.width} x {image.height} px, more than {MOST_PIXELS:,} in all")
        image.load()
        return official_rgb(image)


def official_rgb(picture: Image.Image) -> Image.Image:
    """A picture in RGB as the field's code makes it: turned upright where its EXIF data can be read, as `datasets` does
    it, and with the colours that lie beneath transparency, as Pillow's `convert` does it."""
    try:
        picture = ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - a broken note about a picture raises anything, and the picture is whole
        picture = picture.copy()
    if picture.mode[0] in "IF":
        return to_rgb(picture)
    picture.info.pop("transparency", None)  # of a palette: Pillow would warn that it is dropped
    return picture.convert("RGB")


def _content(picture: Path | bytes | str | Stored) -> Path | bytes:
    content = picture.read() if isinstance(picture, Stored) else picture
    if isinstance(content, str):
        try:
            content = base64.b64decode(content)
        except binascii.Error as error:
            raise PictureError(f"a picture inside the data is no base64 ({error}): copy the file again") from error
    if content == b"":
        raise PictureError("a picture inside the data is empty: copy the file again")
    return content
