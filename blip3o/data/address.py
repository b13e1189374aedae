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
    """Samples in a step, of all processes together."""
    rank: int = 0
    """The process that these are of, counted from 0."""
    ranks: int = 1
    """Processes, among which the samples of a step are dealt out."""

    @property
    def numbers(self) -> range:
        """The numbers of the samples of this process in the stage, counted from 0."""
        return range(self.step * self.count + self.rank, (self.step + 1) * self.count, self.ranks)

    def address(self, number: int) -> str:
        """What the noise and the times of a sample are drawn by: see `seeded`."""
        return f"{self.run}/{number}"

    def of(self, kind: str, count: int) -> "StepAddresses":
        """The addresses of another `kind` of samples, `count` in a step."""
        return replace(self, run=f"{self.run}/{kind}", count=count)


def seeded(address: str) -> Generator:
    """The torch generator of an address."""
    return Generator().manual_seed(random.Random(address).getrandbits(62))
