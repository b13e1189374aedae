"""The detector's training data: random scenes of every combination, a little spoiled, and the target of every map."""

import io
import random
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from blip3o.picturebook.detector.network import CELL, GRID
from blip3o.picturebook.world.draw import draw, object_box
from blip3o.picturebook.world.scene import ALL_KINDS, CELLS, COLORS, PLACES, Object, Scene, stand
from blip3o.processing.conversation import Picture
from blip3o.processing.images import stacked, to_pixels

MAX_OBJECTS = 6
STRAY = 4.0
"""Largest distance in px, per axis, by which a spoiled scene's objects leave their places."""
REACH = 1.5
"""Cells about an object's centre, per axis, that learn its colour and box."""


def any_scene(rng: random.Random, *, most: int = MAX_OBJECTS) -> Scene:
    """A scene of 0 to `most` objects; every kind, colour, cell and combination may occur, held out or not.

    Three in ten scenes repeat one kind, and as many one colour.
    """
    cells = rng.sample(CELLS, min(most, rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6))))
    kinds = [rng.choice(ALL_KINDS) for _ in cells]
    if rng.random() < 0.3:
        kinds = kinds[:1] * len(kinds)
    one_color = rng.choice(COLORS) if rng.random() < 0.3 else None
    bare = Scene(place=rng.choice(PLACES), night=rng.random() < 0.5, objects=(), detail=rng.randrange(2**16))
    things = (stand(rng, kind, one_color or rng.choice(COLORS), cell) for kind, cell in zip(kinds, cells, strict=True))
    return bare.with_objects(tuple(things))


def astray(rng: random.Random, scene: Scene) -> Scene:
    """The scene with its objects off their places and a little larger or smaller; they may overlap."""
    moved: list[Object] = []
    for thing in scene.objects:
        x, y = thing.x + rng.uniform(-STRAY, STRAY), thing.y + rng.uniform(-STRAY, STRAY)
        moved.append(replace(thing, x=x, y=y, size=thing.size * rng.uniform(0.9, 1.1)))
    return replace(scene, objects=tuple(moved))


class Targets:
    """What the maps of a batch of scenes should say; axes and units as in `Maps`.

    `near`: the cells that learn colour and box, of the nearest object where there are two. `heat` is -1 in the cells
    next to an object's, where either will do.
    """

    def __init__(self, scenes: list[Scene]) -> None:
        shape = (len(scenes), GRID, GRID)
        self.heat = torch.zeros(len(scenes), len(ALL_KINDS), GRID, GRID)
        self.color = torch.zeros(shape, dtype=torch.long)
        self.box = torch.zeros(len(scenes), 4, GRID, GRID)
        self.place = torch.tensor([PLACES.index(scene.place) for scene in scenes])
        self.night = torch.tensor([int(scene.night) for scene in scenes])
        self._distance = torch.full(shape, torch.inf)
        for index, scene in enumerate(scenes):
            for thing in scene.objects:
                self._add(index, thing)
        self.near = self._distance.isfinite()

    def _add(self, index: int, thing: Object) -> None:
        x0, y0, x1, y1 = (edge / CELL for edge in object_box(thing))
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        right, down = (x - torch.arange(GRID)).expand(GRID, -1), (y - torch.arange(GRID))[:, None].expand(-1, GRID)
        distance = torch.maximum((right - 0.5).abs(), (down - 0.5).abs())
        around = distance <= REACH
        heat = self.heat[index, ALL_KINDS.index(thing.kind)]
        heat[around & (heat != 1)] = -1
        heat[min(max(int(y), 0), GRID - 1), min(max(int(x), 0), GRID - 1)] = 1
        nearer = around & (distance < self._distance[index])
        self._distance[index][nearer] = distance[nearer]
        self.color[index][nearer] = COLORS.index(thing.color)
        sizes = torch.tensor([x1 - x0, y1 - y0])[:, None, None].expand(-1, GRID, GRID)
        self.box[index] = torch.where(nearer, torch.cat([right[None], down[None], sizes]), self.box[index])


def jpeg(picture: UInt8[np.ndarray, "height width 3"], quality: int) -> UInt8[np.ndarray, "height width 3"]:
    """The picture after JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def _uniform(low: float, high: float, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=rng)


def _half(batch: int, rng: torch.Generator) -> Bool[Tensor, "batch 1 1 1"]:
    return torch.rand(batch, 1, 1, 1, generator=rng) < 0.5


def blurred(
    pixels: Float[Tensor, "batch 3 height width"], sigma: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 3 height width"]:
    """Each picture under its own Gaussian of `sigma` px, cut off at 3 px."""
    taps = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / (2 * sigma[:, None] ** 2))
    taps = (taps / taps.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)
    batch = pixels.shape[0]
    rows = F.pad(pixels, (3, 3, 3, 3), mode="replicate").flatten(0, 1)[None]
    rows = F.conv2d(rows, taps[:, None, :, None], groups=batch * 3)
    return F.conv2d(rows, taps[:, None, None, :], groups=batch * 3).reshape(pixels.shape)


def spoiled(
    pixels: Float[Tensor, "batch 3 height width"], rng: torch.Generator
) -> Float[Tensor, "batch 3 height width"]:
    """Slight blur, contrast, tint and noise, each on a part of the pictures; the first fifth stays clean."""
    batch = pixels.shape[0]
    changed = torch.where(_half(batch, rng), blurred(pixels, _uniform(0.25, 0.9, (batch,), rng)), pixels)
    gain, shift = _uniform(0.92, 1.08, (batch, 1, 1, 1), rng), _uniform(-0.06, 0.06, (batch, 3, 1, 1), rng)
    changed = torch.where(_half(batch, rng), changed * gain + shift, changed)
    noise = torch.randn(pixels.shape, generator=rng) * _uniform(0.0, 0.07, (batch, 1, 1, 1), rng)
    changed = torch.where(_half(batch, rng), changed + noise, changed).clamp(-1, 1)
    return torch.cat([pixels[: batch // 5], changed[batch // 5 :]])


def training_batch(rng: random.Random, batch: int) -> tuple[Float[Tensor, "batch 3 height width"], Targets]:
    """Spoiled pictures in [-1, 1] and their targets."""
    scenes = [any_scene(rng) for _ in range(batch)]
    scenes = [scene if rng.random() < 0.6 else astray(rng, scene) for scene in scenes]
    pictures = [draw(scene) for scene in scenes]
    pictures = [jpeg(picture, rng.randint(60, 95)) if rng.random() < 0.1 else picture for picture in pictures]
    noise = torch.Generator().manual_seed(rng.randrange(2**31))
    return spoiled(to_pixels(stacked([Picture(picture) for picture in pictures])), noise), Targets(scenes)
