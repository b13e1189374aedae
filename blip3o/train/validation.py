"""Validation: the losses of samples that a run never learns from.

They are those of the stage's own objective, over the same samples with the same noise and times each time, so that two
values differ by the weights alone.
"""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch

from blip3o.config import check
from blip3o.data.address import StepAddresses
from blip3o.data.array_store import KeptFeatures
from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import Source
from blip3o.data.split import Split
from blip3o.plugins import build, read_config
from blip3o.train.features import encode_once
from blip3o.train.objectives.objective import NamedLosses, Objective


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """On what a run is validated, and how often; without `share` and `source` it is not."""

    share: float = 0.0
    """Share of the source's samples that are held out from training, 0 to less than 1. Which ones is drawn from the
    run's seed, for each sample by itself: they stay the same when data is added at the end."""
    source: Any = None
    """Other samples to validate on, in place of a share: the config of a source, as under `source`."""
    every: int = 0
    """Steps between two validations; 0 is only at the end of a stage."""
    samples: int = 256
    """Samples that the losses are taken over, rounded up to whole steps; where fewer are held out, with several draws
    of noise each."""
    drawn: int = 0
    """Pictures that are drawn of held-out prompts with every score, as features, to measure how far these are from the
    features of the held-out pictures; 0 draws none."""

    def __post_init__(self) -> None:
        if isinstance(self.source, Mapping):
            object.__setattr__(self, "source", read_config(self.source, SOURCES, Source, "validation.source"))
        check(
            (0 <= self.share < 1, f"share is {self.share}, expected 0 to less than 1"),
            (not self.share or self.source is None, "share and source are both given: leave one out"),
            (self.every >= 0, f"every is {self.every}, expected 0 or more"),
            (self.samples > 0, f"samples is {self.samples}, expected 1 or more"),
            (self.drawn == 0 or self.drawn > 1, f"drawn is {self.drawn}, expected 0, or 2 or more"),
            (
                self.is_on or (self.every, self.drawn) == (0, 0),
                "every and drawn have no effect: name a share or a source to validate on",
            ),
        )

    @property
    def is_on(self) -> bool:
        """Whether there is anything to validate on."""
        return self.share > 0 or self.source is not None


class HeldOutSamples:
    """The samples that a run is validated on: a part of its source, or another source."""

    def __init__(self, config: ValidationConfig, source: Source, seed: int) -> None:
        """Holds a share of `source` out from training where the config says so. Raises ConfigError where that leaves
        nothing to validate on or to learn from, DataError where the other source cannot be opened."""
        self.config, self.trained = config, source
        self.encoded_beside: KeptFeatures | None = None
        """The features of the run's own source when those of the other source were made: by the same encoder."""
        self.source = source if config.source is None else build(config.source, SOURCES, Source)
        if config.share:
            source.split = Split(config.share, str(seed))
            source.indices("held out")
            source.indices("training")

    def objective(self, objective: Objective) -> Objective:
        """A stage's objective, with all that it has learned, that loads these samples."""
        features = self.trained.features
        if self.source is not self.trained and features is not None and features is not self.encoded_beside:
            self.source.features, self.encoded_beside = None, features
            encode_once(objective.pipeline, self.source)
        held_out = copy(objective)
        held_out.source, held_out.part = self.source, "held out"
        return held_out


@torch.no_grad()
def held_out_losses(objective: Objective, address: str, batch_size: int, rows: int, samples: int) -> dict[str, float]:
    """Means over at least so many `samples`: `loss`, which is what the stage minimises, and its parts by their names.
    Empty where no sample can be read. `address` and `batch_size` are those of the stage, `rows` is its micro-batch.
    """
    losses: NamedLosses = {}
    for batch in _batches(objective, address, batch_size, rows, samples):
        for name, loss in objective.losses(batch.to(objective.device)).items():
            losses[name] = losses[name] + loss if name in losses else loss
    means = {name: float(loss.mean()) for name, loss in losses.items()}
    total = sum(objective.factors.get(name, 1.0) * mean for name, mean in means.items())
    return {"loss": total, **means} if means else {}


def _batches(objective: Objective, address: str, batch_size: int, rows: int, samples: int) -> Iterator[Any]:
    per_step = objective.config.samples(batch_size)
    for step in range(-(-samples // per_step)):
        yield from objective.load(StepAddresses(f"validation/{address}", step, batch_size), rows).batches
