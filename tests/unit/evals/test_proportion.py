"""Shares carry honest intervals."""

import pytest

from blip3o.evals.proportion import mean, proportion


def test_the_interval_is_wilsons():
    eight_of_ten = proportion([True] * 8 + [False] * 2)
    assert (eight_of_ten.value, eight_of_ten.n) == (0.8, 10)
    assert (eight_of_ten.low, eight_of_ten.high) == pytest.approx((0.490162, 0.943318), abs=1e-6)


@pytest.mark.parametrize("right", [0, 1, 7, 20])
def test_the_interval_holds_the_value_within_zero_and_one(right):
    found = proportion([True] * right + [False] * (20 - right))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.1


def test_more_questions_narrow_the_interval():
    few, many = (proportion([True, True, True, False] * times) for times in (5, 50))
    assert many.high - many.low < few.high - few.low


def test_a_mean_is_surer_than_its_parts():
    part = proportion([True] * 15 + [False] * 5)
    whole = mean([part] * 6)
    assert (whole.value, whole.n) == (0.75, 120)
    assert whole.value - whole.low == pytest.approx((part.value - part.low) / 6**0.5)
    assert whole.high - whole.value == pytest.approx((part.high - part.value) / 6**0.5)


def test_a_mean_of_perfect_shares_keeps_a_width():
    assert mean([proportion([True] * 10)] * 6).low < 1


def test_nothing_has_no_share():
    with pytest.raises(ValueError, match="expected one or more"):
        proportion([])
