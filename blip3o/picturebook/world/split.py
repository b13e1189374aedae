"""Which combinations no training scene holds: a fixed tenth of colour x kind pairs and of pairs of kinds.

Questions about what is absent may name them.
"""

from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, Scene

HELD_OUT_COLORS: frozenset[tuple[str, str]] = frozenset(
    (COLORS[(7 * index + 3) % len(COLORS)], kind) for index, kind in enumerate(ALL_KINDS)
)
"""(colour, kind): one colour of every kind."""

HELD_OUT_PAIRS: frozenset[frozenset[str]] = frozenset(
    frozenset((a, b)) for i, a in enumerate(ALL_KINDS) for j, b in enumerate(ALL_KINDS) if i < j and (i + j) % 10 == 4
)
"""Two kinds that never stand in one picture of the training set."""


def is_held_out(scene: Scene) -> bool:
    """Whether the scene shows a combination that belongs to the composition split."""
    if any((thing.color, thing.kind) in HELD_OUT_COLORS for thing in scene.objects):
        return True
    kinds = sorted({thing.kind for thing in scene.objects})
    return any(frozenset((a, b)) in HELD_OUT_PAIRS for i, a in enumerate(kinds) for b in kinds[i + 1 :])
