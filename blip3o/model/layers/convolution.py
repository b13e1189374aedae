"""Convolutional pieces of encoders and decoders."""

from collections.abc import Iterator, Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def normalisable(widths: Sequence[int]) -> Iterator[tuple[bool, str]]:
    """For `check`: that residual blocks can have these widths, in groups of about 16 channels."""
    for width in widths:
        yield width >= 16 and width % (width // 16) == 0, f"width {width} does not split into groups of 16 channels"


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity, group normalisation before each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_1 = nn.GroupNorm(width // 16, width)
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm_2 = nn.GroupNorm(width // 16, width)
        self.conv_2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        h = self.conv_1(F.silu(self.norm_1(x)))
        return x + self.conv_2(F.silu(self.norm_2(h)))
