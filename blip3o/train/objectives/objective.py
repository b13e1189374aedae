"""An objective: turns the samples of a step into losses."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from blip3o.data.address import StepAddresses
from blip3o.data.order import Order
from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.model.loss import WeightedLoss
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Picture

ENCODED_AT_ONCE = 500
"""Pictures."""
NamedLosses = dict[str, WeightedLoss]
"""Name -> a loss of the samples of a step, which is divided when all of them are there."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is written under a stage's `objective`."""

    kind: str
    """The objective's class: a key of OBJECTIVES, or `module:Class`."""

    @property
    def tasks(self) -> Collection[str]:
        """The tasks whose conversations it takes from the source."""
        return ()

    def claims(self, batch_size: int) -> Iterator[tuple[bool, str]]:
        """For `config.check`: what must hold of the batch size of a stage."""
        yield batch_size > 0, f"batch_size is {batch_size}, expected 1 or more pictures for objective {self.kind!r}"

    def samples(self, batch_size: int) -> int:
        """How many samples a step has in all."""
        return batch_size


class Objective(nn.Module, ABC):
    """The losses of a stage; a module, because some bring parameters of their own that no checkpoint keeps.

    A subclass annotates `config` with an `ObjectiveConfig` of its own, which a stage's `objective` is read into.
    """

    config: Any

    def __init__(self, config: Any, pipeline: Pipeline, source: Source) -> None:
        super().__init__()
        self.config = config
        self.source = source
        self.skipped: list[SampleError] = []
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
    def losses(self, step: StepAddresses) -> NamedLosses:
        """The losses of the samples of a step."""

    @property
    def factors(self) -> Mapping[str, float]:
        """Name of a loss -> its factor in the total; 1 for those left out."""
        return {}

    def total(self, losses: NamedLosses) -> Float[Tensor, ""]:
        """The scalar to minimise: the mean of each loss times its factor, summed."""
        return torch.stack([self.factors.get(name, 1.0) * loss.mean() for name, loss in losses.items()]).sum()

    def sampled(self, step: StepAddresses) -> tuple[list[int], list[Picture], list[Generator]]:
        """The samples of a step by their indices in the source, their pictures, and a generator for each. What cannot
        be read is skipped."""
        if step.run not in self._orders:
            self._orders[step.run] = Order({"all": len(self.source)}, {"all": 1.0}, step.run)
        indices, pictures, rngs = [], [], []
        for number in step.numbers:
            _, index = self._orders[step.run][number]
            try:
                pictures.append(self.source.picture(index))
            except SampleError as error:
                self.skipped.append(error)
                continue
            indices.append(index)
            rngs.append(step.generator(number))
        return indices, pictures, rngs

    def take_skipped(self) -> list[SampleError]:
        """The samples that were skipped since this was last called."""
        skipped, self.skipped = self.skipped, []
        return skipped

    def finish(self) -> None:
        """Called after the last step of the stage, with the averaged weights in place."""


def encode_once(pipeline: Pipeline, source: Source) -> None:
    """Set the source's features, unless an earlier stage has set them."""
    if source.features is None:
        source.features = encode_source(pipeline, source)


@torch.no_grad()
def encode_source(pipeline: Pipeline, source: Source, count: int | None = None) -> np.ndarray:
    """Features of the source's pictures (the first `count`), float16 [sample, channel, rows, columns]; zeros where one
    cannot be read, which is skipped when its turn comes."""
    head = pipeline.config.unified.head
    total = len(source) if count is None else count
    features = np.zeros((total, head.channels, head.side, head.side), np.float16)
    for start in range(0, total, ENCODED_AT_ONCE):
        pictures = {}
        for index in range(start, min(start + ENCODED_AT_ONCE, total)):
            with suppress(SampleError):
                pictures[index] = source.picture(index)
        if pictures:
            features[list(pictures)] = pipeline.features(list(pictures.values())).half().cpu().numpy()
    return features
