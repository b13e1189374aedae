"""A loss that adds up: how the samples of a step are cut into batches must not change what is minimised."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class WeightedLoss:
    """A sum of losses and what it is to be divided by: once, when all parts of a step are added up."""

    sum: Float[Tensor, ""]
    weight: Float[Tensor, ""]

    @classmethod
    def of_rows(cls, losses: Float[Tensor, " batch"]) -> "WeightedLoss":
        """The loss of rows that weigh 1 each."""
        return cls(sum=losses.sum(), weight=losses.new_full((), len(losses)))

    def __add__(self, other: "WeightedLoss") -> "WeightedLoss":
        return WeightedLoss(sum=self.sum + other.sum, weight=self.weight + other.weight)

    def mean(self) -> Float[Tensor, ""]:
        """The loss that is minimised."""
        return self.sum / self.weight
