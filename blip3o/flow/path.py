"""The straight path from noise to data.

    (1)  x_t = (1 - t) noise + t data          t in [0, 1]
    (2)  velocity = dx_t / dt = data - noise

Source: Liu et al., Flow Straight and Fast, arXiv 2209.03003, eq. 1; Lipman et al., arXiv 2210.02747, eq. 22 with
sigma_min = 0.
"""

from jaxtyping import Float
from torch import Tensor


def broadcast_time(time: Float[Tensor, " batch"], like: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    """`time` with trailing axes of length 1, so that it multiplies `like`."""
    return time.view(-1, *[1] * (like.ndim - 1))


def point(
    data: Float[Tensor, "batch ..."], noise: Float[Tensor, "batch ..."], time: Float[Tensor, " batch"]
) -> Float[Tensor, "batch ..."]:
    """The point x_t of equation (1): `noise` at time 0, `data` at time 1."""
    t = broadcast_time(time, data)
    return (1 - t) * noise + t * data


def velocity(data: Float[Tensor, "batch ..."], noise: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    """The velocity of equation (2), the same at every time."""
    return data - noise
