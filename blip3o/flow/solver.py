"""From noise to data along a velocity field: dx/dt = v(x, t)."""

from collections.abc import Callable
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x [batch, ...], time [batch] in [0, 1]) -> velocity, of the shape of x."""


def euler(
    field: Velocity, x: Float[Tensor, "batch ..."], start: Float[Tensor, ""], end: Float[Tensor, ""]
) -> Float[Tensor, "batch ..."]:
    """One step of first order; one call of the field."""
    return x + (end - start) * field(x, start.expand(len(x)))


def heun(
    field: Velocity, x: Float[Tensor, "batch ..."], start: Float[Tensor, ""], end: Float[Tensor, ""]
) -> Float[Tensor, "batch ..."]:
    """One step of second order (the explicit trapezoid); two calls of the field."""
    first = field(x, start.expand(len(x)))
    second = field(x + (end - start) * first, end.expand(len(x)))
    return x + (end - start) * (first + second) / 2


SOLVERS: dict[str, Callable[[Velocity, Tensor, Tensor, Tensor], Tensor]] = {"euler": euler, "heun": heun}


def solve(
    field: Velocity, noise: Float[Tensor, "batch ..."], times: Float[Tensor, " times"], solver: str = "euler"
) -> Float[Tensor, "batch ..."]:
    """The data to which the field carries `noise` through `times` (ascending, from 0 to 1)."""
    step = SOLVERS[solver]
    x, times = noise, times.to(noise)
    for start, end in pairwise(times):
        x = step(field, x, start, end)
    return x
