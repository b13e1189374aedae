"""Words that ask for a picture: GenEval's six templates and freer ones."""

import random
from typing import Any

from blip3o.picturebook.world import captions
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, Scene
from blip3o.picturebook.world.split import HELD_OUT_COLORS, HELD_OUT_PAIRS

PHOTO = "a photo of "
PREFIXES = ("", "draw ", "draw ", "paint ", "a picture of ", "a picture of ", "please draw ", "make a picture of ")
LONG_PREFIXES = ("", "", "draw this: ", "paint this: ", "draw a picture: ")


def _scenery(scene: Scene, rng: random.Random) -> str:
    """Nothing in more than half of all cases, else place, time or both."""
    roll = rng.random()
    if roll < 0.55:
        return ""
    place, time = f" {captions.PLACE_PHRASES[scene.place]}", f" {captions.time_phrase(scene)}"
    return place if roll < 0.7 else time if roll < 0.8 else place + time


def description(scene: Scene, rng: random.Random) -> str:
    """All objects of the scene, with or without colours, relation, place and time; what it leaves out is free."""
    if rng.random() < 0.1:
        return captions.short_caption(scene, rng)
    colored = rng.random() < 0.55
    relation = captions.related(scene, rng, colored=colored) if rng.random() < 0.5 else None
    objects = " ".join(relation) if relation else captions.listed(captions.phrases(scene, colored=colored))
    return objects + _scenery(scene, rng)


def prefix(rng: random.Random) -> str:
    """The words before a description, GenEval's every other time."""
    return PHOTO if rng.random() < 0.5 else rng.choice(PREFIXES)


def draw_prompt(scene: Scene, rng: random.Random) -> str:
    """A prompt that the scene fits."""
    return long_prompt(scene, rng) if rng.random() < 0.05 else prefix(rng) + description(scene, rng)


def long_prompt(scene: Scene, rng: random.Random) -> str:
    """A prompt that says where everything stands."""
    return rng.choice(LONG_PREFIXES) + captions.long_caption(scene, rng)


_PAIRS = sorted(tuple(sorted(pair)) for pair in HELD_OUT_PAIRS)
_TINTS = sorted(HELD_OUT_COLORS)


def _pair(rng: random.Random, held_out: bool) -> list[str]:
    while True:
        kinds = list(rng.choice(_PAIRS)) if held_out else rng.sample(ALL_KINDS, 2)
        rng.shuffle(kinds)
        if held_out or frozenset(kinds) not in HELD_OUT_PAIRS:
            return kinds


def _tint(rng: random.Random, kind: str) -> str:
    return rng.choice([color for color in COLORS if (color, kind) not in HELD_OUT_COLORS])


def _case(tag: str, words: str, include: list[dict[str, Any]]) -> dict[str, Any]:
    return {"tag": tag, "include": include, "prompt": PHOTO + words}


def _single_object(rng: random.Random, held_out: bool) -> dict[str, Any]:
    kind = rng.choice(ALL_KINDS)
    return _case("single_object", captions.with_article(kind), [{"class": kind, "count": 1}])


def _two_object(rng: random.Random, held_out: bool) -> dict[str, Any]:
    a, b = _pair(rng, held_out)
    include = [{"class": a, "count": 1}, {"class": b, "count": 1}]
    return _case("two_object", f"{captions.with_article(a)} and {captions.with_article(b)}", include)


def _counting(rng: random.Random, held_out: bool) -> dict[str, Any]:
    kind, count = rng.choice(ALL_KINDS), rng.randint(2, 4)
    case = _case("counting", f"{captions.COUNTS[count]} {captions.plural(kind)}", [{"class": kind, "count": count}])
    return {**case, "exclude": [{"class": kind, "count": count + 1}]}


def _colors(rng: random.Random, held_out: bool) -> dict[str, Any]:
    kind = rng.choice(ALL_KINDS)
    color, kind = rng.choice(_TINTS) if held_out else (_tint(rng, kind), kind)
    return _case("colors", captions.noun_phrase(1, color, kind), [{"class": kind, "count": 1, "color": color}])


def _position(rng: random.Random, held_out: bool) -> dict[str, Any]:
    a, b = _pair(rng, held_out)
    relation = rng.choice(tuple(captions.OPPOSITES))
    include = [{"class": b, "count": 1}, {"class": a, "count": 1, "position": [relation, 0]}]
    return _case("position", f"{captions.with_article(a)} {relation} {captions.with_article(b)}", include)


def _color_attr(rng: random.Random, held_out: bool) -> dict[str, Any]:
    while True:
        kinds = _pair(rng, held_out=False)
        colors = [_tint(rng, kind) for kind in kinds]
        if held_out:
            chosen = rng.randrange(2)
            colors[chosen] = next(color for color, kind in _TINTS if kind == kinds[chosen])
        if colors[0] != colors[1]:
            break
    include = [{"class": kind, "count": 1, "color": color} for kind, color in zip(kinds, colors, strict=True)]
    return _case(
        "color_attr", " and ".join(captions.noun_phrase(1, *pair) for pair in zip(colors, kinds, strict=True)), include
    )


_CASES = {
    "single_object": _single_object,
    "two_object": _two_object,
    "counting": _counting,
    "colors": _colors,
    "position": _position,
    "color_attr": _color_attr,
}
TAGS = tuple(_CASES)
"""GenEval's six tasks."""


def geneval_case(rng: random.Random, tag: str, held_out: bool = False) -> dict[str, Any]:
    """The metadata of one of GenEval's tasks, its prompt among them, as GenEval's generator makes them from our kinds.

    With `held_out` it asks for a combination that training never shows: a colour of a kind (colors, color_attr) or two
    kinds together (two_object, position). ValueError for an unknown tag and for a tag that has no such combination.
    (https://github.com/djghosh13/geneval, prompts/create_prompts.py)
    """
    if tag not in _CASES:
        raise ValueError(f"tag is {tag!r}, expected one of {', '.join(TAGS)}")
    if held_out and tag in ("single_object", "counting"):
        raise ValueError(f"tag {tag!r} names no combination: held_out=True works with the other four tags")
    return _CASES[tag](rng, held_out)
