"""An objective: the samples of a step, loaded on the CPU, and the losses that networks make of them."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn

from blip3o.data.address import StepAddresses, seeded
from blip3o.data.loader import Each
from blip3o.data.order import Order
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.data.split import SamplePart
from blip3o.model.loss import WeightedLoss
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Picture
from blip3o.processing.images import square, to_pixels

NamedLosses = dict[str, WeightedLoss]
"""Name -> a loss of the samples of a micro-batch, which is divided once for all micro-batches of a step."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is written under a stage's `objective`."""

    kind: str
    """The objective's class: a key of OBJECTIVES, or `module:Class`."""

    shows_one_picture: ClassVar[bool] = True
    """Whether encoder, decoder and vision tower see the same pixels, and so have to be of one size."""

    @property
    def tasks(self) -> Collection[str]:
        """The tasks whose conversations it takes from the source."""
        return ()

    @property
    def frozen(self) -> Collection[str]:
        """Parts of the model that may not learn in such a stage, by the beginnings of their parameters' names."""
        return ()

    def claims(self, batch_size: int) -> Iterator[tuple[bool, str]]:
        """For `config.check`: what must hold of the batch size of a stage."""
        yield batch_size > 0, f"batch_size is {batch_size}, expected 1 or more pictures for objective {self.kind!r}"

    def samples(self, batch_size: int) -> int:
        """How many samples a step has in all."""
        return batch_size


@dataclass(frozen=True, kw_only=True)
class Microbatch:
    """Samples that run through the networks together."""

    addresses: Sequence[str]
    """Of each sample: what its random numbers are drawn by."""

    @property
    def rngs(self) -> list[Generator]:
        """A new generator for each sample."""
        return [seeded(address) for address in self.addresses]


@dataclass(frozen=True, kw_only=True)
class PictureBatch(Microbatch):
    """Pictures by themselves."""

    indices: Sequence[int]
    """Of the samples in the source."""
    pictures: Sequence[Picture]
    """Their central squares at the size of the target space."""
    images: UInt8[Tensor, "batch height width 3"]
    """The same, stacked."""

    @property
    def pixels(self) -> Float[Tensor, "batch 3 height width"]:
        """The same, in [-1, 1]; made where the images are, so that a loader holds and moves a quarter of the bytes."""
        return to_pixels(self.images)

    def to(self, device: torch.device) -> "PictureBatch":
        """The same with its tensors on another device."""
        return replace(self, images=self.images.to(device, non_blocking=True))


@dataclass(frozen=True, kw_only=True)
class LoadedStep:
    """What a process needs of the samples of a step."""

    batches: Sequence[Any]
    """Micro-batches, as the objective's `losses` takes them; each knows how to move itself `to` a device."""
    skipped: Sequence[SampleError] = ()
    """Samples that cannot be trained on."""


class Objective(nn.Module, ABC):
    """The losses of a stage; a module, because some bring parameters of their own that no checkpoint keeps.

    A subclass annotates `config` with an `ObjectiveConfig` of its own, which a stage's `objective` is read into.
    `load` uses no network: it may run ahead, in other threads.
    """

    config: Any
    names: ClassVar[tuple[str, ...]]
    """Of its losses."""

    def __init__(self, config: Any, pipeline: Pipeline, source: Source) -> None:
        super().__init__()
        self.config = config
        self.source = source
        self.each: Each = map
        """How the samples of a step are read: one after the other, or by the threads of a loader."""
        self.part: SamplePart = "training"
        self._orders: dict[str, Order] = {}
        self._pipeline = [pipeline]

    @property
    def pipeline(self) -> Pipeline:
        """The networks that learn; in a list, so that their parameters are not registered as the objective's own."""
        return self._pipeline[0]

    @property
    def device(self) -> torch.device:
        """The device of the pipeline."""
        return self.pipeline.device

    @abstractmethod
    def losses(self, batch: Any) -> NamedLosses:
        """The losses of a micro-batch, on the device of the networks."""

    def weights(self, batch: Any) -> Mapping[str, float]:
        """Name of a loss -> its weight in a micro-batch, before any network runs; a row weighs 1 in each."""
        return dict.fromkeys(self.names, float(len(batch.addresses)))

    @property
    def factors(self) -> Mapping[str, float]:
        """Name of a loss -> its factor in the total; 1 for those left out."""
        return {}

    def load(self, step: StepAddresses, rows: int = 0) -> LoadedStep:
        """The samples of a step in micro-batches of at most so many `rows` (0: all in one)."""
        indices, pictures, addresses, skipped = self.sampled(step)
        rows = rows or max(len(pictures), 1)
        batches = [
            PictureBatch(
                addresses=addresses[start : start + rows],
                indices=indices[start : start + rows],
                pictures=part,
                images=self.pipeline.squares(part),
            )
            for start in range(0, len(pictures), rows)
            if (part := pictures[start : start + rows])
        ]
        return LoadedStep(batches=batches, skipped=skipped)

    def sampled(self, step: StepAddresses) -> tuple[list[int], list[Picture], list[str], list[SampleError]]:
        """The samples of a step by their indices in the source, their pictures and addresses, and what is skipped."""
        if step.run not in self._orders:
            chosen = self.source.indices(self.part)
            indices = {"all": chosen[""]} if chosen else {}
            self._orders[step.run] = Order({"all": self.source.extent()}, {"all": 1.0}, step.run, indices)
        order = self._orders[step.run]

        def read(number: int) -> tuple[int, Picture] | SampleError:
            _, index = order[number]
            try:
                return index, self.square(self.source.picture(index))
            except SampleError as error:
                return error

        indices, pictures, addresses, skipped = [], [], [], []
        for number, found in zip(step.numbers, self.each(read, step.numbers), strict=True):
            if isinstance(found, SampleError):
                skipped.append(found)
                continue
            indices.append(found[0])
            pictures.append(found[1])
            addresses.append(step.address(number))
        return indices, pictures, addresses, skipped

    def square(self, picture: Picture) -> Picture:
        """What the target space sees of a picture, as soon as it is read: a step of large photographs need not hold
        them all."""
        return replace(square(picture, self.pipeline.space.size), features=picture.features)

    def finish(self) -> None:
        """Called after the last step of the stage, with the averaged weights in place."""
