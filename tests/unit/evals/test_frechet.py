"""The Frechet distance agrees with what is known in closed form."""

import numpy as np
import pytest

from blip3o.evals.distributions.frechet import frechet_distance

RNG = np.random.default_rng(0)


def white(n, dim):
    """Samples whose mean is 0 and whose covariance is the identity, exactly."""
    samples = RNG.normal(size=(n, dim))
    samples -= samples.mean(axis=0)
    return samples @ np.linalg.inv(np.linalg.cholesky(np.cov(samples.T))).T


@pytest.mark.parametrize("n", [5, 50])
def test_a_set_is_no_distance_from_itself(n):
    features = RNG.normal(size=(n, 8)).astype(np.float32)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)


def test_a_shift_counts_its_square():
    features = white(40, 4)
    assert frechet_distance(features, features + np.array([3.0, 0, 4.0, 0])) == pytest.approx(25)


def test_gaussians_on_the_same_axes_have_a_closed_form():
    first, second = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5])
    found = frechet_distance(white(60, 3) * first, white(90, 3) * second)
    assert found == pytest.approx(((first - second) ** 2).sum())


def test_it_is_symmetric_where_features_outnumber_samples():
    a, b = RNG.normal(size=(6, 30)), RNG.normal(size=(9, 30))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))


def test_one_picture_has_no_spread():
    with pytest.raises(ValueError, match="two or more"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
