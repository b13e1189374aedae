"""What every decoder of an image space offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Generator, Tensor, nn


class Decoder(nn.Module, ABC):
    """Paints pictures from features, by a diffusion of its own."""

    @abstractmethod
    def loss(
        self,
        features: Float[Tensor, "batch channel rows columns"],
        pixels: Float[Tensor, "batch 3 height width"],
        rng: Generator,
    ) -> Float[Tensor, " batch"]:
        """How badly it paints these pictures (in [-1, 1]) from their features."""

    @abstractmethod
    def paint(
        self, features: Float[Tensor, "batch channel rows columns"], rngs: Sequence[Generator], *, steps: int
    ) -> Float[Tensor, "batch 3 height width"]:
        """Pictures in [-1, 1], row k with the noise of generator k."""
