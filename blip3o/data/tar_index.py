"""Where the members of WebDataset samples stand in their shards: a million samples in less than 100 MB."""

import tarfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from blip3o.data.packed_texts import PackedTexts

END = bytes(tarfile.BLOCKSIZE)
"""What stands behind the last member of a whole tar file."""
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
"""How files begin in which nothing has a place that one could seek."""
LARGEST = 2**32 - 1
"""Bytes of a member that the index can tell; a larger one is far beyond what is read."""

Members = dict[str, tuple[int, int]]
"""Suffix -> offset and size in bytes."""


class TarIndex:
    """The samples of all shards, in the order of the shards. A sample is what has one key in one shard."""

    def __init__(self) -> None:
        self.keys = PackedTexts()
        self.faults: dict[int, str] = {}
        """Sample -> why nothing can be read of it, nor behind it in its shard."""
        self._first = array("q")  # of each shard, its first sample
        self._starts = array("q")  # of each sample, its first member
        self._offsets, self._sizes, self._suffixes = array("q"), array("I"), array("I")
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}  # of names

    def __len__(self) -> int:
        return len(self.keys)

    def shard(self, index: int) -> int:
        """The number of the shard of a sample."""
        return bisect_right(self._first, index) - 1

    def members(self, index: int) -> Members:
        """The members of a sample, in their order."""
        end = self._starts[index + 1] if index + 1 < len(self) else len(self._offsets)
        return {
            self._names[self._suffixes[member]]: (self._offsets[member], self._sizes[member])
            for member in range(self._starts[index], end)
        }

    def add(self, file: Any, suffixes: tuple[str, ...]) -> None:
        """Index one more shard: of its members those whose suffix ends with one of `suffixes`, by their headers alone.
        One more sample tells of a shard that cannot be read to its end."""
        self._first.append(len(self))
        found: dict[str, Members] = {}
        fault = _read_headers(file, suffixes, found)
        for key, members in found.items():
            self._append(key, members)
        if fault:
            self.faults[len(self)] = fault
            self._append("?", {})

    def _append(self, key: str, members: Members) -> None:
        self.keys.append(key)
        self._starts.append(len(self._offsets))
        for suffix, (offset, size) in members.items():
            if (number := self._numbers.setdefault(suffix, len(self._names))) == len(self._names):
                self._names.append(suffix)
            self._suffixes.append(number)
            self._offsets.append(offset)
            self._sizes.append(min(size, LARGEST))


def compression(start: bytes) -> str | None:
    """What a file that begins so is compressed by; None for nothing known."""
    return next((name for mark, name in COMPRESSED.items() if start.startswith(mark)), None)


def _read_headers(file: Any, suffixes: tuple[str, ...], found: dict[str, Members]) -> str:
    """Put key -> members into `found`; gives why reading stopped before the end, or ""."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in _files(tar):
                key, suffix = split_name(member.name)
                members = found.setdefault(key, {})
                if suffix.endswith(suffixes):
                    members[suffix] = (member.offset_data, member.size)
            file.seek(tar.offset)
            return "" if file.read(tarfile.BLOCKSIZE) == END else "it is cut off"
    except (tarfile.TarError, ValueError, OverflowError) as error:
        return str(error)


def _files(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Its files; what `tarfile` keeps of each is dropped once it is passed."""
    while (member := tar.next()) is not None:
        tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
        if member.isfile():
            yield member


def split_name(name: str) -> tuple[str, str]:
    """Key and suffix of a member: they part at the first dot of the name, as in the webdataset library."""
    path = PurePosixPath(name)
    stem, _, suffix = path.name.partition(".")
    return str(path.with_name(stem)) if stem else name, suffix.lower()
