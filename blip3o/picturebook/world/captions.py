"""Scenes told in words, and captions read back into what they claim."""

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from blip3o.picturebook.world.scene import ALL_KINDS, CELLS, COLORS, COLUMNS, ROWS, Cell, Object, Scene, relations

COUNTS = ("zero", "one", "two", "three", "four")
_IRREGULAR = {"fish": "fish", "bus": "buses", "cactus": "cacti"}
PLACE_PHRASES = {"meadow": "in a meadow", "beach": "on a beach", "snow": "in the snow", "desert": "in the desert"}
_NAMES = ("top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right")
CELL_NAMES: dict[Cell, str] = dict(zip(CELLS, _NAMES, strict=True))
CELL_PHRASES: dict[Cell, str] = {
    cell: f"{'in' if name == 'middle' else 'on' if cell[0] == 1 else 'at'} the {name}"
    for cell, name in CELL_NAMES.items()
}
PATTERNS: dict[tuple[Cell, ...], str] = {
    ((1, 0), (1, 2)): "side by side",
    ((1, 0), (1, 1), (1, 2)): "in a row",
    ((0, 0), (0, 2), (2, 0), (2, 2)): "in the corners",
}
"""The cells, in reading order, that a group has a name for."""
DESCRIBE = ("describe this picture.", "what do you see?", "give a caption.")
DESCRIBE_LONG = ("describe this picture in detail.", "what do you see, in detail?", "give a long caption.")
OPPOSITES = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def with_article(words: str) -> str:
    """The words after "a" or "an"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def plural(kind: str) -> str:
    """The kind's name for none, or two and more."""
    return _IRREGULAR.get(kind, f"{kind}s")


def noun_phrase(count: int, color: str | None, kind: str) -> str:
    """ "a red dog", "three red dogs"; without a colour "a dog", "three dogs"."""
    tint = f"{color} " if color else ""
    return with_article(tint + kind) if count == 1 else f"{COUNTS[count]} {tint}{plural(kind)}"


def listed(parts: list[str]) -> str:
    """ "x", "x and y", "x, y and z"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def time_phrase(scene: Scene) -> str:
    """ "at night" or "by day"."""
    return "at night" if scene.night else "by day"


def scenery(scene: Scene) -> str:
    """ "on a beach at night"."""
    return f"{PLACE_PHRASES[scene.place]} {time_phrase(scene)}"


def groups(scene: Scene, *, colored: bool = True) -> dict[tuple[str | None, str], list[Object]]:
    """The objects that one noun phrase names, by (colour, kind), in reading order of each group's first object.

    Without `colored` the colour of every key is None, and objects of one kind fall together.
    """
    members: dict[tuple[str | None, str], list[Object]] = {}
    for thing in scene.objects:
        members.setdefault((thing.color if colored else None, thing.kind), []).append(thing)
    return members


def phrases(scene: Scene, *, colored: bool = True) -> list[str]:
    """One noun phrase for every group of the scene, in the order of `groups`."""
    return [noun_phrase(len(members), *look) for look, members in groups(scene, colored=colored).items()]


def clear_relations(a: Object, b: Object) -> tuple[str, ...]:
    """How `a` stands to `b`, where both the objects and the centres of their cells agree."""
    centred_a, centred_b = (replace(x, x=COLUMNS[x.cell[1]], y=ROWS[x.cell[0]]) for x in (a, b))
    return tuple(name for name in relations(centred_a, centred_b) if name in relations(a, b))


def related(scene: Scene, rng: random.Random, *, colored: bool = True) -> tuple[str, str, str] | None:
    """(noun phrase, relation, noun phrase) that holds, for a scene of two kinds, one of each; else None.

    Either object may come first.
    """
    if len(scene.objects) != 2 or scene.objects[0].kind == scene.objects[1].kind:
        return None
    a, b = scene.objects if rng.random() < 0.5 else scene.objects[::-1]
    name_a, name_b = (noun_phrase(1, thing.color if colored else None, thing.kind) for thing in (a, b))
    return name_a, rng.choice(clear_relations(a, b)), name_b


def caption(scene: Scene) -> str:
    """The one short caption that the model is asked for: "a red dog and two blue cars on a beach at night"."""
    return f"{listed(phrases(scene))} {scenery(scene)}"


def short_caption(scene: Scene, rng: random.Random) -> str:
    """Like `caption`; of two different objects half of the time with their relation."""
    relation = related(scene, rng) if rng.random() < 0.5 else None
    return f"{' '.join(relation)} {scenery(scene)}" if relation else caption(scene)


def where(members: list[Object]) -> str:
    """The cells of a group in words: "in the middle", "side by side", "at the top and on the left"."""
    cells = tuple(sorted(thing.cell for thing in members))
    return PATTERNS.get(cells) or listed([CELL_PHRASES[cell] for cell in cells])


def _sentences(scene: Scene, verbs: tuple[str, str]) -> list[str]:
    """One for each group, with the verb for one thing or for several."""
    members = groups(scene).values()
    return [f"{phrase} {verbs[len(m) > 1]} {where(m)}." for phrase, m in zip(phrases(scene), members, strict=True)]


def _setting(scene: Scene) -> str:
    return f"it is {'night' if scene.night else 'day'} {PLACE_PHRASES[scene.place]}."


def detailed_caption(scene: Scene) -> str:
    """The one long caption that the model is asked for: where each group stands, then time and place."""
    return " ".join([*_sentences(scene, ("is", "are")), _setting(scene)])


def long_caption(scene: Scene, rng: random.Random) -> str:
    """The content of `detailed_caption` in varying words and order."""
    sentences = _sentences(scene, rng.choice((("is", "are"), ("stands", "stand"))))
    return " ".join([_setting(scene), *sentences] if rng.random() < 0.3 else [*sentences, _setting(scene)])


def retold(scene: Scene) -> str:
    """The content of `caption`, no more, in sentences: "there is a red dog. it is night on a beach."."""
    members = groups(scene).values()
    verbs = ["is" if len(m) == 1 else "are" for m in members]
    sentences = [f"there {verb} {phrase}." for verb, phrase in zip(verbs, phrases(scene), strict=True)]
    return " ".join([*sentences, _setting(scene)])


@dataclass(frozen=True)
class Content:
    """What a complete caption claims, whatever its words: (count, colour, kind) of each group, place, night."""

    objects: frozenset[tuple[int, str, str]]
    place: str
    night: bool


def _content(counts: Mapping[tuple[str, str], int], place: str, night: bool) -> Content:
    return Content(frozenset((count, *look) for look, count in counts.items()), place, night)


def content_of(scene: Scene) -> Content:
    """What a complete caption of the scene has to claim."""
    return _content(Counter((thing.color, thing.kind) for thing in scene.objects), scene.place, scene.night)


_CLAIMS: dict[str, tuple[int, str, str]] = {
    noun_phrase(count, color, kind): (count, color, kind)
    for count in range(1, len(COUNTS))
    for color in COLORS
    for kind in ALL_KINDS
}
"""Every noun phrase with a colour -> (count, colour, kind)."""
# The patterns know the order of words only; whether article, number and noun agree is looked up in _CLAIMS.
_NOUNS = "|".join(sorted({*ALL_KINDS, *map(plural, ALL_KINDS)}, key=len, reverse=True))
_NP = rf"(?:an?|two|three|four) (?:{'|'.join(COLORS)}) (?:{_NOUNS})"
_PLACE = "|".join(PLACE_PHRASES.values())
_CELL = "|".join(sorted(CELL_PHRASES.values(), key=len, reverse=True))
_WHERE = rf"(?:{'|'.join(PATTERNS.values())}|(?:{_CELL})(?:(?:, | and )(?:{_CELL}))*)"
_SETTING = rf"it is (?:night|day) (?:{_PLACE})\."
_SENTENCE = rf"(?:{_NP} (?:is|are|stands|stand) {_WHERE}\.|there (?:is|are) {_NP}\.)"
_SHORT = re.compile(rf"{_NP}(?:(?:, | and | (?:{'|'.join(OPPOSITES)}) ){_NP})* (?:{_PLACE}) (?:at night|by day)\.?")
_LONG = re.compile(rf"(?:{_SETTING} {_SENTENCE}(?: {_SENTENCE})*|{_SENTENCE}(?: {_SENTENCE})* {_SETTING})")
_CLAIM = re.compile(rf"\b{_NP}\b")


def parse_caption(text: str) -> Content | None:
    """What a short or long caption claims; None where the text is no complete caption of this language.

    Letter case, line ends and spaces before punctuation do not matter.
    """
    text = re.sub(r" ([.,])", r"\1", " ".join(text.lower().split()))
    claims = [_CLAIMS.get(phrase) for phrase in _CLAIM.findall(text)]
    if None in claims or not (_SHORT.fullmatch(text) or _LONG.fullmatch(text)):
        return None
    counts: Counter[tuple[str, str]] = Counter()
    for count, color, kind in filter(None, claims):
        counts[color, kind] += count
    place = next(place for place, phrase in PLACE_PHRASES.items() if phrase in text)
    return _content(counts, place, re.search(r"\bnight\b", text) is not None)
