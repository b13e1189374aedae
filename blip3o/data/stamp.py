"""What a file was when it was indexed: a sample is refused where its file is another one by now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blip3o.data.rows import RowError

Stamp = tuple[str, ...]
MARKS = ("size", "mtime", "ETag", "etag", "LastModified", "last_modified", "updated")
"""What file systems of fsspec tell of the state of a file, each by words of its own."""


def local_info(path: Path) -> dict[str, Any]:
    """What there is to tell of a file on a disk. Raises OSError where it is gone."""
    state = path.stat()
    return {"size": state.st_size, "mtime": state.st_mtime_ns}


def stamp_of(info: Mapping[str, Any]) -> Stamp:
    """The marks in what a file system of fsspec tells of a file."""
    return tuple(str(info[mark]) for mark in MARKS if info.get(mark) is not None)


def check_stamp(stamp: Stamp, info: Mapping[str, Any]) -> None:
    """Raise RowError where a file is not what it was."""
    if stamp_of(info) != stamp:
        raise RowError("changed file", "it is not what it was when it was indexed: start again")
