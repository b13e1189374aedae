"""The words of a vocabulary by what they stand for in the picture book."""

from collections.abc import Iterable

from blip3o.picturebook.world import captions, edits, riddles
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, GROUPS, PLACES

_WHERE = (*captions.CELL_NAMES.values(), *captions.PATTERNS.values(), *captions.OPPOSITES, *edits.DIRECTIONS, "beside")
_DEEDS = (edits.INSERTS, edits.REMOVES, edits.REPLACES, edits.RECOLORS, edits.MOVES, riddles.VERBS, captions.DESCRIBE)
_GRAMMAR = {"a", "by", "in", "of", "the", "to", "what"}
MEMBERS: dict[str, set[str]] = {
    "objects": {name for kind in (*ALL_KINDS, *GROUPS, "object") for name in (kind, captions.plural(kind))},
    "colors": {*COLORS},
    "numbers": {*captions.COUNTS},
    "places": {*PLACES},
    "times": {"day", "night", "summer", "winter"},
    "positions": {word for phrase in _WHERE for word in phrase.split()} - _GRAMMAR,
    "deeds": {text.split()[0] for texts in _DEEDS for text in texts} - _GRAMMAR,
}
"""Group -> its words; what is in none of them is among the `others`."""


def grouped(words: Iterable[str]) -> dict[str, list[str]]:
    """The words in these groups, each word once, in their own order; groups that stay empty are left out."""
    found: dict[str, list[str]] = {name: [] for name in (*MEMBERS, "others")}
    for word in words:
        found[next((name for name, members in MEMBERS.items() if word in members), "others")].append(word)
    return {name: members for name, members in found.items() if members}
