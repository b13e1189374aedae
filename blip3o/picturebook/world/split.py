"""Which combinations no training scene holds: a fixed tenth of colour x kind pairs and of pairs of kinds.

Questions about what is absent may name them.
"""

from itertools import combinations

from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, Scene

HELD_OUT_COLORS: frozenset[tuple[str, str]] = frozenset(
    (COLORS[(7 * index + 3) % len(COLORS)], kind) for index, kind in enumerate(ALL_KINDS)
)
"""(colour, kind): one colour of every kind."""

HELD_OUT_PAIRS: frozenset[frozenset[str]] = frozenset(
    frozenset((a, b)) for (i, a), (j, b) in combinations(enumerate(ALL_KINDS), 2) if (i + j) % 10 == 4
)
"""Two kinds that never stand in one picture of the training set."""


def is_held_out(scene: Scene) -> bool:
    """Whether the scene shows a combination that belongs to the composition split."""
    looks = {(thing.color, thing.kind) for thing in scene.objects}
    pairs = combinations({thing.kind for thing in scene.objects}, 2)
    return bool(looks & HELD_OUT_COLORS) or any(frozenset(pair) in HELD_OUT_PAIRS for pair in pairs)
