"""Addressed randomness: every draw of a sample comes from the seed of the run, the stage and the sample's number."""

import random
from dataclasses import dataclass, replace

from torch import Generator


@dataclass(frozen=True)
class StepAddresses:
    """The addresses of a step's samples. A sample keeps its address however steps are cut into batches, and no state of
    a random generator is saved."""

    run: str
    """The seed of the run and the stage."""
    step: int
    count: int
    """Samples in a step."""

    @property
    def numbers(self) -> range:
        """The numbers of the samples in the stage, counted from 0."""
        return range(self.step * self.count, (self.step + 1) * self.count)

    def generator(self, number: int) -> Generator:
        """The generator of noise and times of a sample."""
        return seeded(f"{self.run}/{number}")

    def of(self, kind: str, count: int) -> "StepAddresses":
        """The addresses of another `kind` of samples, `count` in a step."""
        return replace(self, run=f"{self.run}/{kind}", count=count)


def seeded(address: str) -> Generator:
    """The torch generator of an address."""
    return Generator().manual_seed(random.Random(address).getrandbits(62))
