"""Solvers of dx/dt = velocity(x, t), from time 0 (noise) to time 1 (data): start, step, step, ..., the data.

    state = start(noise, [times])
    while any(state.remaining):
        state = SOLVERS["euler"](state, field)
    data = state.x

A state is a batch whose rows have times of their own. Between two steps rows leave it (`select`) and join it (`join`);
each goes on as if it were alone, and stays where it is when it has arrived.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from blip3o.flow.path import broadcast_time

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x [batch, ...], time [batch] in [0, 1]) -> velocity, of the shape of x."""
TimedVelocity = Callable[[Tensor, Tensor, Sequence[float]], Tensor]
"""The same, with the times as numbers too: to read them off the device would have the host wait for it."""


@dataclass(frozen=True, kw_only=True)
class SamplerState:
    """Where the rows of a batch are on their way. Times are those to come, the present one first."""

    x: Float[Tensor, "batch ..."]
    times: Float[Tensor, "times batch"]
    """In the dtype and on the device of the noise; the last of a row that has fewer than another is repeated."""
    field_times: Float[Tensor, "times batch"]
    """The times that the field gets in place of these."""
    clock: tuple[tuple[float, ...], ...]
    """The times that the field gets as numbers, row by row; not repeated."""
    velocity: Float[Tensor, "batch ..."]
    """The velocity of the last step, zeros before the first."""
    length: Float[Tensor, " batch"]
    """The time that the last step took, 0 before the first."""

    @property
    def remaining(self) -> list[int]:
        """Steps that each row has to take; 0 for one that has arrived."""
        return [len(times) - 1 for times in self.clock]

    def estimate(self) -> Float[Tensor, "batch ..."]:
        """The data, were the velocity to stay as it is: what a preview shows."""
        return self.x + broadcast_time(1 - self.times[0], self.x) * self.velocity

    def select(self, rows: Sequence[int]) -> "SamplerState":
        """The state of these rows; one may be taken more than once."""
        clock = tuple(self.clock[row] for row in rows)
        longest, rows = max(map(len, clock)), list(rows)
        return SamplerState(
            x=self.x[rows],
            times=self.times[:longest, rows],
            field_times=self.field_times[:longest, rows],
            clock=clock,
            velocity=self.velocity[rows],
            length=self.length[rows],
        )

    def join(self, other: "SamplerState") -> "SamplerState":
        """The rows of both, those of `other` last."""
        return SamplerState(
            x=torch.cat([self.x, other.x]),
            times=_side_by_side([self.times, other.times]),
            field_times=_side_by_side([self.field_times, other.field_times]),
            clock=self.clock + other.clock,
            velocity=torch.cat([self.velocity, other.velocity]),
            length=torch.cat([self.length, other.length]),
        )

    def ahead(self) -> "SamplerState":
        """The same at the next times; a row that has arrived stays there."""
        return replace(
            self,
            times=_later(self.times),
            field_times=_later(self.field_times),
            clock=tuple(times[1:] or times for times in self.clock),
        )

    def of(self, field: TimedVelocity, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The velocity of `x` at the present times."""
        return field(x, self.field_times[0], [times[0] for times in self.clock])


Solver = Callable[[SamplerState, TimedVelocity], SamplerState]
"""Takes one step in every row that has not arrived."""


def start(
    noise: Float[Tensor, "batch ..."],
    times: Sequence[Float[Tensor, " _"]],
    field_times: Sequence[Float[Tensor, " _"]] | None = None,
) -> SamplerState:
    """The state before the first step. Each row has its own times (ascending, from 0 to 1, on the host), and may have
    others that the field gets in their place (flow/time.py, `cut`)."""
    rows = [row.to(noise.dtype) for row in (times if field_times is None else field_times)]
    return SamplerState(
        x=noise,
        times=_side_by_side([row[:, None] for row in times]).to(noise),
        field_times=_side_by_side([row[:, None] for row in rows]).to(noise.device),
        clock=tuple(tuple(row.tolist()) for row in rows),
        velocity=torch.zeros_like(noise),
        length=noise.new_zeros(len(noise)),
    )


def euler(state: SamplerState, field: TimedVelocity) -> SamplerState:
    """First order; one call of the field a step."""
    after = state.ahead()
    length = after.times[0] - state.times[0]
    velocity = state.of(field, state.x)
    return replace(after, x=state.x + broadcast_time(length, state.x) * velocity, velocity=velocity, length=length)


def heun(state: SamplerState, field: TimedVelocity) -> SamplerState:
    """Second order (the explicit trapezoid); two calls of the field a step."""
    after = state.ahead()
    length = after.times[0] - state.times[0]
    step = broadcast_time(length, state.x)
    first = state.of(field, state.x)
    second = after.of(field, state.x + step * first)
    return replace(after, x=state.x + step * (first + second) / 2, velocity=second, length=length)


def multistep(state: SamplerState, field: TimedVelocity) -> SamplerState:
    """Second order from the step before (Adams and Bashforth, steps of any length); one call of the field a step.

    (1)  x_n+1 = x_n + h_n (v_n + h_n / (2 h_n-1) (v_n - v_n-1)); the first step is Euler's

    Source: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, section III.5.
    """
    after = state.ahead()
    length = after.times[0] - state.times[0]
    step, before = (broadcast_time(time, state.x) for time in (length, state.length))
    velocity = state.of(field, state.x)
    bent = velocity + step / (2 * before) * (velocity - state.velocity)
    x = state.x + step * torch.where(before == 0, velocity, bent)
    return replace(after, x=x, velocity=velocity, length=length)


SOLVERS: dict[str, Solver] = {"euler": euler, "heun": heun, "multistep": multistep}


def solve(
    field: Velocity, noise: Float[Tensor, "batch ..."], times: Float[Tensor, " times"], solver: str = "euler"
) -> Float[Tensor, "batch ..."]:
    """The data to which the field carries `noise` through `times` (ascending, from 0 to 1)."""
    state = start(noise, [times] * len(noise))
    for _ in times[1:]:
        state = SOLVERS[solver](state, lambda x, time, _: field(x, time))
    return state.x


def _later(times: Float[Tensor, "times batch"]) -> Float[Tensor, "later batch"]:
    """The times after the present one; the last stays."""
    return times[1:] if len(times) > 1 else times


def _side_by_side(columns: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "times batch"]:
    """Times of different rows as one tensor, the last of each repeated."""
    longest = max(len(column) for column in columns)
    return torch.cat([torch.cat([c, c[-1:].expand(longest - len(c), -1)]) for c in columns], 1)
