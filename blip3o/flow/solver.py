"""From noise to data along a velocity field: dx/dt = v(x, t)."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x [batch, ...], time [batch] in [0, 1]) -> velocity, of the shape of x."""


class Moment(NamedTuple):
    """A time, and the time that the field is told in its place."""

    time: Float[Tensor, ""]
    told: Float[Tensor, ""]


def euler(field: Velocity, x: Float[Tensor, "batch ..."], start: Moment, end: Moment) -> Float[Tensor, "batch ..."]:
    """One step of first order; one call of the field."""
    return x + (end.time - start.time) * field(x, start.told.expand(len(x)))


def heun(field: Velocity, x: Float[Tensor, "batch ..."], start: Moment, end: Moment) -> Float[Tensor, "batch ..."]:
    """One step of second order (the explicit trapezoid); two calls of the field."""
    first = field(x, start.told.expand(len(x)))
    second = field(x + (end.time - start.time) * first, end.told.expand(len(x)))
    return x + (end.time - start.time) * (first + second) / 2


SOLVERS: dict[str, Callable[[Velocity, Tensor, Moment, Moment], Tensor]] = {"euler": euler, "heun": heun}


def solve(
    field: Velocity,
    noise: Float[Tensor, "batch ..."],
    times: Float[Tensor, " times"],
    solver: str = "euler",
    told: Float[Tensor, " times"] | None = None,
) -> Float[Tensor, "batch ..."]:
    """The data to which the field carries `noise` through `times` (ascending, from 0 to 1).

    The field hears the times `told`, where they differ (flow/time.py, `cut`).
    """
    step = SOLVERS[solver]
    x, moments = noise, zip(times.to(noise), (times if told is None else told).to(noise), strict=True)
    for start, end in pairwise(Moment(*moment) for moment in moments):
        x = step(field, x, start, end)
    return x
