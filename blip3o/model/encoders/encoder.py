"""What every encoder of an image space offers."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Turns pictures into the grid of features that a head learns to imagine."""

    @abstractmethod
    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel rows columns"]:
        """Features of pictures in [-1, 1]."""
