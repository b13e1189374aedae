"""What every decoder of an image space offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Generator, Tensor, nn

from blip3o.errors import CheckpointError, ConfigError
from blip3o.model.loss import WeightedLoss

Features = Float[Tensor, "batch channel rows columns"]
Pixels = Float[Tensor, "batch 3 height width"]
"""Images in [-1, 1], or nearly."""
Rngs = Sequence[Generator]
"""One for each row."""
Null = Float[Tensor, "#batch channel rows columns"]
"""Features that guidance leads away from: one for all rows, or one for each."""


class Decoder(nn.Module, ABC):
    """Turns features into pictures, most by a diffusion of their own."""

    guided: bool = False
    """Whether it takes null features."""
    takes_steps: bool = True
    """Whether its number of steps changes its pictures."""
    size: int
    """Height and width of its pictures in px."""
    size_multiple: int | None = None
    """What another size must be a multiple of; None allows no other."""

    def output_size(self, size: int | None) -> int:
        """Height and width of the picture in px: `size`, or its own for None.

        Raises ConfigError for a size that it cannot decode to.
        """
        own, multiple = self.size, self.size_multiple
        if size in (None, own):
            return own
        if multiple is None:
            raise ConfigError(f"size is {size}, but this model paints {own} px: leave it out")
        if size % multiple:
            raise ConfigError(f"size is {size}, expected a multiple of {multiple}, such as its own {own}")
        return size

    @abstractmethod
    def forward(self, features: Features, pixels: Pixels, rngs: Rngs) -> WeightedLoss:
        """The loss of decoding these pictures (in [-1, 1]) from their features, row k with the noise of generator k."""

    @abstractmethod
    def decode(
        self, features: Features, rngs: Rngs, *, steps: int, null: Null | None = None, size: int | None = None
    ) -> Pixels:
        """Pictures in [-1, 1], row k with the noise of generator k. Raises ConfigError as `output_size` does."""

    @abstractmethod
    def measure_memory(self) -> None:
        """Do what takes the most memory in decoding one picture of its own size. On the meta device nothing is computed
        and memory can be counted."""


class NoDecoder(Decoder):
    """In the place of a decoder that a model was loaded without."""

    def output_size(self, size: int | None) -> int:
        raise _missing()

    def forward(self, *_: object, **__: object) -> WeightedLoss:
        raise _missing()

    def decode(self, *_: object, **__: object) -> Pixels:
        raise _missing()

    def measure_memory(self) -> None:
        """Nothing."""


def _missing() -> CheckpointError:
    return CheckpointError(
        "this model was loaded without its decoder, which paints pictures from features: name its folder"
    )
