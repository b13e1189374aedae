"""The kernel distance between two sets of features (Binkowski and others 2018, arXiv 1801.01401, KID).

    k(x, y) = (x . y / dim + 1)^3
    MMD^2 = mean of k over pairs within each set, without a row's pair with itself, - 2 * mean of k across the sets

Unbiased, so it may be below 0, and unlike the Frechet distance does not grow with fewer rows.
"""

import numpy as np
from jaxtyping import Float

SUBSETS = 100
MOST = 1000
"""Rows of a subset, at most."""


def kernel_distances(
    first: Float[np.ndarray, "n dim"],
    second: Float[np.ndarray, "m dim"],
    *,
    subsets: int = SUBSETS,
    most: int = MOST,
    seed: int = 0,
) -> Float[np.ndarray, "subsets"]:
    """MMD^2 of random subsets of `most` rows of each set, or of as many as the smaller has; KID is their mean.

    One value where both sets go whole into it. At least two rows each, else ValueError.
    """
    size = min(len(first), len(second), most)
    if size < 2:
        raise ValueError(f"got {len(first)} and {len(second)} rows of features: expected two or more of each")
    if size == len(first) == len(second):
        return np.array([_discrepancy(first, second)])
    generator = np.random.default_rng(seed)
    drawn = [[generator.choice(len(rows), size, replace=False) for rows in (first, second)] for _ in range(subsets)]
    return np.array([_discrepancy(first[mine], second[other]) for mine, other in drawn])


def _discrepancy(first: Float[np.ndarray, "n dim"], second: Float[np.ndarray, "n dim"]) -> float:
    first, second = first.astype(np.float64), second.astype(np.float64)
    size = len(first)
    within = sum(kernel.sum() - np.trace(kernel) for kernel in (_kernel(first, first), _kernel(second, second)))
    return float(within / (size * (size - 1)) - 2 * _kernel(first, second).mean())


def _kernel(first: Float[np.ndarray, "n dim"], second: Float[np.ndarray, "m dim"]) -> Float[np.ndarray, "n m"]:
    return (first @ second.T / first.shape[1] + 1) ** 3
