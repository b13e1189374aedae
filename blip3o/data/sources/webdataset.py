"""WebDataset shards: tar files of members `key.jpg`, `key.txt`, `key.json`, here or at an address, by random access.

A shard is indexed once, by the offsets and sizes of its members (headers only): a sample is read by a seek, so that it
has an address, and training goes on at any of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import fsspec

from blip3o.data.json_rows import json_object
from blip3o.data.rows import RowError, SourceRow
from blip3o.data.sources.source import RowSource, RowSourceConfig
from blip3o.data.stamp import check_stamp, stamp_of
from blip3o.data.tar_index import TarIndex, compression
from blip3o.errors import ConfigError, DataError

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
LARGEST_MEMBER = 2**29
"""Bytes; a larger picture or text is a fault of the data."""


@dataclass(frozen=True, kw_only=True)
class WebDatasetConfig(RowSourceConfig):
    """`path`: shards by a brace pattern (`{00000..00099}.tar`), a glob, one name; here, or at an address of fsspec.

    The columns of a sample are those of its `json`, `caption` of its `txt`, and `image` of its picture. Where it has
    several pictures (`key.0.jpg`, `key.before.png`), its `json` names them by their suffixes: `source: before.png`.
    """

    kind: Literal["webdataset"] = "webdataset"


class WebDataset(RowSource):
    """The samples of all shards, in the order of their names."""

    config: WebDatasetConfig

    def __init__(self, config: WebDatasetConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config, progress)
        self.files, self.shards = _expanded(config.path)
        self.index = TarIndex()
        self.stamps = []
        for number, path in enumerate(self.shards):
            self.stamps.append(stamp_of(self.files.info(path)))
            with self.files.open(path, "rb") as file:
                _check_uncompressed(path, file)
                self.index.add(file, (*IMAGE_SUFFIXES, "txt", "json"))
            if progress is not None:
                progress(number + 1, len(self.shards))
        if not len(self):
            raise DataError(f"{config.path} holds no samples: its {len(self.shards)} shards are empty")

    def __len__(self) -> int:
        return len(self.index)

    def row(self, index: int) -> SourceRow:
        if fault := self.index.faults.get(index):
            raise RowError("broken shard", fault)
        members = self.index.members(index)
        row: dict[str, Any] = json_object(self._read(index, members["json"])) if "json" in members else {}
        image = next(({"image": suffix} for suffix in IMAGE_SUFFIXES if suffix in members), {})
        text = {"caption": self._read(index, members["txt"])} if "txt" in members else {}
        named = {name: suffix for suffix in members if (name := _image_column(suffix))}
        return row | text | named | image

    def place(self, index: int) -> tuple[str, str]:
        shard = self.shards[self.index.shard(index)]
        return shard, f"{shard}/{self.index.keys[index]}"

    def open_image(self, index: int, value: Any) -> Any:
        """A picture by the suffix of its member, or by its name."""
        if not isinstance(value := super().open_image(index, value), str):
            return value
        members, name = self.index.members(index), value.lower()
        suffix = name if name in members else name.rpartition("/")[2].partition(".")[2]
        if suffix not in members:
            raise RowError("missing image", f"the sample has no member {value!r}")
        return self._read(index, members[suffix])

    def _read(self, index: int, place: tuple[int, int]) -> bytes:
        """The bytes of a member at an offset. Raises RowError where they are not there, OSError."""
        offset, size = place
        if size > LARGEST_MEMBER:
            raise RowError("huge file", f"{size} bytes, more than {LARGEST_MEMBER}")
        number = self.index.shard(index)
        check_stamp(self.stamps[number], self.files.info(self.shards[number]))
        content = self.files.cat_file(self.shards[number], start=offset, end=offset + size) if size else b""
        if len(content) != size:
            raise RowError("broken shard", f"{len(content)} of {size} bytes at {offset}")
        return content


def _check_uncompressed(path: str, file: Any) -> None:
    """Raise DataError for a shard in which nothing can be found by its place."""
    form = compression(file.read(8))
    file.seek(0)
    if form is not None:
        raise DataError(f"{path} is compressed by {form}, so that no sample in it can be sought: unpack it to a .tar")


def _expanded(pattern: str) -> tuple[Any, list[str]]:
    """The file system and the shards of a pattern, sorted. Raises DataError where there are none."""
    try:
        from braceexpand import braceexpand
    except ModuleNotFoundError:
        raise ConfigError("reading shards takes braceexpand: pip install 'blip3o[train]'") from None
    try:
        opened = [fsspec.get_fs_token_paths(part) for part in braceexpand(pattern)]
        files = opened[0][0]
        paths = sorted({path for _, _, found in opened for path in found})
        missing = [path for path in paths if not files.isfile(path)]
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"{pattern} cannot be listed ({error}): name shards as the source's path") from None
    if missing or not paths:
        raise DataError(f"{pattern}: {', '.join(missing[:3]) or 'no shard'} does not exist: name files such as 00.tar")
    return files, paths


def _image_column(suffix: str) -> str:
    """The column of a picture that is named before its ending: "source" of `source.png`; "" for other members."""
    name, _, ending = suffix.rpartition(".")
    return name if ending in IMAGE_SUFFIXES else ""
