"""Samples written as WebDataset shards: each shard whole or not at all, and after a stop it goes on where it was.

Beside the shards lies `index.json`, which `webdataset`'s wids reads, too: the shards with their samples and sizes, and
from where a stopped run goes on. What cannot be trained on is left out and listed in `samples_skipped.jsonl`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blip3o import __version__
from blip3o.data.identity import identity
from blip3o.data.members import members_of, picture_members
from blip3o.data.rows import RowError
from blip3o.data.sample import SampleError
from blip3o.data.skipped import LISTED
from blip3o.data.sources.source import RowSource, Source
from blip3o.errors import ConfigError, DataError, OutputError
from blip3o.files import make_folder, write_text, writing

INDEX = "index.json"
FORMAT = {"__kind__": "wids-shard-index-v1", "wids_version": 1}
UNITS = {"KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


@dataclass(frozen=True, kw_only=True)
class ShardSize:
    """When a shard is full: at so many samples, or at so many bytes of their members."""

    samples: int | None = None
    content_bytes: int | None = None

    @staticmethod
    def read(text: str) -> "ShardSize":
        """A size as people write it: `10000` samples, or `500MB`. Raises ConfigError."""
        number, unit = text.strip().upper().removesuffix(" "), ""
        for name in UNITS:
            if number.endswith(name):
                number, unit = number.removesuffix(name).strip(), name
        if not number.isdigit() or int(number) == 0:
            raise ConfigError(f"shard size is {text!r}, expected samples such as 10000, or bytes such as 500MB")
        if unit:
            return ShardSize(content_bytes=int(number) * UNITS[unit])
        return ShardSize(samples=int(number))

    def is_reached(self, samples: int, content_bytes: int) -> bool:
        """Whether a shard that holds so much is full."""
        reached = self.samples is not None and samples >= self.samples
        return reached or (self.content_bytes is not None and content_bytes >= self.content_bytes)


@dataclass(kw_only=True)
class Packing:
    """How far the packing of a source is: what `index.json` holds."""

    source: str
    """Its `identity`."""
    shard_size: dict[str, int | None]
    samples: int
    """Of the source."""
    next: int = 0
    """The first sample that no finished shard has been through."""
    shardlist: list[dict[str, Any]] = field(default_factory=list)
    """`url`, `nsamples`, `filesize` (bytes) and `sha256` of each shard."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Reason -> samples that were left out."""
    version: str = __version__

    @property
    def packed(self) -> int:
        """Samples in all shards."""
        return sum(shard["nsamples"] for shard in self.shardlist)


def pack(
    source: Source, folder: Path, size: ShardSize, progress: Callable[[int, int], None] = lambda done, total: None
) -> Packing:
    """Write all samples of a source into a folder, from where an earlier run stopped. `progress` gets how many of how
    many are read.

    Raises OutputError where the folder holds something else, DataError where no sample can be trained on.
    """
    packing = _begun(source, folder, size)
    while packing.next < packing.samples:
        _write_shard(source, folder, size, packing, progress)
        text = json.dumps(FORMAT | asdict(packing), indent=1)
        write_text(folder / INDEX, text + "\n")  # comes last: what it does not list is written anew
    if not packing.packed:
        raise DataError(f"not one of {packing.samples} samples can be trained on: {folder / LISTED} says why")
    return packing


def _begun(source: Source, folder: Path, size: ShardSize) -> Packing:
    """How far an earlier run came. Raises OutputError where the folder holds anything but such a run's files."""
    fresh = Packing(source=identity(source), shard_size=asdict(size), samples=len(source))
    make_folder(folder)
    index = folder / INDEX
    if not index.is_file():
        strange = [path.name for path in folder.iterdir() if not _is_left_over(path)]
        if strange:
            raise OutputError(f"{folder} holds {strange[0]}: nothing is overwritten, name another folder")
        return fresh
    try:
        held = json.loads(index.read_text(encoding="utf-8"))
        earlier = Packing(**{key: value for key, value in held.items() if key not in FORMAT})
    except (ValueError, TypeError):
        raise OutputError(f"{index} is no index of shards: name another folder") from None
    for name in ("source", "samples", "shard_size"):
        if getattr(earlier, name) != getattr(fresh, name):
            why = "another shard size" if name == "shard_size" else "another source, or this one before it changed"
            raise OutputError(f"{folder} holds shards of {why}: nothing is overwritten, name another folder")
    return earlier


def _is_left_over(path: Path) -> bool:
    """Whether a run that was killed before its first shard was whole left this file; a dot begins the names of locks
    and of files that are being written."""
    return path.name.startswith(".") or path.name in (LISTED, _shard_name(0))


def _shard_name(number: int) -> str:
    return f"{number:05}.tar"


def _write_shard(
    source: Source, folder: Path, size: ShardSize, packing: Packing, progress: Callable[[int, int], None]
) -> None:
    """Write the next shard and the list of what was left out of it; `packing` goes on to the sample behind it."""
    path = folder / _shard_name(len(packing.shardlist))
    faults: list[tuple[int, SampleError]] = []
    samples = content_bytes = 0
    index = packing.next
    with writing(path) as temporary:
        with temporary.open("wb") as file, _writer(file) as writer:
            while index < packing.samples and not size.is_reached(samples, content_bytes):
                try:
                    members = _members(source, index)
                except SampleError as error:
                    faults.append((index, error))
                else:
                    samples, content_bytes = samples + 1, content_bytes + sum(map(len, members.values()))
                    writer.write({"__key__": f"{index:09}", **members})
                index += 1
                progress(index, packing.samples)
        digest, length = _digest(temporary), temporary.stat().st_size
    if samples:
        shard = {"url": path.name, "nsamples": samples, "filesize": length, "sha256": digest}
        packing.shardlist.append(shard)
    else:
        path.unlink()  # the last one, of faulty samples alone
    _list_faults(folder / LISTED, packing.next, faults)
    packing.skipped = dict(Counter(packing.skipped) + Counter(error.reason for _, error in faults))
    packing.next = index


def _members(source: Source, index: int) -> dict[str, bytes]:
    """The members of a sample. Raises SampleError for one that cannot be trained on, or not be written."""
    sample = source[index]
    try:
        if isinstance(source, RowSource):
            row = source.named_row(index)
            return members_of(row, lambda value: source.open_image(index, value), list(source.config.columns.values()))
        if sample.picture is None:
            raise RowError("no row", "only pictures with captions can be packed of this source")
        return picture_members(sample.picture, sample.captions)
    except RowError as error:
        raise SampleError(error.reason, *sample.place, error.detail) from None
    except OSError as error:
        raise SampleError("unreadable file", *sample.place, error.strerror or str(error)) from None


def _list_faults(path: Path, first: int, faults: list[tuple[int, SampleError]]) -> None:
    """Add the faults of a shard, whose first sample is `first`; a killed run may have listed them already."""
    lines = [line for line in _lines(path) if json.loads(line)["sample"] < first]
    for index, error in faults:
        facts = {key: getattr(error, key) for key in ("address", "reason", "shard", "detail")}
        lines.append(json.dumps({"sample": index, **facts}))
    if faults:
        write_text(path, "".join(f"{line}\n" for line in lines))


def _lines(path: Path) -> Iterator[str]:
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _writer(file: Any) -> Any:
    try:
        from webdataset.writer import TarWriter
    except ModuleNotFoundError:
        raise ConfigError("writing shards takes webdataset: pip install 'blip3o[train]'") from None
    return TarWriter(file, encoder=False, mtime=0)
