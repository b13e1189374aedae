"""Which sample of which task comes when: a pure function of the seed and the number of the sample.

Every task runs through its whole source, shuffled, before it sees a sample again, and the tasks alternate by their
weights. There is nothing to save but the number, and it means the same on any number of processes.
"""

import logging
import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from blip3o.errors import ConfigError

HIGHEST_SEED = 2**32


class Order:
    """Sample number -> its task, and its index in the source."""

    def __init__(
        self,
        lengths: Mapping[str, int],
        weights: Mapping[str, float],
        seed: str,
        indices: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """`lengths` and `weights`: of each task, the samples that it can be made of, and its share; weights of 0 are
        left out. `indices`: those samples of a task by their indices in the source, where they are not all."""
        self.indices = indices or {}
        lengths = {**lengths, **{task: len(some) for task, some in self.indices.items()}}
        grain = require_grain()
        self.tasks = [task for task, weight in weights.items() if weight > 0]
        shuffled = [
            grain.MapDataset.range(lengths[task])
            .shuffle(seed=random.Random(f"{seed}/{task}").randrange(HIGHEST_SEED))
            .repeat()
            .map(lambda index, task=task: (task, index))
            for task in self.tasks
        ]
        self.mixed = grain.MapDataset.mix(shuffled, [weights[task] for task in self.tasks])
        self.mixed[0]  # what grain prepares at the first look, several threads may not prepare at once

    def __getitem__(self, number: int) -> tuple[str, int]:
        task, place = self.mixed[number]
        return task, int(self.indices[task][place]) if task in self.indices else place


def require_grain() -> Any:
    """The library. Raises ConfigError where it is not installed."""
    logging.getLogger("absl").setLevel(logging.ERROR)  # grain tells through it that JAX is missing, which nobody needs
    try:
        import grain
    except ModuleNotFoundError:
        raise ConfigError("training takes grain: pip install 'blip3o[train]'") from None
    return grain
