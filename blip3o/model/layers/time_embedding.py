"""A time as a vector that networks can take in.

    (1)  waves(t) = (cos(t r_0), ..., cos(t r_n-1), sin(t r_0), ..., sin(t r_n-1)),    r_j = 10000^(-j / n)

Source: the sinusoids of arXiv 1706.03762, section 3.5, and the two layers of arXiv 2006.11239, appendix B.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class TimeEmbedding(nn.Module):
    """The waves of equation (1), an even number of them, then a two-layer network."""

    def __init__(self, waves: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(waves, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, time: Float[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        """`time` runs over some hundreds, such as 1000 times one from 0 to 1; the angles are float32."""
        half = self.linear_1.in_features // 2
        exponents = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=time.device) / half
        angles = time[:, None].float() * exponents.exp()
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1).to(self.linear_1.weight.dtype)
        return self.linear_2(F.silu(self.linear_1(waves)))
