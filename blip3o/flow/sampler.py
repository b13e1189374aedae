"""Solvers of dx/dt = velocity(x, t), from time 0 (noise) to time 1 (data)."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x [batch, ...], time [batch] in [0, 1]) -> velocity, of the shape of x."""
TimedVelocity = Callable[[Tensor, Tensor, float], Tensor]
"""The same, with the time as a number too: to read it off the tensor would have the host wait for the device."""


class Moment(NamedTuple):
    """A time, and the time that the field is told in its place."""

    time: Float[Tensor, ""]
    told: Float[Tensor, ""]
    number: float
    """What is told, known on the host."""

    def of(self, field: TimedVelocity, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The velocity of `x` at this moment."""
        return field(x, self.told.expand(len(x)), self.number)


def euler(field: TimedVelocity, x: Float[Tensor, "batch ..."], moments: Sequence[Moment]) -> Float[Tensor, "batch ..."]:
    """First order; one call of the field a step."""
    for start, end in pairwise(moments):
        x = x + (end.time - start.time) * start.of(field, x)
    return x


def heun(field: TimedVelocity, x: Float[Tensor, "batch ..."], moments: Sequence[Moment]) -> Float[Tensor, "batch ..."]:
    """Second order (the explicit trapezoid); two calls of the field a step."""
    for start, end in pairwise(moments):
        step = end.time - start.time
        first = start.of(field, x)
        second = end.of(field, x + step * first)
        x = x + step * (first + second) / 2
    return x


def multistep(
    field: TimedVelocity, x: Float[Tensor, "batch ..."], moments: Sequence[Moment]
) -> Float[Tensor, "batch ..."]:
    """Second order from the step before (Adams and Bashforth, steps of any length); one call of the field a step.

    (1)  x_n+1 = x_n + h_n (v_n + h_n / (2 h_n-1) (v_n - v_n-1)); the first step is Euler's

    Source: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, section III.5.
    """
    before: tuple[Tensor, Tensor] | None = None
    for start, end in pairwise(moments):
        step = end.time - start.time
        velocity = start.of(field, x)
        bent = velocity if before is None else velocity + step / (2 * before[0]) * (velocity - before[1])
        x, before = x + step * bent, (step, velocity)
    return x


SOLVERS: dict[str, Callable[[TimedVelocity, Tensor, Sequence[Moment]], Tensor]] = {
    "euler": euler,
    "heun": heun,
    "multistep": multistep,
}


def solve(
    field: Velocity,
    noise: Float[Tensor, "batch ..."],
    times: Float[Tensor, " times"],
    solver: str = "euler",
) -> Float[Tensor, "batch ..."]:
    """The data to which the field carries `noise` through `times` (ascending, from 0 to 1)."""
    return solve_timed(lambda x, time, _: field(x, time), noise, times, solver)


def solve_timed(
    field: TimedVelocity,
    noise: Float[Tensor, "batch ..."],
    times: Float[Tensor, " times"],
    solver: str,
    told: Float[Tensor, " times"] | None = None,
) -> Float[Tensor, "batch ..."]:
    """As `solve`, for a field that asks when it is; it hears the times `told`, where they differ (flow/time.py, `cut`).

    Times are on the host.
    """
    heard = (times if told is None else told).to(noise.dtype)
    moments = [Moment(*moment) for moment in zip(times.to(noise), heard.to(noise), heard.tolist(), strict=True)]
    return SOLVERS[solver](field, noise, moments)
