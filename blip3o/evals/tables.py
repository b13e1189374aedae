"""The files that data sets come in: JSON, lines of JSON, TSV, CSV, Parquet, and the pictures inside."""

import base64
import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from blip3o.errors import DataError
from blip3o.prompt.pictures import open_picture, to_rgb

Row = dict[str, Any]


def find(folder: Path, *patterns: str) -> Path | None:
    """The first file that matches the first of these patterns that any file below a folder matches."""
    for pattern in patterns:
        found = sorted(path for path in folder.rglob(pattern) if path.is_file())
        if found:
            return found[0]
    return None


def need(folder: Path, what: str, *patterns: str) -> Path:
    """The same, where nothing else will do. Raises DataError that says `what` is missing."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: name the folder of {what} with --data")
    found = find(folder, *patterns)
    if found is None:
        raise DataError(f"{folder} holds no {' or '.join(patterns)}: put the files of {what} there")
    return found


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises DataError for a broken one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no JSON ({error}): copy it again") from error


def read_lines(path: Path) -> list[Row]:
    """The objects of a file with one JSON object a line. Raises DataError with the number of a broken line."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise DataError(f"{path}, line {number}, is no JSON ({error}): copy it again") from error
    return rows


def read_table(path: Path) -> list[Row]:
    """The rows of a .tsv, .csv, .json (a list), .jsonl or .parquet file; cells of TSV and CSV are strings."""
    if path.suffix in (".tsv", ".csv"):
        csv.field_size_limit(sys.maxsize)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    if path.suffix == ".parquet":
        return _parquet(path)
    return read_lines(path) if path.suffix == ".jsonl" else read_json(path)


def read_parquet(folder: Path, what: str, *patterns: str) -> list[Row]:
    """The rows of all Parquet files below a folder that match the first pattern that any matches, in order of name.

    Raises DataError where there are none.
    """
    for pattern in patterns:
        paths = sorted(folder.rglob(pattern))
        if paths:
            _check_whole(paths)
            return [row for path in paths for row in _parquet(path)]
    if folder.is_dir():
        raise DataError(
            f"{folder} holds no {' or '.join(patterns)}, nor the official files of {what}: put the ones or the others "
            "there; docs/benchmarks.md says where they are had"
        )
    need(folder, what, *patterns)
    return []


def _check_whole(paths: Sequence[Path]) -> None:
    """Raise DataError where a file of several that are numbered is missing ("test-00000-of-00003.parquet")."""
    there = {path.name for path in paths}
    for path in paths:
        found = re.fullmatch(r"(.*-)\d{5}(-of-(\d{5}))(.*)", path.name)
        for number in range(int(found[3]) if found else 0):
            name = f"{found[1]}{number:05d}{found[2]}{found[4]}" if found else ""
            if name not in there:
                raise DataError(f"{path.parent} lacks {name}, so the data are not whole: fetch it")


def _parquet(path: Path) -> list[Row]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f"{path} needs pyarrow: pip install 'blip3o[eval]'") from error
    try:
        return list(_rows(pyarrow.parquet.ParquetFile(path)))
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise DataError(f"{path} is no whole Parquet file ({error}): copy it again") from error


def _rows(file: Any) -> Iterator[Row]:
    for batch in file.iter_batches():
        yield from batch.to_pylist()


def column(row: Row, source: Path, *names: str) -> Any:
    """The cell of a row under the first of these names that it has. Raises DataError where it has none."""
    for name in names:
        if name in row:
            return row[name]
    raise DataError(f"{source} has no column {' or '.join(names)}, but {', '.join(row)}: is it of another data set?")


def picture(cell: Any, source: Path) -> bytes | Path:
    """The picture of a cell: of a Hub's mirror (`{"bytes": ..., "path": ...}`), in base64, or the name of a file that
    stands beside its source. Raises DataError for another thing."""
    if isinstance(cell, dict) and cell.get("bytes"):
        return cell["bytes"]
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, str) and (source.parent / cell).is_file():
        return source.parent / cell
    if isinstance(cell, str) and len(cell) > 64:
        return base64.b64decode(cell)
    raise DataError(f"{source} has no picture where one is expected, but {str(cell)[:40]!r}: is a folder missing?")


def picture_file(folder: Path, name: str) -> Path:
    """The picture file of this name below a folder. Raises DataError where it is missing."""
    beside = folder / name
    found = beside if beside.is_file() else find(folder, name)
    if found is None:
        raise DataError(f"{folder} holds no picture {name}: put the pictures of the data set there")
    return found


def opened(picture: Path | bytes) -> Image.Image:
    """A picture in RGB. Raises PictureError or DataError for a damaged one."""
    if isinstance(picture, Path):
        return open_picture(picture)
    try:
        return to_rgb(Image.open(BytesIO(picture)))
    except OSError as error:
        raise DataError(f"a picture inside the data is damaged ({error}): copy the file again") from error
