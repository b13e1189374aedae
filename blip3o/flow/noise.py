"""Randomness by address: each item draws from its own generator, so its noise is the same in any batch."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor


def generators(seeds: Sequence[int]) -> list[Generator]:
    """One CPU generator per seed; noise drawn on the CPU is the same on every device."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw_uniform(rngs: Sequence[Generator]) -> Float[Tensor, " batch"]:
    """Numbers evenly from [0, 1), number k from generator k."""
    return torch.stack([torch.rand((), generator=rng) for rng in rngs])


def draw_noise(shape: Sequence[int], rngs: Sequence[Generator]) -> Float[Tensor, "batch ..."]:
    """Standard normal noise [len(rngs), *shape], row k from generator k."""
    return torch.stack([torch.randn(tuple(shape), generator=rng) for rng in rngs])
