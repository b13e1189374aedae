"""A folder of images with captions: beside them (`name.png`, `name.txt`), or in `metadata.jsonl` (or .csv)."""

import csv
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blip3o.data.rows import RowError, SourceRow
from blip3o.data.sources.source import RowSource, RowSourceConfig, beside
from blip3o.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
METADATA = ("metadata.jsonl", "metadata.csv")
"""The tables of the `imagefolder` convention of Hugging Face's datasets; `file_name` names the image."""


@dataclass(frozen=True, kw_only=True)
class ImageFolderConfig(RowSourceConfig):
    """`path` is the folder."""

    kind: Literal["image_folder"] = "image_folder"


class ImageFolder(RowSource):
    """The images below a folder, in order of their names."""

    config: ImageFolderConfig

    def __init__(self, config: ImageFolderConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config, progress)
        self.folder = Path(config.path).expanduser()
        if not self.folder.is_dir():
            raise DataError(f"{self.folder} is no folder: name a folder of images as the source's path")
        self.table = next((table for name in METADATA if (table := self.folder / name).is_file()), None)
        self.rows: list[SourceRow] = _files(self.folder) if self.table is None else _table(self.table)
        if not self.rows:
            raise DataError(f"{self.folder} holds no images ({', '.join(SUFFIXES)}): is it the right folder?")

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> SourceRow:
        row = self.rows[index]
        if self.table is not None:
            return row
        caption = (self.folder / row["file_name"]).with_suffix(".txt")
        if not caption.is_file():
            raise RowError("no caption", f"{caption.name} does not lie beside it")
        return {**row, "caption": caption.read_bytes()}

    def place(self, index: int) -> tuple[str, str]:
        if self.table is None:
            return str(self.folder), str(self.folder / self.rows[index]["file_name"])
        return str(self.table), f"{self.table}:{index + 1}"

    def open_image(self, index: int, value: Any) -> Any:
        return beside(self.folder, super().open_image(index, value))


def _files(folder: Path) -> list[SourceRow]:
    """The image files below a folder, by their paths from there, sorted: the same on every machine."""
    paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    names = sorted(path.relative_to(folder).as_posix() for path in paths if path.suffix.lower() in SUFFIXES)
    return [{"file_name": name} for name in names]


def _table(path: Path) -> list[SourceRow]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    try:
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise DataError(f"{path} is no JSON of a line each ({error}): write one object to a line") from None
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} has lines that are no objects: write one object to a line")
    return rows
