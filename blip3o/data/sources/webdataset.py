"""WebDataset shards: tar files of members `key.jpg`, `key.txt`, `key.json`, here or at an address, by random access.

A shard is indexed once, by the offsets and sizes of its members (headers only): a sample is read by a seek, so that it
has an address, and training goes on at any of them.
"""

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

import fsspec

from blip3o.data.rows import RowError, SourceRow
from blip3o.data.sources.source import RowSource, RowSourceConfig
from blip3o.errors import ConfigError, DataError

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")
END = bytes(tarfile.BLOCKSIZE)
"""What stands behind the last member of a whole tar file."""


@dataclass(frozen=True, kw_only=True)
class WebDatasetConfig(RowSourceConfig):
    """`path`: shards by a brace pattern (`{00000..00099}.tar`), a glob, one name; here, or at an address of fsspec."""

    kind: Literal["webdataset"] = "webdataset"


@dataclass(frozen=True)
class Shard:
    """A tar file as it was when it was indexed."""

    path: str
    size: int


@dataclass(frozen=True)
class Members:
    """The members of one sample: suffix -> (offset, size) in bytes. `fault`: why what follows cannot be read."""

    shard: int
    key: str
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)
    fault: str = ""


class WebDataset(RowSource):
    """The samples of all shards, in the order of their names."""

    config: WebDatasetConfig

    def __init__(self, config: WebDatasetConfig, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__(config, progress)
        self.files, paths = _expanded(config.path)
        self.shards: list[Shard] = []
        self.samples: list[Members] = []
        for number, path in enumerate(paths):
            self.shards.append(Shard(path, self.files.size(path)))
            self.samples += self._indexed(number)
            if progress is not None:
                progress(number + 1, len(paths))
        if not self.samples:
            raise DataError(f"{config.path} holds no samples: its {len(paths)} shards are empty")

    def __len__(self) -> int:
        return len(self.samples)

    def row(self, index: int) -> SourceRow:
        members = self.samples[index]
        shard = self.shards[members.shard]
        if members.fault:
            raise RowError("broken shard", members.fault)
        if self.files.size(shard.path) != shard.size:
            raise RowError("changed shard", "it has another size than when it was indexed: start again")
        with self.files.open(shard.path, "rb") as file:
            values = {suffix: _read(file, *place) for suffix, place in members.parts.items()}
        row: dict[str, Any] = _json(values.pop("json")) if "json" in values else {}
        image = next((values[suffix] for suffix in IMAGE_SUFFIXES if suffix in values), None)
        text = {"caption": values["txt"]} if "txt" in values else {}
        named = {name: values[suffix] for suffix in values if (name := _image_column(suffix))}
        return row | text | named | ({} if image is None else {"image": image})

    def place(self, index: int) -> tuple[str, str]:
        members = self.samples[index]
        shard = self.shards[members.shard].path
        return shard, f"{shard}/{members.key}"

    def _indexed(self, number: int) -> Iterator[Members]:
        """The samples of a shard; one more that says so where the shard cannot be read to its end."""
        shard = self.shards[number]
        found: dict[str, Members] = {}
        fault = ""
        with self.files.open(shard.path, "rb") as file:
            try:
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    for member in filter(tarfile.TarInfo.isfile, tar):
                        key, suffix = _key(member.name)
                        found.setdefault(key, Members(number, key)).parts[suffix] = (member.offset_data, member.size)
                    file.seek(tar.offset)
                    fault = "" if file.read(tarfile.BLOCKSIZE) == END else "it is cut off"
            except tarfile.TarError as error:
                fault = str(error)
        yield from found.values()
        if fault:
            yield Members(number, "?", fault=fault)


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


def _key(name: str) -> tuple[str, str]:
    """Key and suffix of a member: they part at the first dot of the name, as in the webdataset library."""
    path = PurePosixPath(name)
    stem, _, suffix = path.name.partition(".")
    return str(path.with_name(stem)) if stem else name, suffix.lower()


def _image_column(suffix: str) -> str:
    """The column of a picture that is named before its ending: "source" of `source.png`; "" for other members."""
    name, _, ending = suffix.rpartition(".")
    return name if ending in IMAGE_SUFFIXES else ""


def _read(file: Any, offset: int, size: int) -> bytes:
    file.seek(offset)
    content = file.read(size)
    if len(content) < size:
        raise RowError("broken shard", f"{len(content)} of {size} bytes at {offset}")
    return content


def _json(content: bytes) -> dict[str, Any]:
    try:
        row = json.loads(content)
    except (ValueError, UnicodeDecodeError) as error:
        raise RowError("no JSON", str(error)) from None
    if not isinstance(row, dict):
        raise RowError("no JSON object", type(row).__name__)
    return row
