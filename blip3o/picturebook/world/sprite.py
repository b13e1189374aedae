"""An object as paint on pixels: how much of each pixel each material covers, whatever the colour."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from blip3o.picturebook.world.palette import Material
from blip3o.picturebook.world.pen import Length, Pen, Point
from blip3o.picturebook.world.shapes import SHAPES

SAMPLES = 8
"""Sample points per px and axis from which coverage is counted."""
PHASES = 4
"""Sub-pixel positions per axis: an object's centre is rounded to 1 / PHASES px."""
CONTOUR_SAMPLES = 5
"""Width of the contour about an object, in sample points."""
SHADOW_DARKNESS = (0.13, 0.13)
"""Light that the outer and the inner ellipse of a shadow take away, each."""
MARGIN = 3
"""Room in px about an object, for its shadow and its phase."""


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """A drawing of one kind, ready to be coloured and laid over a picture.

    `top`, `left`: where its first pixel lies, counted from the pixel that holds the object's centre.
    `keep`: share of the background that stays; `cover`: share of the pixel that each of `materials` covers.
    `box`: tight box (x0, y0, x1, y1) of the drawing without shadow in px, counted like `top` and `left`.
    """

    top: int
    left: int
    keep: Float[np.ndarray, "height width 1"]
    cover: Float[np.ndarray, "height width used"]
    materials: tuple[int, ...]
    box: tuple[float, float, float, float]


def bounds(mask: Bool[np.ndarray, "height width"]) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of the points that are set; the ends are exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def outlined(materials: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """The drawing with a contour of CONTOUR_SAMPLES points about it; needs that much room at the edges."""
    filled = materials != Material.EMPTY
    grown = filled.copy()
    reach = range(-CONTOUR_SAMPLES, CONTOUR_SAMPLES + 1)
    for dy in reach:
        for dx in reach:
            if dx * dx + dy * dy <= CONTOUR_SAMPLES**2:
                grown |= np.roll(filled, (dy, dx), (0, 1))
    return np.where(grown & ~filled, np.uint8(Material.CONTOUR), materials)


def sketch(kind: str, side: int, scale: Length, shift: Point) -> UInt8[np.ndarray, "height width"]:
    """The material of every point of a sheet of `side` x `side` points on which the kind is drawn."""
    image = Image.new("L", (side, side), Material.EMPTY)
    SHAPES[kind](Pen(image, scale=scale, shift=shift))
    return np.array(image)


@lru_cache(maxsize=256)
def drawing(kind: str, size: int) -> UInt8[np.ndarray, "height width"]:
    """The material of every sample point of a kind whose larger side is `size` px, cut to its tight box."""
    x0, y0, x1, y1 = bounds(sketch(kind, 320, 2, (60, 60)) != Material.EMPTY)
    room = CONTOUR_SAMPLES + 2
    scale = 2 * (size * SAMPLES - 2 * CONTOUR_SAMPLES) / max(x1 - x0, y1 - y0)
    shift = (room - scale * (x0 - 60) / 2, room - scale * (y0 - 60) / 2)
    materials = outlined(sketch(kind, size * SAMPLES + 2 * room, scale, shift))
    x0, y0, x1, y1 = bounds(materials != Material.EMPTY)
    return materials[y0:y1, x0:x1]


def per_pixel(samples: np.ndarray) -> Float[np.ndarray, "height width"]:
    """Means over the sample points of each pixel."""
    height, width = samples.shape[0] // SAMPLES, samples.shape[1] // SAMPLES
    return samples.reshape(height, SAMPLES, width, SAMPLES).mean(axis=(1, 3), dtype=np.float32)


def shadow(side: int, box: tuple[int, int, int, int]) -> Float[np.ndarray, "height width"]:
    """Share of light taken from every pixel by the shadow at the foot of an object with this box of sample points."""
    y, x = np.mgrid[:side, :side] + 0.5
    middle, foot, half = (box[0] + box[2]) / 2, box[3] - 0.4 * SAMPLES, (box[2] - box[0]) / 2
    taken = np.zeros((side, side), dtype=np.float32)
    for darkness, grow in zip(SHADOW_DARKNESS, (1.06, 0.86), strict=True):
        taken += darkness * (((x - middle) / (half * grow)) ** 2 + ((y - foot) / (1.9 * SAMPLES * grow)) ** 2 < 1)
    return per_pixel(taken)


@lru_cache(maxsize=8192)
def sprite(kind: str, flip: bool, size: int, phase_x: int, phase_y: int) -> Sprite:
    """The drawing of a kind, `size` px large, its centre `phase / PHASES` px past the left and upper edge of a pixel.

    The first call for its arguments costs about 2 ms, later ones nothing.
    """
    drawn = drawing(kind, size)[:, ::-1] if flip else drawing(kind, size)
    half = ceil(size / 2) + MARGIN
    side = 2 * half * SAMPLES
    canvas = np.zeros((side, side), dtype=np.uint8)
    left = half * SAMPLES + phase_x * SAMPLES // PHASES - drawn.shape[1] // 2
    top = half * SAMPLES + phase_y * SAMPLES // PHASES - drawn.shape[0] // 2
    box = (left, top, left + drawn.shape[1], top + drawn.shape[0])
    canvas[box[1] : box[3], box[0] : box[2]] = drawn
    used = tuple(int(value) for value in np.unique(canvas) if value != Material.EMPTY)
    cover = np.stack([per_pixel(canvas == value) for value in used], axis=-1)
    keep = (1 - cover.sum(axis=-1)) * (1 - shadow(side, box))
    x0, y0, x1, y1 = bounds(keep < 1)
    return Sprite(
        top=y0 - half,
        left=x0 - half,
        keep=keep[y0:y1, x0:x1, None].copy(),
        cover=cover[y0:y1, x0:x1].copy(),
        materials=used,
        box=(box[0] / SAMPLES - half, box[1] / SAMPLES - half, box[2] / SAMPLES - half, box[3] / SAMPLES - half),
    )
