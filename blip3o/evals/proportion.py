"""Shares of right answers with their 95 % intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

Z = 1.959963984540054
"""The standard normal's 97.5 % quantile."""


@dataclass(frozen=True)
class Proportion:
    """A share 0..1 over `n` items, within low..high with 95 % confidence."""

    value: float
    n: int
    low: float
    high: float


def proportion(right: Iterable[bool]) -> Proportion:
    """The share of what is true, with Wilson's score interval (Wilson 1927). ValueError for nothing at all."""
    outcomes = list(right)
    n = len(outcomes)
    if not n:
        raise ValueError("a share of no outcomes has no value: expected one or more")
    value = sum(outcomes) / n
    middle = (value + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(value * (1 - value) / n + Z * Z / (4 * n * n))
    return Proportion(value, n, min(value, middle - half), max(value, middle + half))


def mean(shares: Sequence[Proportion]) -> Proportion:
    """The unweighted mean of independent shares; `n` is their sum.

    The interval recovers each share's variance from its own limits (MOVER: Zou and Donner 2008), so that it keeps a
    width where every share is 0 or 1.
    """
    number = len(shares)
    value = sum(one.value for one in shares) / number
    below = sqrt(sum((one.value - one.low) ** 2 for one in shares)) / number
    above = sqrt(sum((one.high - one.value) ** 2 for one in shares)) / number
    return Proportion(value, sum(one.n for one in shares), value - below, value + above)
