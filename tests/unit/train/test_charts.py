"""Charts: what is drawn stands where its numbers say."""

import math
from itertools import pairwise

import pytest

from blip3o.train.charts import HEIGHT, MOST_POINTS, WIDTH, brief_number, chart, smoothed, thinned, ticks


def points(text):
    return [tuple(map(float, point.split(","))) for point in text.split()]


def test_a_higher_value_stands_higher_and_a_later_step_further_right():
    drawn = chart({"total": [(0.0, 4.0), (50.0, 2.0), (100.0, 1.0)]})
    assert drawn is not None
    [line] = drawn.lines
    (x0, y0), (x1, y1), (x2, y2) = points(line.raw)
    assert (x0, x1, x2) == (0, WIDTH / 2, WIDTH)
    assert 0 <= y0 < y1 < y2 <= HEIGHT
    assert (y1 - y0) == pytest.approx(2 * (y2 - y1), abs=0.2)
    assert line.last == 1.0


def test_on_a_logarithmic_axis_equal_factors_are_equal_distances():
    drawn = chart({"total": [(1.0, 100.0), (2.0, 10.0), (3.0, 0.0), (4.0, 1.0)]}, logarithmic=True)
    assert drawn is not None
    (_, y0), (_, y1), (_, y2) = points(drawn.lines[0].raw)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    assert [label for _, label in drawn.rows if label in ("1", "10", "100")] == ["1", "10", "100"]


def test_a_tick_stands_where_its_value_would():
    drawn = chart({"total": [(0.0, 0.0), (10.0, 10.0)]})
    assert drawn is not None
    places = {label: place for place, label in drawn.rows}
    (_, bottom), (_, top) = points(drawn.lines[0].raw)
    assert places["0"] == pytest.approx(bottom, abs=0.1)
    assert places["10"] == pytest.approx(top, abs=0.1)


def test_nothing_to_show_is_no_chart_and_one_value_is_one():
    assert chart({}) is None
    assert chart({"total": []}) is None
    assert chart({"total": [(1.0, math.nan)]}) is None
    assert chart({"total": [(1.0, 0.0)]}, logarithmic=True) is None
    assert chart({"total": [(1.0, 0.0)]}) is not None


def test_a_long_curve_is_thinned_to_means_and_smoothed():
    curve = [(float(step), 5.0 + (-1.0) ** step) for step in range(1000)]
    few = thinned(curve)
    assert len(few) <= MOST_POINTS
    assert sum(step for step, _ in few) / len(few) == pytest.approx(499.5, abs=3)
    assert [value for _, value in smoothed([(0.0, 3.0)] * 100)] == pytest.approx([3.0] * 100)
    rough, calm = ([value for _, value in some] for some in (curve[:200], smoothed(curve[:200])))
    assert max(calm[50:]) - min(calm[50:]) < 0.5 * (max(rough) - min(rough))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (3.6, 4.4), (-7.0, 12345.0), (1e-6, 2e-6)])
def test_ticks_are_few_round_and_inside(low, high):
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 6
    assert all(low - 1e-9 <= mark <= high + 1e-9 for mark in marks)
    assert len({round(b - a, 12) for a, b in pairwise(marks)}) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.00001, "1e-05"), (3.14159, "3.14"), (950.0, "950"), (1500.0, "1.5k"), (-2e6, "-2M"), (3e9, "3G")],
)
def test_numbers_are_short(value, text):
    assert brief_number(value) == text
