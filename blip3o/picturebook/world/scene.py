"""What stands in a picture of the picture book: the world as plain values, before any drawing or any words."""

import random
from dataclasses import dataclass, replace

SIZE = 72
"""Width and height of a picture in px."""

KINDS: dict[str, tuple[str, ...]] = {
    "animal": ("dog", "cat", "bird", "fish", "rabbit", "turtle"),
    "plant": ("tree", "flower", "mushroom", "cactus"),
    "building": ("house", "castle", "tent"),
    "vehicle": ("car", "boat", "bus", "airplane"),
    "thing": ("ball", "cup", "umbrella", "chair", "book", "balloon", "clock"),
}
"""Group -> the kinds of object in it."""

ALL_KINDS: tuple[str, ...] = tuple(kind for group in KINDS.values() for kind in group)
GROUPS: tuple[str, ...] = tuple(group for group in KINDS if group != "thing")
"""The groups that words name; "thing" is for what is in none of them."""
GROUP_OF: dict[str, str] = {kind: group for group, kinds in KINDS.items() for kind in kinds}
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
"""The ten colours of GenEval, in its order."""
PLACES = ("meadow", "beach", "snow", "desert")

COLUMNS = ROWS = (12.0, 36.0, 60.0)
"""Centres in px of the 3 x 3 cells of 24 px in which objects stand."""
JITTER = 1.5
"""Largest distance in px, per axis, of an object from the centre of its cell."""
SIZES = (19.0, 21.0)
"""Range of an object's larger side in px."""

Cell = tuple[int, int]
"""(row, column), each 0..2."""
CELLS: tuple[Cell, ...] = tuple((row, column) for row in range(3) for column in range(3))
"""All cells, in reading order."""


def nearest_cell(x: float, y: float) -> Cell:
    """The cell whose centre is nearest."""
    row = min(range(len(ROWS)), key=lambda index: abs(ROWS[index] - y))
    return row, min(range(len(COLUMNS)), key=lambda index: abs(COLUMNS[index] - x))


@dataclass(frozen=True, kw_only=True)
class Object:
    """One drawn object. `x`, `y` are its centre and `size` its larger side, in px; `flip` mirrors it left-right."""

    kind: str
    color: str
    x: float
    y: float
    size: float
    flip: bool = False

    @property
    def cell(self) -> Cell:
        """The cell whose centre is nearest."""
        return nearest_cell(self.x, self.y)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A whole picture: where it is, whether it is night, and its objects in reading order.

    `detail` seeds the small things that no caption names (grass, clouds, stars).
    """

    place: str
    night: bool
    objects: tuple[Object, ...]
    detail: int = 0

    def with_objects(self, objects: tuple[Object, ...]) -> "Scene":
        """The same place with other objects, put in reading order."""
        return replace(self, objects=tuple(sorted(objects, key=lambda thing: thing.cell)))


def free_cells(scene: Scene) -> list[Cell]:
    """The cells in which nothing stands."""
    taken = {thing.cell for thing in scene.objects}
    return [cell for cell in CELLS if cell not in taken]


def stand(rng: random.Random, kind: str, color: str, cell: Cell) -> Object:
    """An object of this kind and colour somewhere in the cell."""
    return Object(
        kind=kind,
        color=color,
        x=COLUMNS[cell[1]] + rng.uniform(-JITTER, JITTER),
        y=ROWS[cell[0]] + rng.uniform(-JITTER, JITTER),
        size=rng.uniform(*SIZES),
        flip=rng.random() < 0.5,
    )


def relations(a: Object, b: Object) -> tuple[str, ...]:
    """How `a` stands to `b`: none, one or two of "left of", "right of", "above", "below".

    A relation holds where its axis carries more than half of the distance's length (the rule of GenEval's
    `relative_position`, https://github.com/djghosh13/geneval, without its margin: cells lie further apart).
    """
    dx, dy = a.x - b.x, a.y - b.y
    length = max((dx * dx + dy * dy) ** 0.5, 1e-9)
    named = ((-dx, "left of"), (dx, "right of"), (-dy, "above"), (dy, "below"))
    return tuple(name for distance, name in named if distance / length > 0.5)
