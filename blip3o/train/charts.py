"""Charts of numbers over steps, as the coordinates of an SVG picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Curve = Sequence[tuple[float, float]]
"""(step, value), by step."""
WIDTH, HEIGHT = 640, 220
"""Of the area between the axes, in the units of the picture."""
MOST_POINTS = 240
"""Of a line; more are put together to their means."""
LOOK_BACK = 40
"""A smoothed curve forgets within this part of its length: a fortieth."""


@dataclass(frozen=True)
class DrawnCurve:
    """A curve in a chart."""

    name: str
    last: float
    raw: str
    """Its points as SVG's `points`."""
    smooth: str
    """The same smoothed; empty for curves of few points."""


@dataclass(frozen=True)
class Chart:
    """Curves over common axes."""

    lines: Sequence[DrawnCurve]
    columns: Sequence[tuple[float, str]]
    """Place and label of each tick of the steps."""
    rows: Sequence[tuple[float, str]]
    """The same of the values."""


def chart(curves: Mapping[str, Curve], *, logarithmic: bool = False) -> Chart | None:
    """Curves by their names, in one chart; None where nothing can be shown: no points, or on a logarithmic axis none
    above 0."""
    scale = math.log10 if logarithmic else float
    shown = {
        name: thinned([(step, scale(value)) for step, value in curve if value > 0 or not logarithmic])
        for name, curve in curves.items()
    }
    points = [point for curve in shown.values() for point in curve if math.isfinite(point[1])]
    if not points:
        return None
    left, right = _limits([0.0, *(step for step, _ in points)])
    low, high = _limits([value for _, value in points], room=0.05)

    def place(curve: Curve) -> str:
        inside = [(WIDTH * (x - left) / (right - left), HEIGHT * (high - y) / (high - low)) for x, y in curve]
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in inside if math.isfinite(y))

    lines = [
        DrawnCurve(name, curves[name][-1][1], place(curve), place(smoothed(curve)) if len(curve) > LOOK_BACK else "")
        for name, curve in shown.items()
        if curve
    ]
    columns = [(WIDTH * (tick - left) / (right - left), brief_number(tick)) for tick in ticks(left, right)]
    marks = ticks_of_powers(low, high) if logarithmic else ticks(low, high)
    labels = [(tick, brief_number(10**tick if logarithmic else tick)) for tick in marks]
    return Chart(lines, columns, [(HEIGHT * (high - tick) / (high - low), label) for tick, label in labels])


def thinned(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """At most so many points, each the mean of its neighbours."""
    size = max(1, math.ceil(len(curve) / most))
    groups = [curve[start : start + size] for start in range(0, len(curve), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def smoothed(curve: Curve) -> Curve:
    """An exponential average of what has been, without the pull towards 0 at its beginning."""
    keep = math.exp(-LOOK_BACK / max(len(curve), 1))
    total = weight = 0.0
    points = []
    for step, value in curve:
        if math.isfinite(value):
            total, weight = keep * total + value, keep * weight + 1
            points.append((step, total / weight))
    return points


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from low to high, at most so many."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def ticks_of_powers(low: float, high: float, most: int = 6) -> list[float]:
    """The logarithms of 1, 2, 5, 10, 20 ... from low to high; where these are too many or none, others as round."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    marks = [power + math.log10(digit) for power in powers for digit in (1, 2, 5)]
    inside = [mark for mark in marks if low <= mark <= high]
    return inside if 1 < len(inside) <= most else ticks(low, high)


def brief_number(value: float) -> str:
    """A number in few characters: 1.5e-05, 0.0012, 3.4, 950, 12k."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _limits(values: Sequence[float], room: float = 0.0) -> tuple[float, float]:
    """The lowest and the highest value, with a share of room beyond them; always apart."""
    low, high = min(values), max(values)
    beyond = room * (high - low) if high > low else abs(high) * 0.1 or 1.0
    return low - beyond, high + beyond
