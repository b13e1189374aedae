"""What every decoder of an image space offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Generator, Tensor, nn

from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.loss import WeightedLoss

Features = Float[Tensor, "batch channel rows columns"]
Null = Float[Tensor, "#batch channel rows columns"]
"""Features that guidance leads away from: one for all rows, or one for each."""


class Decoder(nn.Module, ABC):
    """Paints pictures from features, by a diffusion of its own."""

    guided: bool = False
    """Whether it takes null features."""

    @abstractmethod
    def loss(
        self, features: Features, pixels: Float[Tensor, "batch 3 height width"], rngs: Sequence[Generator]
    ) -> WeightedLoss:
        """How badly it paints these pictures (in [-1, 1]) from their features, row k with the noise of generator k."""

    @abstractmethod
    def paint(
        self,
        features: Features,
        rngs: Sequence[Generator],
        *,
        steps: int,
        null: Null | None = None,
        size: int | None = None,
    ) -> Float[Tensor, "batch 3 height width"]:
        """Pictures in [-1, 1], row k with the noise of generator k.

        Raises ConfigError for a `size` in px that it cannot paint at.
        """

    @abstractmethod
    def rehearse(self) -> None:
        """Do what takes the most memory in painting one picture of its own size. On the meta device nothing is computed
        and memory can be counted."""


def size_to_paint(asked: int | None, own: int, multiple: int | None = None) -> int:
    """Height and width of the picture in px: what is `asked`, or the decoder's `own`.

    Raises ConfigError for what is no `multiple`; without one, only its own will do.
    """
    if multiple is None and asked not in (None, own):
        raise ConfigError(f"size is {asked}, but this model paints {own} px: leave it out")
    size = own if asked is None else asked
    if multiple is not None and size % multiple:
        raise ConfigError(f"size is {size}, expected a multiple of {multiple}")
    return size


class NoDecoder(Decoder):
    """In the place of a decoder that a model was loaded without."""

    def loss(
        self, features: Features, pixels: Float[Tensor, "batch 3 height width"], rngs: Sequence[Generator]
    ) -> WeightedLoss:
        raise _missing()

    def paint(
        self,
        features: Features,
        rngs: Sequence[Generator],
        *,
        steps: int,
        null: Null | None = None,
        size: int | None = None,
    ) -> Float[Tensor, "batch 3 height width"]:
        raise _missing()

    def rehearse(self) -> None:
        """Nothing."""


def _missing() -> CheckpointError:
    return CheckpointError(
        "this model was loaded without its decoder, which paints pictures from features: name its folder"
    )
