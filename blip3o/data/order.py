"""Which sample of which task comes when: a pure function of the seed and the number of the sample.

Every task runs through its whole source, shuffled, before it sees a sample again, and the tasks alternate by their
weights. There is nothing to save but the number, and it means the same on any number of processes.
"""

import logging
import random
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from blip3o.data.blocks import Blocks, BlockShuffle
from blip3o.errors import ConfigError

HIGHEST_SEED = 2**32


class Order:
    """Sample number -> its task, and its index in the source."""

    def __init__(
        self,
        lengths: Mapping[str, int | Blocks],
        weights: Mapping[str, float],
        seed: str,
        indices: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """`lengths` and `weights`: of each task, the samples that it can be made of, and its share; weights of 0 are
        left out. Samples in blocks are shuffled by blocks (blocks.py). `indices`: those samples of a task by their
        indices in the source, where they are not all. Raises ConfigError for a task without a sample."""
        self.indices = indices or {}
        lengths = {**lengths, **{task: len(some) for task, some in self.indices.items()}}
        grain = require_grain()
        self.tasks = [task for task, weight in weights.items() if weight > 0]
        if empty := [task for task in self.tasks if lengths[task] == 0]:
            raise ConfigError(f"the source has no sample for the task {empty[0]!r}: leave it out of the stage")
        shuffled = [
            _shuffled(grain, lengths[task], f"{seed}/{task}").map(lambda index, task=task: (task, index))
            for task in self.tasks
        ]
        self.mixed = grain.MapDataset.mix(shuffled, [weights[task] for task in self.tasks])
        self.mixed[0]  # what grain prepares at the first look, several threads may not prepare at once

    def __getitem__(self, number: int) -> tuple[str, int]:
        task, place = self.mixed[number]
        return task, int(self.indices[task][place]) if task in self.indices else place


def _shuffled(grain: Any, length: int | Blocks, seed: str) -> Any:
    """The indices of a task without end, each once before one comes again."""
    if isinstance(length, Blocks):
        shuffle = BlockShuffle(length, seed)
        return grain.MapDataset.range(sys.maxsize).map(lambda number: shuffle[number])
    return grain.MapDataset.range(length).shuffle(seed=random.Random(seed).randrange(HIGHEST_SEED)).repeat()


def require_grain() -> Any:
    """The library. Raises ConfigError where it is not installed."""
    logging.getLogger("absl").setLevel(logging.ERROR)  # grain tells through it that JAX is missing, which nobody needs
    try:
        import grain
    except ModuleNotFoundError:
        raise ConfigError("training takes grain: pip install 'blip3o[train]'") from None
    return grain
