"""Rotary position embedding on a square grid, as in Lumina-Next (arXiv 2406.18583): rows and columns interleaved.

Channel pairs (2j, 2j + 1) of a head turn by the angle p * theta^(-4 floor(j / 2) / head_dim), where p is the row for
even j and the column for odd j.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


def grid_angles(height: int, width: int, head_dim: int, theta: float = 10000.0) -> Float[Tensor, "seq pairs"]:
    """The angles of every position, row by row: [height * width, head_dim / 2], in radians, float32."""
    per_axis = head_dim // 2
    rates = theta ** (-torch.arange(0, per_axis, 2, dtype=torch.float32) / per_axis)
    rows = torch.arange(height).repeat_interleave(width)[:, None] * rates
    columns = torch.arange(width).repeat(height)[:, None] * rates
    return torch.stack([rows, columns], dim=-1).flatten(1)


def rotate(
    x: Float[Tensor, "batch head seq dim"], cos: Float[Tensor, "seq pairs"], sin: Float[Tensor, "seq pairs"]
) -> Float[Tensor, "batch head seq dim"]:
    """Turn each consecutive pair of channels by its position's angle, given as cosine and sine."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


@dataclass(frozen=True, kw_only=True)
class Angles:
    """Cosine and sine of the rotary angles of a grid."""

    cos: Float[Tensor, "seq pairs"]
    sin: Float[Tensor, "seq pairs"]

    def turn(self, x: Float[Tensor, "batch head seq head_dim"]) -> Float[Tensor, "batch head seq head_dim"]:
        """Rotate each position by its angle, in float32."""
        return rotate(x.float(), self.cos, self.sin).to(x.dtype)
