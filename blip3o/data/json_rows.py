"""The rows of a JSON or JSONL file by their places in it: a file of any size is opened at once, and held by nobody."""

import json
import mmap
import re
from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from blip3o.data.rows import RowError, SourceRow
from blip3o.data.stamp import check_stamp, local_info, stamp_of
from blip3o.errors import DataError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.S)
"""What decides where a row of a list ends: texts are passed over whole, brackets open and close."""


class JsonRows:
    """One object to a line, or one list of objects. A row costs 16 bytes. Raises DataError for a file without rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise DataError(f"{path} does not exist: name a JSON or JSONL file as the source's path")
        self._stamp = stamp_of(local_info(path))
        with path.open("rb") as file:
            listed = file.read(64).removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"[")
        self._starts, self._ends = array("q"), array("q")
        for start, end in (_items if listed else _lines)(path):
            self._starts.append(start)
            self._ends.append(end)
        if not self._starts:
            raise DataError(f"{path} holds no rows: write one JSON object to a line")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> SourceRow:
        """Raises RowError for what is no object, or where the file has changed; OSError where it is gone."""
        check_stamp(self._stamp, local_info(self.path))
        with self.path.open("rb") as file:
            file.seek(self._starts[index])
            content = file.read(self._ends[index] - self._starts[index])
        return json_object(content)


def json_object(content: bytes) -> dict[str, Any]:
    """The object that is written there. Raises RowError for anything else."""
    try:
        row = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise RowError("badly encoded text", "it is no UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise RowError("no JSON", str(error)) from None
    if not isinstance(row, dict):
        raise RowError("no JSON object", type(row).__name__)
    return row


def _lines(path: Path) -> Iterator[tuple[int, int]]:
    """Where each line that holds something begins and ends, in bytes."""
    place = 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield place, place + len(line)
            place += len(line)


def _items(path: Path) -> Iterator[tuple[int, int]]:
    """Where each item of a list begins and ends, in bytes; what an item holds is read when its turn comes."""
    with path.open("rb") as file, closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as content:
        depth = start = 0
        for token in _TOKENS.finditer(content):
            letter = token[0][:1]
            if letter in b"]}" or (letter == b"," and depth == 1):
                depth -= letter != b","
                if depth == 0 or letter == b",":
                    if content[start : token.start()].strip():
                        yield start, token.start()
                    start = token.end()
                if depth == 0:
                    break
            elif letter in b"[{":
                start = start if depth else token.end()
                depth += 1
        if depth or content[start:].strip():
            raise DataError(f"{path} is no JSON (its list does not end where the file ends): write one list of objects")
