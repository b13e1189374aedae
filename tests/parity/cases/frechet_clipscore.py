"""frechet_clipscore.json."""

import re

import numpy as np
import pytest

from blip3o.evals.distributions import clipscore, fdr, frechet, kid, resize

TOLERANCE = 1e-6


def frechet_cases(case):
    first, second = (np.array(case[name], dtype=np.float64) for name in ("feats1", "feats2"))
    first, second = (rows.reshape(len(rows), -1) for rows in (first, second))
    found = frechet.frechet_distance(first, second)
    numbers = {name: value for name, value in case["expected"].items() if not isinstance(value, str)}
    assert numbers
    for value in numbers.values():
        assert found == pytest.approx(value, abs=case.get("tolerance", TOLERANCE))


def kid_cases(case):
    first, second = (np.array(case[name], dtype=np.float64) for name in ("feats1", "feats2"))
    found = kid.kernel_distances(first, second).mean()
    assert found == pytest.approx(case["expected"], abs=case.get("tolerance", TOLERANCE))


def fdr_k(case):
    found = fdr.ratio(case["fd"], case["fd_validation"])
    assert found == pytest.approx(case["expected"], abs=case.get("tolerance", TOLERANCE))


def drawn(recipe):
    """The picture of "((arange(10*14*3)*37)%256).reshape(10,14,3) uint8"."""
    found = re.fullmatch(r"\(\(arange\((\d+)\*(\d+)\*(\d+)\)\*(\d+)\)%(\d+)\)\.reshape\(.*\) uint8", recipe)
    assert found is not None
    height, width, channels, factor, modulus = map(int, found.groups())
    values = np.arange(height * width * channels) * factor % modulus
    return values.reshape(height, width, channels).astype(np.uint8)


def resize_cases(case):
    library, quantised, name, size = case["args"]
    ways = {
        ("PIL", "False"): (resize.clean, tuple(size)),
        ("PIL", "True"): (resize.quantised, tuple(size)),
        ("PyTorch", "False"): (resize.unfiltered, tuple(reversed(size))),  # PyTorch names the height first
    }
    way, shape = ways[library, quantised]
    found = way(drawn(case["image"]), shape, name)
    expected = np.array(case["expected"])
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= case.get("tolerance", TOLERANCE)


def scored(values, case):
    assert clipscore.hessel(values) == pytest.approx(case["expected_hessel"], abs=TOLERANCE)
    assert clipscore.torchmetrics(values) == pytest.approx(case["expected_torchmetrics"], abs=TOLERANCE)


def clip_score(case):
    picture, text = (np.array([case[name]], dtype=np.float64) for name in ("image_features", "text_features"))
    scored(clipscore.cosines(picture, text), case)


def clip_score_batch(case):
    scored(np.array(case["cosines"], dtype=np.float64), case)


GROUPS = {
    "frechet": frechet_cases,
    "kid": kid_cases,
    "fdr_k": fdr_k,
    "resize": resize_cases,
    "clip_score": clip_score,
    "clip_score_batch": clip_score_batch,
}
DEVIATIONS = {"frechet": "features of one dimension, at which two of the libraries raise, are compared like any others"}
UNCOMPARED = {}
