"""A model before its tensors are read: what it is made of, and in which files its tensors lie."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path

import torch

from blip3o.config import to_dict
from blip3o.errors import CheckpointError, UserError
from blip3o.pipeline.pipeline import ModelConfig, Pipeline
from blip3o.processing.tokenizer import Tokenizer
from blip3o.weights import digest
from blip3o.weights.folders import Shapes
from blip3o.weights.placement.device import DevicePlacement
from blip3o.weights.placement.memory import ROUNDED_BYTES, peak, peaks, working_numbers
from blip3o.weights.placement.quantize import Quantizer
from blip3o.weights.safetensors_files import Files, Shards, TensorReader, hollow, shapes_of
from blip3o.weights.sizes import check_sizes

PIECE_BYTES = 65_536
ON_CPU = DevicePlacement()
LOOKS = 16
"""Numbers of each tensor that are looked at to see whether there is anything in it."""


def build(config: ModelConfig, words: Tokenizer, shapes: Shapes) -> Pipeline:
    """The pipeline on the meta device, for tensors of these shapes. Raises CheckpointError for a config of which no
    network can be built, or one far beyond these tensors."""
    check_sizes(config.name, to_dict(config), shapes)
    try:
        with hollow():
            return Pipeline(config, words)
    except UserError:
        raise
    except Exception as error:  # the networks' libraries raise whatever a config leads them to
        raise CheckpointError(
            f"the config of {config.name} makes no network ({type(error).__name__}: {error}): use that of its weights"
        ) from error


@dataclass(frozen=True, kw_only=True)
class DeferredModel:
    """A pipeline on the meta device, and its files."""

    pipeline: Pipeline
    files: Files
    about: Mapping[str, object] = field(default_factory=dict)
    """The facts written with the tensors."""
    verify: bool = True
    """Whether tensors are refused that changed since they were saved or, where that cannot be told, that are empty."""

    def load(self, placement: DevicePlacement = ON_CPU) -> Pipeline:
        """The pipeline, ready to use.

        Raises CheckpointError where there is too little memory, and for tensors missing, unknown, misshapen or changed.
        """
        self.check_room(placement)
        if self.verify:
            self.check_tensors()
        pipeline = self.pipeline
        if placement.memory != "full":
            from blip3o.weights.placement.offload import offload  # opens accelerate

            offload(pipeline, self.files, placement)
            return pipeline.eval()
        kind = placement.quantize
        quantizer = None if kind is None else Quantizer(pipeline, kind, placement.device, placement.dtype)
        for place, (shards, rename) in self.files.items():
            put = None if quantizer is None else partial(quantizer.put, place)
            network = pipeline.get_submodule(place)
            shards.fill(network, rename, device=placement.device, dtype=placement.dtype, put=put)
        return pipeline.to(placement.device).eval()

    def paths(self) -> list[Path]:
        """The files of its tensors, each once."""
        return sorted({path for shards, _ in self.files.values() for path in shards.files})

    def check_tensors(self) -> None:
        """Raise CheckpointError for tensors that changed since they were saved or, without a digest, are mostly 0."""
        has_digest = {folder: digest.check_tensors(folder) for folder in {path.parent for path in self.paths()}}
        unknown = [shards for shards, _ in self.files.values() if not has_digest[shards.folder]]
        zeros = [(zero, size) for shards in unknown for zero, size in _zeros(shards)]
        share = sum(zero * size for zero, size in zeros) / max(sum(size for _, size in zeros), 1)
        if share > 0.5:
            raise CheckpointError(
                f"{share:.0%} of the weights of {self.pipeline.config.name} are 0: copy its files again, or go on with "
                "--no-verify (in Python: verify=False)"
            )

    def fingerprint(self) -> str:
        """What tells these weights from others of the same sizes: a digest of pieces of each file."""
        digest_of_pieces = hashlib.sha256()
        for path in self.paths():
            size = path.stat().st_size
            with path.open("rb") as file:
                for start in (0, size // 2, max(size - PIECE_BYTES, 0)):
                    file.seek(start)
                    digest_of_pieces.update(file.read(PIECE_BYTES))
        return digest_of_pieces.hexdigest()[:16]

    def check_room(self, placement: DevicePlacement) -> None:
        """Raise CheckpointError where the device has too little memory, with what would fit."""
        free, pipeline = placement.free_bytes(), self.pipeline
        on_disk = sum(path.stat().st_size for path in self.paths())
        shapes = shapes_of(dict(pipeline.named_parameters()))
        working = working_numbers(to_dict(pipeline.config.space.decoder))
        dtype, memory, rounded = placement.dtype, placement.memory, placement.quantize
        needed = on_disk if dtype is None else peak(shapes, working, dtype.itemsize, memory, rounded)
        if needed <= free:
            return
        own = str(dtype or torch.float32).removeprefix("torch.")
        fitting = [
            f"{' with '.join(_options(kind, memory, own))} ({size / 1e9:.1f} GB)"
            for kind, sizes in peaks(shapes, working).items()
            for memory, size in sizes.items()
            if size <= free
        ]
        advice = f"choose {' or '.join(fitting)}" if fitting else "no choice of dtype, memory and quantize fits"
        raise CheckpointError(
            f"{pipeline.config.name} needs {needed / 1e9:.1f} GB of memory on {placement.device}, of which "
            f"{free / 1e9:.1f} GB are free: {advice}"
        )


def _zeros(shards: Shards) -> Iterator[tuple[float, int]]:
    """The share of zeros in each matrix, from a look here and there, and its size."""
    reader = TensorReader(shards)
    for name, shape in shards.shapes.items():
        if len(shape) > 1 and (size := prod(shape)):
            sample = reader.read(name).flatten()[:: max(size // LOOKS, 1)]
            yield float((sample.float() == 0).float().mean()), size


def _options(kind: str, memory: str, own: str) -> list[str]:
    """The choices that lead to this kind of numbers and this memory mode."""
    if kind in ROUNDED_BYTES:
        return [f"quantize {kind}"]
    return ([] if kind == own else [f"dtype {kind}"]) + [f"memory {memory}"]
