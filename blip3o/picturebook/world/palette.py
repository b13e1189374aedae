"""What a drawing is painted with: a few materials, most of them shades of the object's own colour."""

from enum import IntEnum
from functools import lru_cache

import numpy as np
from jaxtyping import Float

Rgb = tuple[int, int, int]

COLOR_RGB: dict[str, Rgb] = {
    "red": (218, 32, 38),
    "orange": (248, 134, 18),
    "yellow": (252, 222, 40),
    "green": (34, 150, 62),
    "blue": (36, 92, 222),
    "purple": (128, 52, 178),
    "pink": (252, 140, 192),
    "brown": (126, 72, 34),
    "black": (34, 34, 38),
    "white": (252, 252, 250),
}
"""Colour word -> the flat main colour of an object of that colour, 0..255."""


class Material(IntEnum):
    """What one point of a drawing is made of; EMPTY is the background showing through."""

    EMPTY = 0
    CONTOUR = 1
    MAIN = 2
    LIGHT = 3
    DARK = 4
    INK = 5
    PAPER = 6
    GLASS = 7
    WOOD = 8
    LEAF = 9
    GOLD = 10
    STEEL = 11


EMPTY, CONTOUR, MAIN, LIGHT, DARK, INK, PAPER, GLASS, WOOD, LEAF, GOLD, STEEL = Material
"""The materials under names short enough to draw with."""

ACCENT_RGB: dict[Material, Rgb] = {
    Material.INK: (40, 36, 44),
    Material.PAPER: (250, 248, 240),
    Material.GLASS: (184, 222, 240),
    Material.WOOD: (134, 98, 66),
    Material.LEAF: (64, 132, 58),
    Material.GOLD: (244, 186, 62),
    Material.STEEL: (152, 156, 166),
}
"""The materials that do not depend on the object's colour."""

OWN_SHADES: dict[str, tuple[Rgb, Rgb, Rgb]] = {
    "yellow": ((120, 82, 10), (255, 240, 140), (236, 184, 22)),
    "pink": ((120, 44, 86), (255, 186, 216), (230, 100, 162)),
    "black": ((176, 178, 186), (64, 64, 72), (84, 84, 94)),
    "white": ((88, 92, 108), (255, 255, 255), (206, 210, 220)),
}
"""Colour word -> its contour, LIGHT and DARK where mixing with white or black hides them or changes the hue."""

PAPER_ON_WHITE: Rgb = (196, 204, 220)
"""PAPER on a white object, where it would not show."""

NIGHT_TINT = (0.87, 0.88, 0.95)
"""Factors per channel by which the night dims an object: at most 15 %, so that its colour can still be named."""


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """The colour that is `share` (0..1) of the way from `a` to `b`."""
    red, green, blue = (round(p + (q - p) * share) for p, q in zip(a, b, strict=True))
    return red, green, blue


@lru_cache
def palette(color: str, night: bool) -> Float[np.ndarray, "material 3"]:
    """RGB 0..255 of every material on an object of this colour; EMPTY is zero."""
    main = COLOR_RGB[color]
    mixed = (mix(main, (10, 8, 24), 0.66), mix(main, (255, 255, 255), 0.3), mix(main, (10, 8, 24), 0.24))
    contour, light, dark = OWN_SHADES.get(color, mixed)
    own = {Material.CONTOUR: contour, Material.MAIN: main, Material.LIGHT: light, Material.DARK: dark}
    rgb = {Material.EMPTY: (0, 0, 0)} | ACCENT_RGB | own
    if color == "white":
        rgb[Material.PAPER] = PAPER_ON_WHITE
    table = np.array([rgb[material] for material in Material], dtype=np.float32)
    return table * np.array(NIGHT_TINT, dtype=np.float32) if night else table
