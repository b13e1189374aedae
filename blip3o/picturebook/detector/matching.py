"""Whether what the judge sees is what was wanted: every object, no other, each where it should be."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, repeat

from blip3o.evals.generation.geneval import relative_position
from blip3o.picturebook.detector.scene_detector import SceneObject, Sight
from blip3o.picturebook.world.scene import Cell, Scene, nearest_cell

TOLERANCE = 4.0
"""Largest distance in px, per axis, of an object's centre from where it should be."""


@dataclass(frozen=True, kw_only=True)
class Want:
    """An object that should be seen. What is None is free.

    `at`: its centre in px; `cell`: the cell it should stand in; `relation`: ("left of", the index of another want).
    """

    kind: str
    color: str | None
    at: tuple[float, float] | None = None
    cell: Cell | None = None
    relation: tuple[str, int] | None = None

    def admits(self, thing: SceneObject) -> bool:
        """Whether the object is of this kind and colour and in its place; relations aside."""
        x, y = thing.center
        if thing.kind != self.kind or self.color not in (None, thing.color):
            return False
        if self.at is not None and max(abs(x - self.at[0]), abs(y - self.at[1])) > TOLERANCE:
            return False
        return self.cell is None or nearest_cell(x, y) == self.cell


def match(wants: Sequence[Want], seen: Sequence[SceneObject]) -> tuple[SceneObject, ...] | None:
    """The objects that fulfil the wants, in the wants' order, using up all that is seen; None where that cannot be."""
    if len(wants) != len(seen):
        return None
    fitting = (order for order in permutations(seen) if all(map(Want.admits, wants, order)))
    return next((order for order in fitting if all(map(_related, wants, order, repeat(order)))), None)


def _related(want: Want, thing: SceneObject, order: Sequence[SceneObject]) -> bool:
    return want.relation is None or want.relation[0] in relative_position(thing.box, order[want.relation[1]].box)


def differences(sight: Sight, scene: Scene) -> list[str]:
    """Which of place and time are not the scene's."""
    return [name for name in ("place", "night") if getattr(sight, name) != getattr(scene, name)]


def shows(sight: Sight, scene: Scene) -> bool:
    """Whether every object of the scene is seen in its colour and place and no other, and place and time are right."""
    wants = [Want(kind=thing.kind, color=thing.color, at=(thing.x, thing.y)) for thing in scene.objects]
    return match(wants, sight.clear()) is not None and not differences(sight, scene)
