"""Features of a source's pictures computed once: in memory where they are few, else in a folder, part by part."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from blip3o.config import to_dict
from blip3o.data.array_store import ArrayStore
from blip3o.data.identity import identity
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.pipeline.pipeline import Pipeline

ENCODED_AT_ONCE = 500
"""Pictures."""
MOST_IN_MEMORY = 2**30
"""Bytes; more are kept in the run's folder."""


def encode_once(pipeline: Pipeline, source: Source) -> None:
    """Set the source's features, unless an earlier stage has set them."""
    if source.features is None:
        large = source.features_folder is not None and len(source) * _row_bytes(pipeline) > MOST_IN_MEMORY
        source.features = _kept(pipeline, source) if large else encode_source(pipeline, source)


def encode_source(pipeline: Pipeline, source: Source, count: int | None = None) -> np.ndarray:
    """Features of the source's pictures (the first `count`), float16 [sample, channel, rows, columns]; zeros where one
    cannot be read, which is skipped when its turn comes."""
    total = len(source) if count is None else count
    features = np.zeros((total, *_shape(pipeline)), np.float16)
    for start in range(0, total, ENCODED_AT_ONCE):
        rows = range(start, min(start + ENCODED_AT_ONCE, total))
        features[rows.start : rows.stop] = _encoded(pipeline, source, rows)
    return features


def cache_features(
    pipeline: Pipeline, source: Source, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> ArrayStore:
    """The same in a folder, from where an earlier run stopped. `progress` gets how many of how many are there.

    Raises OutputError where the folder holds the features of another encoder or source.
    """
    facts = {"encoder": encoder_digest(pipeline), "source": identity(source)}
    store = ArrayStore.make(folder, len(source), _shape(pipeline), "float16", {"holds": "features", **facts})
    missing = list(store.missing())
    done = len(store) - sum(map(len, missing))
    for part in missing:
        features = np.zeros((len(part), *_shape(pipeline)), np.float16)
        for start in range(part.start, part.stop, ENCODED_AT_ONCE):
            rows = range(start, min(start + ENCODED_AT_ONCE, part.stop))
            features[rows.start - part.start : rows.stop - part.start] = _encoded(pipeline, source, rows)
            done += len(rows)
            progress(done, len(store))
        store.write(part, features)
    return store


def open_features(pipeline: Pipeline, source: Source, folder: Path) -> ArrayStore:
    """The features in a folder. Raises DataError where they are not of this encoder and source, or not all there."""
    store = ArrayStore.open(folder)
    store.check(holds="features", encoder=encoder_digest(pipeline), source=identity(source))
    return store


def encoder_digest(pipeline: Pipeline) -> str:
    """A digest of the encoder and the statistics of its features, whatever type of number holds them. The encoder of a
    billion weights takes some seconds."""
    digest = hashlib.sha256(repr(to_dict(pipeline.config.space.encoder)).encode())
    space = pipeline.space
    tensors = {f"encoder.{name}": value for name, value in space.encoder.state_dict().items()}
    add_tensors(digest, tensors | {"mean": space.mean, "deviation": space.deviation})
    return digest.hexdigest()


def add_tensors(digest: "hashlib._Hash", tensors: dict[str, torch.Tensor]) -> None:
    """Add names and values of tensors, as float32, to a digest."""
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().float().cpu().contiguous().numpy().data)


def _kept(pipeline: Pipeline, source: Source) -> ArrayStore:
    assert source.features_folder is not None
    return cache_features(pipeline, source, source.features_folder / encoder_digest(pipeline)[:16])


@torch.no_grad()
def _encoded(pipeline: Pipeline, source: Source, indices: Sequence[int]) -> np.ndarray:
    features = np.zeros((len(indices), *_shape(pipeline)), np.float16)
    pictures = {}
    for row, index in enumerate(indices):
        with suppress(SampleError):
            pictures[row] = source.picture(index)
    if pictures:
        features[list(pictures)] = pipeline.features(list(pictures.values())).half().cpu().numpy()
    return features


def _shape(pipeline: Pipeline) -> tuple[int, int, int]:
    head = pipeline.config.unified.head
    return head.channels, head.side, head.side


def _row_bytes(pipeline: Pipeline) -> int:
    return 2 * int(np.prod(_shape(pipeline)))
