"""Changes of a scene and the instructions that ask for them."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from blip3o.picturebook.world.captions import CELL_NAMES, noun_phrase
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, PLACES, Cell, Object, Scene, free_cells, stand
from blip3o.picturebook.world.split import is_held_out

MAX_OBJECTS = 4
FILL_ORDER: tuple[Cell, ...] = ((1, 1), (1, 0), (1, 2), (0, 1), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2))
"""Where something goes that is added without a position: into the first free one of these cells."""
DIRECTIONS: dict[str, Cell] = {"to the left of": (0, -1), "to the right of": (0, 1), "above": (-1, 0), "below": (1, 0)}

INSERTS = ("add {new}", "add {new}", "put {new} in the picture", "add {new} to the picture")
INSERTS_BESIDE = ("add {new} {side} {old}", "put {new} {side} {old}")
REMOVES = ("remove {old}", "take {old} away", "take away {old}", "delete {old}")
REPLACES = ("replace {old} with {new}", "turn {old} into {new}", "change {old} into {new}")
RECOLORS = ("make {old} {color}", "paint {old} {color}", "color {old} {color}", "turn {old} {color}")
MOVES = ("move {old} to the {cell}", "put {old} at the {cell}")
_PLACE_CHANGES = ("move it to {place}", "change the place to {place}", "make the place {place}")
_SETTING_CHANGES = ("make it {}", "turn it into {}")
_SETTING_NAMES = {
    "snow": "a winter {}",
    "meadow": "a summer {}",
    "beach": "a {} on a beach",
    "desert": "a {} in the desert",
}
PLACE_NAMES = {"meadow": "a meadow", "beach": "a beach", "snow": "the snow", "desert": "the desert"}
SETTINGS: dict[tuple[str | None, bool | None], tuple[str, ...]] = {
    (None, True): ("make it night", "turn day into night", "change day to night"),
    (None, False): ("make it day", "turn night into day", "change night to day"),
    **{(place, None): tuple(t.format(place=name) for t in _PLACE_CHANGES) for place, name in PLACE_NAMES.items()},
    **{
        (place, night): tuple(t.format(words.format("night" if night else "day")) for t in _SETTING_CHANGES)
        for place, words in _SETTING_NAMES.items()
        for night in (True, False)
    },
}
"""(place or None, night or None) -> instructions that change it so; None leaves it as it was."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """An instruction and the scene on either side of it. What it does not name is the same in both, to the pixel."""

    kind: str
    instruction: str
    before: Scene
    after: Scene


_Change = tuple[str, Scene]
"""An instruction and the scene after it."""
_Way = Callable[[random.Random, Scene], _Change | None]


def _named(rng: random.Random, scene: Scene) -> tuple[Object, str] | None:
    """An object and words that mean it alone; None where every object is one of a group."""
    kinds = Counter(thing.kind for thing in scene.objects)
    looks = Counter((thing.color, thing.kind) for thing in scene.objects)
    alone = [thing for thing in scene.objects if looks[thing.color, thing.kind] == 1]
    if not alone:
        return None
    thing = rng.choice(alone)
    by_kind = kinds[thing.kind] == 1 and rng.random() < 0.8
    return thing, f"the {thing.kind}" if by_kind else f"the {thing.color} {thing.kind}"


def _changed(scene: Scene, old: Object, new: Object) -> Scene:
    return scene.with_objects(tuple(new if thing is old else thing for thing in scene.objects))


def _new_look(rng: random.Random, scene: Scene) -> tuple[str, str]:
    """A kind that the scene has not got, and a colour."""
    present = {thing.kind for thing in scene.objects}
    return rng.choice([kind for kind in ALL_KINDS if kind not in present]), rng.choice(COLORS)


def _next_free(scene: Scene, start: Cell, step: Cell) -> Cell | None:
    free = free_cells(scene)
    row, column = start
    while (cell := (row + step[0], column + step[1])) in CELL_NAMES:
        if cell in free:
            return cell
        row, column = cell
    return None


def _insert(rng: random.Random, scene: Scene) -> _Change | None:
    if len(scene.objects) >= MAX_OBJECTS:
        return None
    kind, color = _new_look(rng, scene)
    words = noun_phrase(1, color, kind)
    named = _named(rng, scene) if rng.random() < 0.5 else None
    if named:
        side = rng.choice(tuple(DIRECTIONS))
        cell = _next_free(scene, named[0].cell, DIRECTIONS[side])
        if cell is None:
            return None
        instruction = rng.choice(INSERTS_BESIDE).format(new=words, side=side, old=named[1])
    else:
        free = free_cells(scene)
        cell = next(cell for cell in FILL_ORDER if cell in free)
        instruction = rng.choice(INSERTS).format(new=words)
    return instruction, scene.with_objects((*scene.objects, stand(rng, kind, color, cell)))


def _of_named(change: Callable[[random.Random, Scene, Object, str], _Change | None]) -> _Way:
    """The change of an object that words can mean alone; they are its last argument."""

    def changed(rng: random.Random, scene: Scene) -> _Change | None:
        named = _named(rng, scene)
        return None if named is None else change(rng, scene, *named)

    return changed


def _remove(rng: random.Random, scene: Scene, thing: Object, words: str) -> _Change | None:
    if len(scene.objects) == 1:
        return None
    rest = tuple(other for other in scene.objects if other is not thing)
    return rng.choice(REMOVES).format(old=words), scene.with_objects(rest)


def _replace(rng: random.Random, scene: Scene, thing: Object, words: str) -> _Change:
    kind, color = _new_look(rng, scene)
    instruction = rng.choice(REPLACES).format(old=words, new=noun_phrase(1, color, kind))
    return instruction, _changed(scene, thing, replace(thing, kind=kind, color=color))


def _recolor(rng: random.Random, scene: Scene, thing: Object, words: str) -> _Change:
    color = rng.choice([color for color in COLORS if color != thing.color])
    return rng.choice(RECOLORS).format(old=words, color=color), _changed(scene, thing, replace(thing, color=color))


def _move(rng: random.Random, scene: Scene, thing: Object, words: str) -> _Change:
    cell = rng.choice(free_cells(scene))
    target = stand(rng, thing.kind, thing.color, cell)
    instruction = rng.choice(MOVES).format(old=words, cell=CELL_NAMES[cell])
    return instruction, _changed(scene, thing, replace(thing, x=target.x, y=target.y))


def _place(rng: random.Random, scene: Scene) -> _Change:
    roll = rng.random()
    place: str | None = rng.choice([place for place in PLACES if place != scene.place])
    night: bool | None = None
    if roll < 0.35:
        place, night = None, not scene.night
    elif roll >= 0.65:
        night = rng.random() < 0.5
    after = replace(scene, place=place or scene.place, night=scene.night if night is None else night)
    return rng.choice(SETTINGS[place, night]), after


EDITS: dict[str, _Way] = {
    "insert": _insert,
    "remove": _of_named(_remove),
    "replace": _of_named(_replace),
    "recolor": _of_named(_recolor),
    "move": _of_named(_move),
    "place": _place,
}
"""Kind -> a random edit of it; None where this draw led to nothing (the next may)."""
_WEIGHTS = (1.3, 1.6, 1.0, 1.0, 1.0, 0.5)
"""How often each kind is tried: more often the ones that often lead to nothing."""
_TRIES = 200


def sample_edit(rng: random.Random, scene: Scene, kind: str | None = None) -> Edit:
    """A random edit of the scene, of any kind or of the given one, that at most four objects outlive.

    The scene after it is never of the composition split. ValueError where no such edit was found: a group of four can
    only change its place.
    """
    for _ in range(_TRIES):
        tried = kind or rng.choices(tuple(EDITS), _WEIGHTS)[0]
        change = EDITS[tried](rng, scene)
        if change and not is_held_out(change[1]):
            return Edit(kind=tried, instruction=change[0], before=scene, after=change[1])
    raise ValueError(f"no {kind or 'edit'} fits the scene of {len(scene.objects)} objects")
