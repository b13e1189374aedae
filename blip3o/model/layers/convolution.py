"""Convolutional pieces of encoders and decoders."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


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
