"""The kernel distance agrees with what its definition says."""

import numpy as np
import pytest

from blip3o.evals.distributions.kid import kernel_distances

RNG = np.random.default_rng(0)


def test_it_is_the_mean_over_pairs():
    first, second = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))

    def kernel(x, y):
        return (x @ y / 3 + 1) ** 3

    within = sum(
        kernel(rows[i], rows[j]) / 12 for rows in (first, second) for i in range(4) for j in range(4) if i != j
    )
    across = sum(kernel(x, y) / 16 for x in first for y in second)
    assert kernel_distances(first, second) == pytest.approx(np.array([within - 2 * across]))


def test_halves_of_one_set_are_near_and_a_shift_is_far():
    rows = RNG.normal(size=(2000, 8)).astype(np.float32)
    near = kernel_distances(rows[:1000], rows[1000:]).mean()
    assert abs(near) < 0.05
    assert kernel_distances(rows[:1000], rows[1000:] + 1).mean() > 1


def test_subsets_are_drawn_alike_in_every_run():
    first, second = RNG.normal(size=(30, 4)), RNG.normal(size=(40, 4))
    found = kernel_distances(first, second, subsets=5, most=10)
    assert len(found) == 5
    assert len(set(found)) == 5
    assert (found == kernel_distances(first, second, subsets=5, most=10)).all()
    assert (found != kernel_distances(first, second, subsets=5, most=10, seed=1)).all()


def test_one_picture_is_no_set():
    with pytest.raises(ValueError, match="two or more"):
        kernel_distances(np.zeros((1, 3)), np.zeros((5, 3)))
