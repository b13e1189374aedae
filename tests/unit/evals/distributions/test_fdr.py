"""FDr is 1 for pictures that are as near as the validation set."""

import pytest

from blip3o.evals.distributions.encoders import ENCODERS
from blip3o.evals.distributions.fdr import REPRESENTATIONS, ratio


def test_the_scale_of_a_representation_does_not_count():
    assert ratio({"a": 3.0, "b": 1.0}, {"a": 1.0, "b": 1.0}) == 2
    assert ratio({"a": 300.0, "b": 1.0}, {"a": 100.0, "b": 1.0}) == 2


@pytest.mark.parametrize(
    ("distances", "of_validation", "told"),
    [
        ({"a": 1.0}, {"b": 1.0}, "expected the same"),
        ({}, {}, "expected the same"),
        ({"a": 1.0}, {"a": 0.0}, "above 0 for a"),
        ({"a": 1.0}, {"a": float("nan")}, "above 0 for a"),
    ],
)
def test_other_representations_and_a_distance_of_nought_are_told(distances, of_validation, told):
    with pytest.raises(ValueError, match=told):
        ratio(distances, of_validation)


def test_every_representation_of_fdr_6_has_an_encoder():
    assert set(REPRESENTATIONS) == set(ENCODERS)
