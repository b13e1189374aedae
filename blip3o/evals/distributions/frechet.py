r"""The Frechet distance between two sets of features, each taken for a Gaussian.

    d^2 = |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2)          (Dowson and Landau 1982, equation 5; as in FID)

With C = A A^T, A being the centred features over sqrt(n - 1), the eigenvalues of C1 C2 are the squared singular values
of A1^T A2, so the last trace is their plain sum: no root of an ill-conditioned product, and exact where features
outnumber samples.
"""

import numpy as np
from jaxtyping import Float


def frechet_distance(first: Float[np.ndarray, "n dim"], second: Float[np.ndarray, "m dim"]) -> float:
    """Squared distance, 0 for equal means and covariances. At least two rows each, else ValueError.

    Grows with fewer rows even for the same distribution: compare only distances over the same numbers.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"got {len(first)} and {len(second)} rows of features: expected two or more of each")
    a, b = (_factor(features.astype(np.float64)) for features in (first, second))
    between = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
    common = np.linalg.svd(a.T @ b, compute_uv=False).sum()
    return float(max(between @ between + (a * a).sum() + (b * b).sum() - 2 * common, 0.0))


def _factor(features: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "dim rank"]:
    """A with A A^T the covariance, and no more columns than dimensions."""
    scaled = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    return np.linalg.qr(scaled).R.T if len(features) > features.shape[1] else scaled.T
