"""Draws flat shapes: of objects in the units of a design sheet 100 wide and 100 high, of places in px (y runs down)."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import numpy as np
from PIL import Image, ImageDraw

from blip3o.picturebook.world.palette import Material, Rgb

Paint = TypeVar("Paint", Material, Rgb)
Length = float | int
"""A coordinate or an extent; whole ones may be written without a point."""
Point = tuple[Length, Length]
CURVE_STEPS = 8
"""Straight pieces between two neighbouring points of a smooth outline."""


def smooth(points: list[Point]) -> list[Point]:
    """A closed curve through the points (uniform Catmull-Rom spline), as a polygon."""
    knots = np.array(points, dtype=np.float64)
    before, after, beyond = (np.roll(knots, shift, axis=0) for shift in (1, -1, -2))
    curve = []
    for t in np.arange(CURVE_STEPS) / CURVE_STEPS:
        linear, square, cube = after - before, 2 * before - 5 * knots + 4 * after - beyond, 3 * (knots - after)
        curve.append(knots + 0.5 * t * (linear + t * (square + t * (cube + beyond - before))))
    path = np.stack(curve, axis=1).reshape(-1, 2)
    return [(float(x), float(y)) for x, y in path]


class Pen(Generic[Paint]):
    """Paints shapes over each other on an image; a point (x, y) of the drawing lands at `scale * (x, y) + shift`.

    A paint is what the image holds, a material or a colour; `light` turns it into how it looks there.
    """

    def __init__(
        self,
        image: Image.Image,
        *,
        scale: Length,
        shift: Point = (0, 0),
        light: Callable[[Paint], Paint] = lambda paint: paint,
    ) -> None:
        self.painter = ImageDraw.Draw(image)
        self.scale = scale
        self.shift = shift
        self.light = light

    def place(self, points: Iterable[Point]) -> list[Point]:
        """Points of the drawing -> points of the image."""
        return [(self.scale * x + self.shift[0], self.scale * y + self.shift[1]) for x, y in points]

    def ellipse(self, paint: Paint, x: Length, y: Length, rx: Length, ry: Length) -> None:
        """An axis-aligned ellipse about (x, y)."""
        self.painter.ellipse(self.place([(x - rx, y - ry), (x + rx, y + ry)]), fill=self.light(paint))

    def disc(self, paint: Paint, x: Length, y: Length, radius: Length) -> None:
        """A circle about (x, y)."""
        self.ellipse(paint, x, y, radius, radius)

    def sector(self, paint: Paint, x: Length, y: Length, rx: Length, ry: Length, start: Length, end: Length) -> None:
        """The part of an ellipse under its chord, from `start` to `end` degrees clockwise from 3 o'clock."""
        self.painter.chord(self.place([(x - rx, y - ry), (x + rx, y + ry)]), start, end, fill=self.light(paint))

    def box(self, paint: Paint, x0: Length, y0: Length, x1: Length, y1: Length, *, radius: Length = 0) -> None:
        """An upright rectangle with rounded corners."""
        corners = self.place([(x0, y0), (x1, y1)])
        self.painter.rounded_rectangle(corners, radius * self.scale, fill=self.light(paint))

    def polygon(self, paint: Paint, *points: Point) -> None:
        """A filled polygon."""
        self.painter.polygon(self.place(points), fill=self.light(paint))

    def blob(self, paint: Paint, *points: Point) -> None:
        """The inside of a smooth closed curve through the points."""
        self.polygon(paint, *smooth(list(points)))

    def stroke(self, paint: Paint, width: Length, *points: Point) -> None:
        """A stroke with square ends."""
        self.painter.line(self.place(points), fill=self.light(paint), width=max(1, round(width * self.scale)))

    def line(self, paint: Paint, width: Length, *points: Point) -> None:
        """A stroke with round ends and joints."""
        self.stroke(paint, width, *points)
        radius = width * self.scale / 2
        for x, y in self.place(points):
            self.painter.ellipse((x - radius, y - radius, x + radius, y + radius), fill=self.light(paint))
