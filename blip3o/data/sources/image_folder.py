"""A folder of images with captions: beside them (`name.png`, `name.txt`), or in `metadata.jsonl` (or .csv)."""

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blip3o.data.json_rows import JsonRows
from blip3o.data.packed_texts import PackedTexts
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
        self.rows = None if self.table is None else _table(self.table)
        self.names = _names(self.folder) if self.table is None else PackedTexts()
        if not len(self):
            raise DataError(f"{self.folder} holds no images ({', '.join(SUFFIXES)}): is it the right folder?")

    def __len__(self) -> int:
        return len(self.names) if self.rows is None else len(self.rows)

    def row(self, index: int) -> SourceRow:
        if self.rows is not None:
            return self.rows[index]
        caption = (self.folder / self.names[index]).with_suffix(".txt")
        if not caption.is_file():
            raise RowError("no caption", f"{caption.name} does not lie beside it")
        return {"file_name": self.names[index], "caption": caption.read_bytes()}

    def place(self, index: int) -> tuple[str, str]:
        if self.table is None:
            return str(self.folder), str(self.folder / self.names[index])
        return str(self.table), f"{self.table}:{index + 1}"

    def open_image(self, index: int, value: Any) -> Any:
        return beside(self.folder, super().open_image(index, value))


def _names(folder: Path) -> PackedTexts:
    """The image files below a folder, by their paths from there, sorted: the same on every machine."""
    paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return PackedTexts(sorted(path.relative_to(folder).as_posix() for path in paths if path.suffix.lower() in SUFFIXES))


def _table(path: Path) -> JsonRows | Sequence[SourceRow]:
    if path.suffix == ".csv":
        return list(csv.DictReader(path.read_text(encoding="utf-8-sig", errors="replace").splitlines()))
    return JsonRows(path)
