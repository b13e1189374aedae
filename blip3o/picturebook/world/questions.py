"""Questions about a scene, each with the one right answer, balanced so that guessing gains little."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from blip3o.picturebook.world.captions import (
    CELL_NAMES,
    CELL_PHRASES,
    COUNTS,
    OPPOSITES,
    clear_relations,
    groups,
    plural,
    with_article,
)
from blip3o.picturebook.world.edits import PLACE_NAMES
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, GROUP_OF, GROUPS, KINDS, Object, Scene

LETTERS = ("a", "b", "c", "d")
COUNT_TEXTS = ("how many {what} are there?", "how many {what} are in the picture?", "how many {what} do you see?")
EXISTENCE_TEXTS = ("is there {what}?", "is there {what} in the picture?", "do you see {what}?")
COLOR_TEXTS = ("what color is the {what}?", "which color is the {what}?", "what is the color of the {what}?")
COLOR_TEXTS_PLURAL = ("what color are the {what}?", "which color are the {what}?", "what is the color of the {what}?")
WHERE_TEXTS = ("where is the {what}?", "where in the picture is the {what}?")
PLACE_TEXTS = ("where is this?", "what place is this?")
TIME_TEXTS = ("is it day or night?", "is this by day or at night?")
CLASSIFICATION_TEXTS = ("what is this?", "which object is this?", "name the object.", "what is the object?")


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and its answer. `choices` are the words behind the letters of a multiple choice, else empty."""

    kind: str
    text: str
    answer: str
    choices: tuple[str, ...] = ()


def yes(claim: bool) -> str:
    """The answer to a question that claims something."""
    return "yes" if claim else "no"


def count_kinds(scene: Scene) -> Counter[str]:
    """How many objects there are of each kind."""
    return Counter(thing.kind for thing in scene.objects)


def unique(scene: Scene) -> list[Object]:
    """The objects that are the only one of their kind."""
    counted = count_kinds(scene)
    return [thing for thing in scene.objects if counted[thing.kind] == 1]


def absent_kind(rng: random.Random, scene: Scene) -> str:
    """A kind that is not in the scene, half of the time of the same group as one that is."""
    present = count_kinds(scene)
    near = KINDS[GROUP_OF[rng.choice(scene.objects).kind]] if rng.random() < 0.5 else ALL_KINDS
    return rng.choice([kind for kind in near if kind not in present] or [k for k in ALL_KINDS if k not in present])


def absent_look(rng: random.Random, scene: Scene) -> tuple[str, str]:
    """(colour, kind) that is not in the scene, though its kind or its colour is."""
    thing = rng.choice(scene.objects)
    if rng.random() < 0.5:
        return thing.color, absent_kind(rng, scene)
    seen = {other.color for other in scene.objects if other.kind == thing.kind}
    return rng.choice([color for color in COLORS if color not in seen]), thing.kind


def _count(rng: random.Random, scene: Scene) -> Question:
    roll = rng.random()
    thing = rng.choice(scene.objects)
    if roll < 0.15:
        what, count = plural(absent_kind(rng, scene)), 0
    elif roll < 0.25:
        color, kind = absent_look(rng, scene)
        what, count = f"{color} {plural(kind)}", 0
    elif roll < 0.45:
        what, count = "objects", len(scene.objects)
    elif roll < 0.60:
        what = f"{thing.color} {plural(thing.kind)}"
        count = sum((other.color, other.kind) == (thing.color, thing.kind) for other in scene.objects)
    elif roll < 0.75 and GROUP_OF[thing.kind] in GROUPS:
        what = f"{GROUP_OF[thing.kind]}s"
        count = sum(GROUP_OF[other.kind] == GROUP_OF[thing.kind] for other in scene.objects)
    else:
        what, count = plural(thing.kind), count_kinds(scene)[thing.kind]
    return Question(kind="count", text=rng.choice(COUNT_TEXTS).format(what=what), answer=COUNTS[count])


def one_colored(scene: Scene) -> list[tuple[str, str, int]]:
    """(kind, in the plural of several, colour, count) of every kind that has a single colour."""
    found = {kind: m for (_, kind), m in groups(scene, colored=False).items() if len({t.color for t in m}) == 1}
    return [(kind if len(m) == 1 else plural(kind), m[0].color, len(m)) for kind, m in found.items()]


def _color(rng: random.Random, scene: Scene) -> Question | None:
    told = one_colored(scene)
    if not told:
        return None
    what, color, count = rng.choice(told)
    texts = COLOR_TEXTS if count == 1 else COLOR_TEXTS_PLURAL
    return Question(kind="color", text=rng.choice(texts).format(what=what), answer=color)


def _existence(rng: random.Random, scene: Scene) -> Question:
    claim, roll = rng.random() < 0.5, rng.random()
    thing = rng.choice(scene.objects)
    present = {GROUP_OF[other.kind] for other in scene.objects}
    asked = [group for group in GROUPS if (group in present) == claim]
    if roll < 0.2 and asked:
        what = rng.choice(asked)
    elif roll < 0.6:
        what = thing.kind if claim else absent_kind(rng, scene)
    else:
        what = " ".join((thing.color, thing.kind) if claim else absent_look(rng, scene))
    text = rng.choice(EXISTENCE_TEXTS).format(what=with_article(what))
    return Question(kind="existence", text=text, answer=yes(claim))


def _where(rng: random.Random, scene: Scene) -> Question | None:
    alone = unique(scene)
    if not alone:
        return None
    thing = rng.choice(alone)
    text = rng.choice(WHERE_TEXTS).format(what=thing.kind)
    return Question(kind="position", text=text, answer=CELL_NAMES[thing.cell])


def _what_is_at(rng: random.Random, scene: Scene) -> Question:
    thing = rng.choice(scene.objects)
    return Question(kind="position", text=f"what is {CELL_PHRASES[thing.cell]}?", answer=thing.kind)


def neighbors(scene: Scene) -> list[tuple[str, str, str]]:
    """(relation, kind, the kind of the only object that stands so to it), of every kind there is one of."""
    found = []
    for thing in unique(scene):
        for relation in OPPOSITES:
            there = [other for other in scene.objects if relation in clear_relations(other, thing)]
            if len(there) == 1:
                found.append((relation, thing.kind, there[0].kind))
    return found


def _what_stands(rng: random.Random, scene: Scene) -> Question | None:
    found = neighbors(scene)
    if not found:
        return None
    relation, kind, answer = rng.choice(found)
    return Question(kind="position", text=f"what is {relation} the {kind}?", answer=answer)


def _position(rng: random.Random, scene: Scene) -> Question | None:
    asked = rng.choice((_where, _where, _what_is_at, _what_stands, _what_stands))(rng, scene)
    return asked or _what_is_at(rng, scene)


def _compare_counts(rng: random.Random, scene: Scene) -> Question:
    counted = count_kinds(scene)
    a = rng.choice(sorted(counted))
    others = sorted(kind for kind in counted if kind != a)
    b = rng.choice(others) if others and rng.random() < 0.7 else absent_kind(rng, scene)
    if counted[a] < counted[b] or (counted[a] == counted[b] and rng.random() < 0.5):
        a, b = b, a
    claim = rng.random() < 0.5
    if counted[a] == counted[b]:
        word = "as many" if claim else rng.choice(("more", "fewer"))
    elif rng.random() < 0.2 and not claim:
        word = "as many"
    else:
        word = rng.choice(("more", "fewer"))
        if (word == "more") != claim:
            a, b = b, a
    text = f"are there {word} {plural(a)} {'as' if word == 'as many' else 'than'} {plural(b)}?"
    return Question(kind="comparison", text=text, answer=yes(claim))


def _compare_positions(rng: random.Random, scene: Scene) -> Question | None:
    alone = unique(scene)
    if len(alone) < 2:
        return None
    a, b = rng.sample(alone, 2)
    held = clear_relations(a, b)
    claim = rng.random() < 0.5
    relation = rng.choice(held)
    if not claim:
        relation = OPPOSITES[relation]
        straight = a.cell[0] == b.cell[0] or a.cell[1] == b.cell[1]
        if straight and rng.random() < 0.3:
            relation = rng.choice([r for r in OPPOSITES if r not in (relation, OPPOSITES[relation])])
    return Question(kind="comparison", text=f"is the {a.kind} {relation} the {b.kind}?", answer=yes(claim))


def _comparison(rng: random.Random, scene: Scene) -> Question:
    asked = _compare_positions(rng, scene) if rng.random() < 0.6 else None
    return asked or _compare_counts(rng, scene)


def _place(rng: random.Random, scene: Scene) -> Question:
    roll = rng.random()
    if roll < 0.4:
        text, answer = rng.choice(PLACE_TEXTS), PLACE_NAMES[scene.place]
    elif roll < 0.7:
        text, answer = rng.choice(TIME_TEXTS), "night" if scene.night else "day"
    elif roll < 0.85:
        claim = rng.random() < 0.5
        place = scene.place if claim else rng.choice([place for place in PLACE_NAMES if place != scene.place])
        text, answer = f"is this {PLACE_NAMES[place]}?", yes(claim)
    else:
        asked = rng.random() < 0.5
        text, answer = f"is it {'night' if asked else 'day'}?", yes(scene.night == asked)
    return Question(kind="place", text=text, answer=answer)


def choose(rng: random.Random, text: str, right: str, wrong: list[str]) -> Question:
    """A multiple choice of `right` and up to three that are `wrong`, answered by a letter."""
    choices = [right, *rng.sample(wrong, min(3, len(wrong)))]
    rng.shuffle(choices)
    told = " ".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    answer = LETTERS[choices.index(right)]
    return Question(kind="multiple_choice", text=f"{text} {told}", answer=answer, choices=tuple(choices))


def color_choice(rng: random.Random, scene: Scene) -> Question | None:
    """Which of four colours the things of a kind have."""
    told = one_colored(scene)
    if not told:
        return None
    what, color, count = rng.choice(told)
    text = COLOR_TEXTS[0] if count == 1 else COLOR_TEXTS_PLURAL[0]
    return choose(rng, text.format(what=what), color, [other for other in COLORS if other != color])


def place_choice(rng: random.Random, scene: Scene) -> Question:
    """Which of the places it is."""
    right = PLACE_NAMES[scene.place]
    return choose(rng, PLACE_TEXTS[0], right, [name for name in PLACE_NAMES.values() if name != right])


def _multiple_choice(rng: random.Random, scene: Scene) -> Question:
    roll = rng.random()
    if roll < 0.3 and (question := color_choice(rng, scene)):
        return question
    if roll < 0.45:
        return place_choice(rng, scene)
    present = count_kinds(scene)
    right = rng.choice(sorted(present))
    group = GROUP_OF[right]
    asked, near = ("object", ALL_KINDS) if roll < 0.7 else (group, KINDS[group])
    wrong = [kind for kind in near if kind not in present]
    if not wrong:
        asked, wrong = "object", [kind for kind in ALL_KINDS if kind not in present]
    return choose(rng, f"which {asked} is in the picture?", right, wrong)


def _classification(rng: random.Random, scene: Scene) -> Question | None:
    counted = count_kinds(scene)
    if len(counted) > 1:
        return None
    return Question(kind="classification", text=rng.choice(CLASSIFICATION_TEXTS), answer=next(iter(counted)))


QUESTIONS: dict[str, Callable[[random.Random, Scene], Question | None]] = {
    "count": _count,
    "color": _color,
    "existence": _existence,
    "position": _position,
    "comparison": _comparison,
    "place": _place,
    "multiple_choice": _multiple_choice,
    "classification": _classification,
}
"""Kind -> a random question of it; None where the scene admits none (color: no kind of one colour; classification: more
than one kind)."""
DETERMINED = ("count", "color", "existence", "place")
"""Kinds whose answers follow from a complete short caption, wherever the objects stand."""
_VQA = tuple(kind for kind in QUESTIONS if kind != "classification")


def sample_question(rng: random.Random, scene: Scene, kind: str | None = None) -> Question:
    """A question of the kind, or without one of any kind but classification.

    ValueError where the scene admits no question of the kind: see `QUESTIONS`.
    """
    if kind is not None:
        question = QUESTIONS[kind](rng, scene)
        if question is None:
            raise ValueError(
                f"no {kind} question has one answer here: the scene shows {', '.join(sorted(count_kinds(scene)))}"
            )
        return question
    return QUESTIONS[rng.choice(_VQA)](rng, scene) or _existence(rng, scene)


def determined_question(rng: random.Random, scene: Scene) -> Question:
    """A question that every picture of the scene's short caption answers alike."""
    return QUESTIONS[rng.choice(DETERMINED)](rng, scene) or _existence(rng, scene)
