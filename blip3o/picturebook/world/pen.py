"""Draws shapes of flat materials, in the units of a design sheet 100 wide and 100 high (y runs down)."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from blip3o.picturebook.world.palette import Material

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


class Pen:
    """Paints materials over each other on one sheet of `side` x `side` points.

    A design point (x, y) lands at `scale * (x, y) + shift`.
    """

    def __init__(self, *, side: int, scale: Length, shift: Point) -> None:
        self.image = Image.new("L", (side, side), int(Material.EMPTY))
        self.painter = ImageDraw.Draw(self.image)
        self.scale = scale
        self.shift = shift

    @property
    def materials(self) -> UInt8[np.ndarray, "height width"]:
        """The material of every point."""
        return np.array(self.image)

    def place(self, points: list[Point]) -> list[Point]:
        """Design points -> points of the sheet."""
        return [(self.scale * x + self.shift[0], self.scale * y + self.shift[1]) for x, y in points]

    def ellipse(self, material: Material, x: Length, y: Length, rx: Length, ry: Length) -> None:
        """An axis-aligned ellipse about (x, y)."""
        self.painter.ellipse(self.place([(x - rx, y - ry), (x + rx, y + ry)]), fill=int(material))

    def disc(self, material: Material, x: Length, y: Length, radius: Length) -> None:
        """A circle about (x, y)."""
        self.ellipse(material, x, y, radius, radius)

    def sector(
        self, material: Material, x: Length, y: Length, rx: Length, ry: Length, start: Length, end: Length
    ) -> None:
        """The part of an ellipse under its chord, from `start` to `end` degrees clockwise from 3 o'clock."""
        self.painter.chord(self.place([(x - rx, y - ry), (x + rx, y + ry)]), start, end, fill=int(material))

    def box(self, material: Material, x0: Length, y0: Length, x1: Length, y1: Length, *, radius: Length = 0) -> None:
        """An upright rectangle with rounded corners."""
        corners = self.place([(x0, y0), (x1, y1)])
        self.painter.rounded_rectangle(corners, radius * self.scale, fill=int(material))

    def polygon(self, material: Material, *points: Point) -> None:
        """A filled polygon."""
        self.painter.polygon(self.place(list(points)), fill=int(material))

    def blob(self, material: Material, *points: Point) -> None:
        """The inside of a smooth closed curve through the points."""
        self.polygon(material, *smooth(list(points)))

    def line(self, material: Material, width: Length, *points: Point) -> None:
        """A stroke with round ends and joints."""
        path = self.place(list(points))
        radius = width * self.scale / 2
        self.painter.line(path, fill=int(material), width=max(1, round(2 * radius)))
        for x, y in path:
            self.painter.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(material))
