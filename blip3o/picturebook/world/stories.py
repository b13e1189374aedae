"""Random scenes, and stories: a scene and the edits that lead on from it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from blip3o.picturebook.world.captions import PATTERNS
from blip3o.picturebook.world.edits import Edit, sample_edit
from blip3o.picturebook.world.scene import ALL_KINDS, CELLS, COLORS, PLACES, Cell, Scene, stand
from blip3o.picturebook.world.split import is_held_out

_NIGHT = 0.4
_ROWS_OF: dict[int, tuple[Cell, ...]] = {len(cells): cells for cells in PATTERNS}
"""Where a group of this many stands in four of five scenes."""
_BESIDE, _ABOVE = ((1, 0), (1, 2)), ((0, 1), (2, 1))

Look = tuple[str, str]
"""(kind, colour)"""


@dataclass(frozen=True)
class Story:
    """Scenes that follow each other: edits[i] leads from scenes[i] to scenes[i + 1]."""

    scenes: tuple[Scene, ...]
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class SceneTurn:
    """One turn of a conversation in which scenes stand for their pictures. `role` is system, user or assistant."""

    role: str
    content: tuple[str | Scene, ...]


def _looks(rng: random.Random, count: int) -> list[Look]:
    return [(kind, rng.choice(COLORS)) for kind in rng.sample(ALL_KINDS, count)]


def _arrangement(rng: random.Random) -> tuple[list[Look], Sequence[Cell]]:
    """What stands in a scene, and where: one object, two, a group of one look, or three or four."""
    roll = rng.random()
    if roll < 0.30:
        cell = (1, 1) if rng.random() < 0.7 else rng.choice(CELLS)
        return [(rng.choice(ALL_KINDS), rng.choice(COLORS))], [cell]
    if roll < 0.65:
        order = rng.random()
        cells = _BESIDE if order < 0.35 else _ABOVE if order < 0.7 else rng.sample(CELLS, 2)
        return _looks(rng, 2), cells
    if roll < 0.85:
        count = rng.randint(2, 4)
        cells = _ROWS_OF[count] if rng.random() < 0.8 else rng.sample(CELLS, count)
        return _looks(rng, 1) * count, cells
    count = rng.randint(3, 4)
    looks = _looks(rng, count)
    if rng.random() < 0.4:
        looks[1] = looks[0]
    return looks, rng.sample(CELLS, count)


def sample_scene(rng: random.Random) -> Scene:
    """A random scene of one to four objects, never one of the composition split."""
    while True:
        looks, cells = _arrangement(rng)
        empty = Scene(place=rng.choice(PLACES), night=rng.random() < _NIGHT, objects=(), detail=rng.randrange(2**16))
        things = [stand(rng, kind, color, cell) for (kind, color), cell in zip(looks, cells, strict=True)]
        scene = empty.with_objects(tuple(things))
        if not is_held_out(scene):
            return scene


def sample_story(rng: random.Random, length: int = 3) -> Story:
    """`length` scenes of the training set, each an edit of the one before."""
    scenes = [sample_scene(rng)]
    edits: list[Edit] = []
    while len(scenes) < length:
        edits.append(sample_edit(rng, scenes[-1]))
        scenes.append(edits[-1].after)
    return Story(tuple(scenes), tuple(edits))
