"""A thing that the picture book has never seen, drawn in its style: the star. Registering it makes scenes with it."""

import random
from math import cos, pi, sin

from blip3o.picturebook.world.captions import noun_phrase
from blip3o.picturebook.world.edits import FILL_ORDER
from blip3o.picturebook.world.palette import Material
from blip3o.picturebook.world.pen import Pen
from blip3o.picturebook.world.scene import ALL_KINDS, CELLS, COLORS, PLACES, Object, Scene, stand
from blip3o.picturebook.world.shapes import SHAPES

NOUN = "star"
SURROUNDINGS = 2**16


def star(pen: Pen[Material]) -> None:
    """Five points, the first upwards, about a pale middle."""
    radii = [52 if index % 2 == 0 else 22 for index in range(10)]
    corners = [
        (50 + radius * sin(index * pi / 5), 52 - radius * cos(index * pi / 5)) for index, radius in enumerate(radii)
    ]
    pen.polygon(Material.MAIN, *corners)
    pen.disc(Material.LIGHT, 50, 50, 9)


SHAPES[NOUN] = star


def scene_with(rng: random.Random, color: str, others: int) -> tuple[Scene, Object]:
    """A scene with one star of a colour and so many things of the book, and the star."""
    cells, kinds = rng.sample(CELLS, others), rng.sample(ALL_KINDS, others)
    things = [stand(rng, kind, rng.choice(COLORS), cell) for kind, cell in zip(kinds, cells, strict=True)]
    free = [cell for cell in FILL_ORDER if cell not in cells]
    noun = stand(rng, NOUN, color, free[0] if others else rng.choice(free))  # where the book puts what is added
    empty = Scene(place=rng.choice(PLACES), night=rng.random() < 0.4, objects=(), detail=rng.randrange(SURROUNDINGS))
    return empty.with_objects((noun, *things)), noun


def edit_to(rng: random.Random, scene: Scene, noun: Object) -> tuple[Scene, str]:
    """A scene that an instruction turns into this one, and the instruction: the star is added where other things stand
    and, where it stands alone, comes in the place of another thing or gets another colour."""
    rest = tuple(thing for thing in scene.objects if thing is not noun)
    if rest:
        return scene.with_objects(rest), f"add {noun_phrase(1, noun.color, NOUN)}"
    if rng.random() < 0.5:
        color = rng.choice([color for color in COLORS if color != noun.color])
        before = Object(kind=NOUN, color=color, x=noun.x, y=noun.y, size=noun.size, flip=noun.flip)
        return scene.with_objects((before,)), f"make the {NOUN} {noun.color}"
    kind = rng.choice(ALL_KINDS)
    before = stand(rng, kind, rng.choice(COLORS), noun.cell)
    return scene.with_objects((before,)), f"replace the {kind} with {noun_phrase(1, noun.color, NOUN)}"
