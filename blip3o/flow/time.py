"""When: the times a loss is taken at, and the times a solver steps through.

The shift s >= 1 moves times towards noise, where the picture as a whole is decided:

    (1)  t' = t / (t + s (1 - t))

The more numbers m a picture is made of, the more noise it takes to hide it as well:

    (2)  s = sqrt(m / 4096)

Source: Esser et al., Scaling Rectified Flow Transformers, arXiv 2403.03206, eq. 23, with its time turned round; (2)
with this base for the features of encoders: arXiv 2510.11690 and 2601.16208, whose time is 1 - t.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from blip3o.flow.noise import draw_uniform


def shifted(time: Float[Tensor, "*any"], shift: float) -> Float[Tensor, "*any"]:
    """Equation (1): 0 and 1 stay, shift 1 changes nothing, a larger one moves times towards 0."""
    return time / (time + shift * (1 - time))


BASE_DIMENSION = 4096
"""Numbers of a picture whose times are not moved."""


def dimension_shift(dimension: int) -> float:
    """The shift of equation (2) for pictures of so many numbers (tokens times channels); 1 for fewer than the base, of
    which the source does not speak."""
    return max(1.0, math.sqrt(dimension / BASE_DIMENSION))


def draw_times(shift: float, rngs: Sequence[Generator]) -> Float[Tensor, " batch"]:
    """Training times in [0, 1), uniform and then shifted, time k from generator k."""
    return shifted(draw_uniform(rngs), shift)


def cut(time: Float[Tensor, "*any"], parts: int) -> Float[Tensor, "*any"]:
    """Times as the published sampler tells them to its network: of `parts` times 1 - t only the whole number counts.

    The product is taken in float32, as there, so that the same times fall short of a whole number; give float64.
    """
    return 1 - ((1 - time).float() * parts).floor() / parts


def solver_times(steps: int, shift: float = 1.0) -> Float[Tensor, " times"]:
    """The `steps` + 1 times from 0 to 1 that a solver visits, in float64.

    Raises ValueError where `steps` is not positive.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}: a solver takes at least 1 step")
    return shifted(torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64), shift)
