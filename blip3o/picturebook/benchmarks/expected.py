"""What a picture must show after an instruction, given where things stood in the picture before it."""

import re
from collections.abc import Sequence

from blip3o.picturebook.detector.matching import Want
from blip3o.picturebook.world.captions import OPPOSITES
from blip3o.picturebook.world.edits import DIRECTIONS
from blip3o.picturebook.world.scene import Object, Scene

Position = tuple[float, float]

_VERBS = re.compile(r"\b(is|are|stands?) (in|at|on|side by side)\b")


def after_edit(instruction: str, before: Scene, after: Scene, stood: Sequence[Position]) -> list[Want]:
    """One want for each object of `after`, in its order; `stood` tells where each object of `before` really stands.

    What is kept, recoloured or replaced stays at its place; what is moved goes to its cell; what is added stands as the
    instruction says, or anywhere.
    """
    places = {(thing.x, thing.y): position for thing, position in zip(before.objects, stood, strict=True)}
    looks = {(thing.kind, thing.color) for thing in before.objects if thing not in after.objects}
    wants = []
    for thing in after.objects:
        if (thing.x, thing.y) in places:
            wants.append(Want(kind=thing.kind, color=thing.color, at=places[thing.x, thing.y]))
        elif (thing.kind, thing.color) in looks:
            wants.append(Want(kind=thing.kind, color=thing.color, cell=thing.cell))
        else:
            wants.append(Want(kind=thing.kind, color=thing.color, relation=_beside(instruction, after.objects)))
    return wants


def _beside(instruction: str, things: Sequence[Object]) -> tuple[str, int] | None:
    """The relation and the object that an insertion names: "to the left of the red dog"."""
    named = re.search(rf" ({'|'.join(DIRECTIONS)}) the (?:(\w+) )?(\w+)\W*$", instruction)
    if named is None:
        return None
    side, color, kind = named.groups()
    target = next(i for i, thing in enumerate(things) if thing.kind == kind and color in (None, thing.color))
    return side.removeprefix("to the "), target


def of_prompt(prompt: str, scene: Scene) -> list[Want]:
    """One want for each object of a scene told in words; the words settle cells, a relation, or no position."""
    placed = _VERBS.search(prompt) is not None
    related = re.search(rf"(\w+) ({'|'.join(OPPOSITES)}) an? \w+ (\w+)", prompt)
    wants = []
    for thing in scene.objects:
        relation = None
        if related and thing.kind == related[1]:
            relation = related[2], next(i for i, other in enumerate(scene.objects) if other.kind == related[3])
        cell = thing.cell if placed else None
        wants.append(Want(kind=thing.kind, color=thing.color, cell=cell, relation=relation))
    return wants
