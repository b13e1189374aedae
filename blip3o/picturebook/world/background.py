"""The empty places in which objects stand: a strip of sky, ground below it, a few small quiet details."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from blip3o.picturebook.world.palette import Rgb, mix
from blip3o.picturebook.world.pen import Pen
from blip3o.picturebook.world.scene import SIZE

SAMPLES = 4
"""Sample points per px and axis."""
VARIANTS = 64
"""Number of different backgrounds of one place at one time of day."""
HORIZON = 9
"""Row in px at which the ground begins."""

NIGHT_FACTORS = (0.43, 0.47, 0.63)
"""What is left of the ground's red, green and blue by night."""
NIGHT_AIR: Rgb = (34, 48, 104)
"""The blue that lies over all that is far and dark."""
NIGHT_SKY: tuple[Rgb, Rgb] = ((14, 18, 56), (44, 54, 108))


def by_night(rgb: Rgb) -> Rgb:
    """How a colour of the ground looks by night."""
    red, green, blue = (round(value * factor) for value, factor in zip(rgb, NIGHT_FACTORS, strict=True))
    return mix((red, green, blue), NIGHT_AIR, 0.2)


def fade(pen: Pen[Rgb], upper: Rgb, lower: Rgb, top: int, bottom: int) -> None:
    """Rows from `top` to `bottom` px, shading from one colour to the other."""
    start, end = top * SAMPLES, bottom * SAMPLES
    for row in range(start, end):
        pen.painter.line([(0, row), (SIZE * SAMPLES, row)], fill=mix(upper, lower, (row - start) / (end - start)))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Colours by day of the sky (top, horizon) and the ground (horizon, foot), and what lies about."""

    sky: tuple[Rgb, Rgb]
    ground: tuple[Rgb, Rgb]
    skyline: Callable[[Pen[Rgb], random.Random], None]
    litter: Callable[[Pen[Rgb], random.Random], None]


def spots(rng: random.Random, count: int) -> list[tuple[float, float]]:
    """Random points of the ground, in px."""
    return [(rng.uniform(2, SIZE - 2), rng.uniform(HORIZON + 3, SIZE - 2)) for _ in range(count)]


def hills(pen: Pen[Rgb], rng: random.Random) -> None:
    """Two round green hills on the horizon."""
    for x in (rng.uniform(4, 26), rng.uniform(38, 60)):
        pen.ellipse((128, 190, 104), x, HORIZON + 2, rng.uniform(11, 16), rng.uniform(4, 6))


def tufts(pen: Pen[Rgb], rng: random.Random) -> None:
    """Tufts of grass and a few daisies."""
    for x, y in spots(rng, 9):
        for lean in (-1.2, 0.0, 1.2):
            pen.stroke((138, 192, 98), 0.5, (x, y), (x + lean, y - 2))
    for x, y in spots(rng, 4):
        pen.ellipse((238, 240, 214), x, y, 0.6, 0.6)


def sea(pen: Pen[Rgb], rng: random.Random) -> None:
    """A band of sea with a foaming edge."""
    pen.polygon((92, 182, 214), (0, 6), (SIZE, 6), (SIZE, 11), (0, 11))
    start = rng.uniform(-8, 0)
    for index in range(10):
        pen.ellipse((244, 246, 240), start + 8 * index, 11.2, 5, 1.1)
        pen.ellipse((240, 222, 178), start + 8 * index, 12, 5, 1.1)


def shells(pen: Pen[Rgb], rng: random.Random) -> None:
    """Shells and ripples of sand."""
    for x, y in spots(rng, 5):
        pen.stroke((230, 209, 160), 0.6, (x - 3, y), (x, y - 0.7), (x + 3, y))
    for x, y in spots(rng, 5):
        pen.ellipse((250, 238, 214), x, y, 1, 0.8)


def peaks(pen: Pen[Rgb], rng: random.Random) -> None:
    """Snowy mountains and the snow field's soft edge."""
    for x in (rng.uniform(4, 18), rng.uniform(28, 44), rng.uniform(54, 68)):
        height = rng.uniform(4, 7)
        pen.polygon((186, 204, 226), (x - 9, HORIZON + 1), (x, HORIZON - height), (x + 9, HORIZON + 1))
    pen.ellipse((234, 242, 250), 20, HORIZON + 4, 44, 5)


def flakes(pen: Pen[Rgb], rng: random.Random) -> None:
    """Falling flakes and shallow drifts."""
    for x, y in spots(rng, 6):
        pen.stroke((208, 222, 238), 0.6, (x - 3, y), (x, y - 0.8), (x + 3, y))
    for _ in range(16):
        pen.ellipse((255, 255, 255), rng.uniform(0, SIZE), rng.uniform(0, SIZE), 0.6, 0.6)


def dunes(pen: Pen[Rgb], rng: random.Random) -> None:
    """Dunes on the horizon, dark on their lee side."""
    for x in (rng.uniform(0, 18), rng.uniform(26, 44), rng.uniform(54, 72)):
        width, crest = rng.uniform(12, 18), HORIZON - rng.uniform(2, 4)
        pen.polygon((222, 168, 108), (x - width, HORIZON + 1), (x, crest), (x + width, HORIZON + 1))
        pen.polygon((206, 150, 92), (x, crest), (x + width, HORIZON + 1), (x + 2, HORIZON + 1))


def stones(pen: Pen[Rgb], rng: random.Random) -> None:
    """Stones and ripples of sand."""
    for x, y in spots(rng, 7):
        pen.stroke((214, 164, 106), 0.6, (x - 4, y), (x - 1, y - 0.9), (x + 1, y + 0.4), (x + 4, y - 0.4))
    for x, y in spots(rng, 4):
        pen.ellipse((196, 150, 104), x, y, 1.2, 0.9)


PLACES: dict[str, Place] = {
    "meadow": Place(
        sky=((128, 196, 244), (206, 234, 250)), ground=((146, 204, 112), (168, 220, 124)), skyline=hills, litter=tufts
    ),
    "beach": Place(
        sky=((120, 200, 246), (214, 240, 250)), ground=((238, 218, 172), (246, 230, 188)), skyline=sea, litter=shells
    ),
    "snow": Place(
        sky=((158, 198, 232), (214, 230, 244)), ground=((228, 238, 248), (242, 247, 252)), skyline=peaks, litter=flakes
    ),
    "desert": Place(
        sky=((140, 200, 236), (250, 232, 196)), ground=((226, 176, 116), (234, 190, 132)), skyline=dunes, litter=stones
    ),
}
"""Place -> how it looks."""


def day_sky(pen: Pen[Rgb], rng: random.Random) -> None:
    """A sun and a small cloud."""
    left = rng.random() < 0.5
    pen.ellipse((255, 236, 150), rng.uniform(6, 24) if left else rng.uniform(40, 58), 3.5, 2.4, 2.4)
    x = rng.uniform(38, 58) if left else rng.uniform(6, 26)
    for dx, radius in ((-3.0, 1.3), (0.0, 1.8), (3.0, 1.2)):
        pen.ellipse((255, 255, 255), x + dx, 3.4, 2 * radius, radius)


def night_sky(pen: Pen[Rgb], rng: random.Random) -> None:
    """A crescent moon and stars."""
    x = rng.uniform(6, SIZE - 6)
    for _ in range(9):
        star, row = rng.uniform(1, SIZE - 1), rng.uniform(0.5, HORIZON - 3)
        pen.disc((236, 236, 206), star, row, 1.5 / SAMPLES)
    pen.disc((248, 240, 190), x, 3.2, 2.4)
    pen.disc(mix(*NIGHT_SKY, 0.3), x + 1.4, 3.2, 2.4)


@lru_cache(maxsize=1024)
def background(place: str, night: bool, variant: int) -> UInt8[np.ndarray, "height width 3"]:
    """An empty place by day or by night, 0..255, read-only; `variant` is below VARIANTS. First call: 0.7 ms."""
    look, rng = PLACES[place], random.Random(variant)
    image = Image.new("RGB", (SIZE * SAMPLES, SIZE * SAMPLES))
    shining = Pen[Rgb](image, scale=SAMPLES)  # the sky: night dims only what lies below it
    lit = Pen[Rgb](image, scale=SAMPLES, light=by_night) if night else shining
    fade(shining, *(NIGHT_SKY if night else look.sky), 0, HORIZON)
    (night_sky if night else day_sky)(shining, rng)
    fade(shining, lit.light(look.ground[0]), lit.light(look.ground[1]), HORIZON, SIZE)
    look.skyline(lit, rng)
    look.litter(lit, rng)
    picture = np.array(image.reduce(SAMPLES))
    picture.setflags(write=False)
    return picture
