"""Whether a source is still the one that something was made from: an address book of its samples as a digest."""

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

from blip3o.config import to_dict
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import RowSource, Source

LOOKED_AT = 16
"""Samples whose pixels and captions are part of the digest."""


def identity(source: Source) -> str:
    """A digest of how many samples there are, where each lies, the sizes of all files, and what some samples hold.

    The folder that the data lie in is no part of it, so that they can be moved. A change that keeps all sizes is seen
    where it touches one of 16 samples.
    """
    digest = hashlib.sha256(f"{source.config.kind}/{len(source)}".encode())
    for part in _parts(source):
        digest.update(part.encode(errors="replace") + b"\0")
    for index in random.Random("identity").sample(range(len(source)), min(LOOKED_AT, len(source))):
        try:
            sample = source[index]
        except SampleError as error:
            digest.update(error.reason.encode())
            continue
        digest.update(repr(sample.captions).encode())
        for picture in sample.pictures:
            digest.update(picture.pixels.tobytes())
    return digest.hexdigest()


def _parts(source: Source) -> Iterator[str]:
    if not isinstance(source, RowSource):
        yield repr(to_dict(source.config))
        return
    yield repr(sorted(source.config.columns.items()))
    latest = ""
    for index in range(len(source)):
        shard, address = source.place(index)
        if shard != latest:
            latest = shard
            yield f"{Path(shard).name} {_size(shard)}"
        yield f"{address.removeprefix(shard)} {_size(address)}"


def _size(path: str) -> int:
    """Bytes of a file; 0 of what is none."""
    try:
        return os.path.getsize(path) if os.path.isfile(path) else 0
    except (OSError, ValueError):
        return 0
