"""A model told by its config and by the headers of its files: no tensor is read for it, no network is built, and for a
model of ours torch is not even opened."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from blip3o import __version__
from blip3o.config import from_dict, read_yaml, to_dict
from blip3o.errors import CheckpointError, ConfigError
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.weights import digest
from blip3o.weights.folders import CONFIG, Shapes, about_in, existing, is_published, shapes_in, tensor_files
from blip3o.weights.placement.memory import BYTES, peaks, working_numbers
from blip3o.weights.sizes import check_sizes, sizes

STATISTICS = ("space.mean", "space.deviation")
"""Tensors that are no parameters."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What is known of a model before anything is built."""

    name: str
    shapes: Shapes
    """Of its parameters."""
    sampling: SamplingConfig
    decoder: Mapping[str, Any] | None
    """Its config, as plain values."""
    words: tuple[str, ...] | None
    """Of a closed vocabulary."""
    about: Mapping[str, object]
    """The facts written with the tensors."""

    def facts(self) -> dict[str, Any]:
        """What `BLIP3o.info` tells of the model, and its peaks of memory."""
        parts = sizes(self.shapes)
        total = sum(parts.values())
        return {
            "name": self.name,
            "version": __version__,
            "weights": dict(self.about),
            "sampling": asdict(self.sampling),
            "parts": parts,
            "parameters": total,
            "bytes": {dtype: size * total for dtype, size in BYTES.items()},
            "picture_size": None if self.decoder is None else self.decoder["size"],
            "words": self.words,
            "peak": peaks(self.shapes, working_numbers(self.decoder)),
        }


def read(folder: Path, decoder: Path | None = None, *, verify: bool = True) -> Outline:
    """The outline of a model in a folder; `decoder` is the folder of a published model's decoder, where it lies apart.

    Raises CheckpointError for a folder that holds no whole model or, where it is to `verify`, one that changed since it
    was saved; ConfigError for a config that cannot be read.
    """
    words = folder / "words.txt"
    try:
        known = tuple(sorted(set(words.read_text(encoding="utf-8").split()))) if words.is_file() else None
    except (OSError, UnicodeError) as error:
        raise CheckpointError(f"{words} is no list of words ({error}): copy it again from its source") from error
    if is_published(folder):
        return _published(folder, decoder, known)
    if decoder is not None:
        raise ConfigError(f"{folder.name} holds its own decoder, {decoder} would not be used: leave it out")
    outline = _ours(folder, known)
    if verify:
        digest.check(folder)
    return outline


def _ours(folder: Path, words: tuple[str, ...] | None) -> Outline:
    config, files = read_yaml(existing(folder / CONFIG)), tensor_files(folder)
    try:
        check_sizes(str(config["name"]), config, shapes_in(files))
        working_numbers(config["space"]["decoder"])  # of sizes that make no decoder nothing can be counted
        return Outline(
            name=str(config["name"]),
            shapes={name: shape for name, shape in shapes_in(files).items() if name not in STATISTICS},
            sampling=from_dict(SamplingConfig, config["sampling"], "sampling"),
            decoder=config["space"]["decoder"],
            words=words,
            about=about_in(files[0]),
        )
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, CheckpointError | ConfigError):
            raise
        raise CheckpointError(f"{folder / CONFIG} is no config of a model ({error}): copy it again") from error


def _published(folder: Path, decoder: Path | None, words: tuple[str, ...] | None) -> Outline:
    from blip3o.weights.published import model as published  # opens torch

    config, files = published.gather(folder, decoder=decoder)
    shapes = {
        f"{place}.{new}": shape
        for place, (shards, rename) in files.items()
        for old, shape in shards.shapes.items()
        if (new := rename(old)) is not None
    }
    decoder_config = config.space.decoder
    return Outline(
        name=config.name,
        shapes=shapes,
        sampling=config.sampling,
        decoder=None if decoder_config is None else to_dict(decoder_config),
        words=words,
        about=published.ABOUT,
    )
