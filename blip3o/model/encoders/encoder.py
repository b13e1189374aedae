"""What every encoder of an image space offers."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from blip3o.errors import CheckpointError


class Encoder(nn.Module, ABC):
    """Turns pictures into the grid of features that a head learns to generate."""

    blank: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Red, green and blue in [0, 1] of a picture that shows nothing."""

    @abstractmethod
    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel rows columns"]:
        """Features of pictures in [-1, 1]."""


class NoEncoder(Encoder):
    """In the place of an encoder that a model was loaded without."""

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel rows columns"]:
        raise CheckpointError(
            "this model was loaded without its target encoder, which turns pictures into features: put it beside the "
            "weights, or name its folder"
        )
