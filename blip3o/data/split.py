"""Which samples are held out from training, to validate on: a pure function of the seed and the number of a sample.

So the same samples stay held out when data is added at the end of a source, and nothing has to be saved.
"""

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

SamplePart = Literal["training", "held out"]
"""The two parts of a source that a split makes."""


@dataclass(frozen=True)
class Split:
    """A share of the samples, 0 to 1, is held out by chance, drawn from a seed."""

    share: float
    seed: str

    def held_out(self, groups: Int[np.ndarray, " sample"]) -> Bool[np.ndarray, " sample"]:
        """Whether each sample is held out; samples of one group (0 or more) are so together.

        The number of a group is mixed with the seed by the finalizer of SplitMix64 (Steele, Lea and Flood 2014, "Fast
        splittable pseudorandom number generators", section 4).
        """
        bits = groups.astype(np.uint64) + np.uint64(random.Random(f"held out/{self.seed}").getrandbits(63))
        bits *= np.uint64(0x9E3779B97F4A7C15)  # arithmetic of arrays wraps around
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
        return (bits >> np.uint64(11)).astype(np.float64) / 2**53 < self.share
