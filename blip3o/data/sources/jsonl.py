"""JSON and JSONL: captions, conversations (LLaVA, ShareGPT, OpenAI), edits; images are files beside it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from blip3o.data.rows import RowError, SourceRow
from blip3o.data.sources.source import RowSource, RowSourceConfig, beside
from blip3o.errors import DataError


@dataclass(frozen=True, kw_only=True)
class JsonLinesConfig(RowSourceConfig):
    """`path` is the file: one object to a line, or one list of objects."""

    kind: Literal["jsonl"] = "jsonl"
    images: str = ""
    """The folder that image names start from; empty is the folder of the file."""


class JsonLines(RowSource):
    """Rows at the offsets of their lines, so that a file of any size is opened at once and held by nobody."""

    config: JsonLinesConfig

    def __init__(self, config: JsonLinesConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config, progress)
        self.file = Path(config.path).expanduser()
        self.images = Path(config.images).expanduser() if config.images else self.file.parent
        if not self.file.is_file():
            raise DataError(f"{self.file} does not exist: name a JSON or JSONL file as the source's path")
        self.listed: list[Any] | None = None
        with self.file.open("rb") as file:
            if file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"["):
                self.listed = _list(self.file)
        self.offsets = np.empty(0, np.int64) if self.listed is not None else _offsets(self.file)
        if not len(self):
            raise DataError(f"{self.file} holds no rows: write one JSON object to a line")

    def __len__(self) -> int:
        return len(self.offsets) if self.listed is None else len(self.listed)

    def row(self, index: int) -> SourceRow:
        if self.listed is not None:
            row = self.listed[index]
        else:
            with self.file.open("rb") as file:
                file.seek(self.offsets[index])
                line = file.readline()
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except UnicodeDecodeError:
                raise RowError("badly encoded text", "the line is no UTF-8") from None
            except ValueError as error:
                raise RowError("no JSON", str(error)) from None
        if not isinstance(row, dict):
            raise RowError("no JSON object", f"{type(row).__name__}")
        return row

    def place(self, index: int) -> tuple[str, str]:
        return str(self.file), f"{self.file}:{index + 1}"

    def open_image(self, index: int, value: Any) -> Any:
        return beside(self.images, super().open_image(index, value))


def _list(path: Path) -> list[Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no JSON ({error}): write one list, or one object to a line") from None


def _offsets(path: Path) -> np.ndarray:
    """Where each line that holds something begins, in bytes."""
    offsets, place = [], 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                offsets.append(place)
            place += len(line)
    return np.array(offsets, np.int64)
