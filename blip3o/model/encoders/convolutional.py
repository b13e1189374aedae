"""A small convolutional encoder: from the picture to a small grid of features.

Between pixels and so few tokens it learns several times faster on a CPU than a patch transformer (LOG.md, first entry).
"""

from dataclasses import dataclass
from math import prod
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from blip3o.config import check, sizes
from blip3o.model.encoders.encoder import Encoder
from blip3o.model.layers.convolution import ResidualBlock, normalisable


@dataclass(frozen=True, kw_only=True)
class ConvolutionalEncoderConfig:
    """Widths and strides of the levels, residual blocks at each, and the channels that come out."""

    kind: Literal["convolutional"] = "convolutional"
    size: int
    """Height and width of the picture in px."""
    channels: int
    widths: tuple[int, ...]
    """Channels of each level; the first stands at 1/4 of the picture's side."""
    strides: tuple[int, ...]
    """2 or 3 from each level to the next: one fewer than widths."""
    blocks: int
    variational: bool = False
    """Whether it gives the mean and the variance of features, as a VAE does; what pictures become is the mean."""

    def __post_init__(self) -> None:
        check(
            *sizes(self),
            *normalisable(self.widths),
            (all(stride in (1, 2, 3) for stride in self.strides), f"strides are {self.strides}, expected 1, 2 or 3"),
            (
                len(self.strides) == len(self.widths) - 1,
                f"{len(self.strides)} strides lie between {len(self.widths)} widths",
            ),
        )
        side = 4 * prod(self.strides)
        check((self.size % side == 0, f"size {self.size} is no multiple of {side}, of 4 px and strides {self.strides}"))

    @property
    def side(self) -> int:
        """Rows and columns of the features."""
        return self.size // (4 * prod(self.strides))


class ConvolutionalEncoder(Encoder):
    """Features of unit variance at every grid point: layer normalisation gives their channels mean 0 and variance 1. A
    variational one's are held near unit noise by its objective instead."""

    def __init__(self, config: ConvolutionalEncoderConfig) -> None:
        super().__init__()
        self.variational = config.variational
        layers: list[nn.Module] = [nn.PixelUnshuffle(4), nn.Conv2d(48, config.widths[0], 3, padding=1)]
        before = config.widths[0]
        for width, stride in zip(config.widths, (1, *config.strides), strict=True):
            if stride > 1:
                layers.append(nn.Conv2d(before, width, 3, stride, padding=3 - stride))
            layers += [ResidualBlock(width) for _ in range(config.blocks)]
            before = width
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Conv2d(config.widths[-1], config.channels * (1 + config.variational), 1)

    def posterior(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch channel rows columns"], Float[Tensor, "batch channel rows columns"]]:
        """Mean and logarithm of the variance of a variational encoder's features."""
        mean, log_variance = self.head(F.silu(self.trunk(pixels))).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-20, 10)

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channel rows columns"]:
        if self.variational:
            return self.posterior(pixels)[0]
        features = self.head(F.silu(self.trunk(pixels))).float()
        return F.layer_norm(features.movedim(1, -1), features.shape[1:2]).movedim(-1, 1)
