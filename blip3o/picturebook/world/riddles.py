"""Prompts that name no kind: what they ask for must be worked out before it can be drawn."""

import random
from dataclasses import dataclass
from typing import Any

from blip3o.picturebook.world.captions import COUNTS, PLACE_PHRASES, groups, listed, noun_phrase, phrases, time_phrase
from blip3o.picturebook.world.scene import Object, Scene
from blip3o.picturebook.world.stories import sample_scene

RIDDLES: dict[str, tuple[str, ...]] = {
    "dog": ("the animal that barks", "the animal that likes a bone", "the best friend of people"),
    "cat": ("the animal that says meow", "the animal that hunts mice", "the animal that purrs"),
    "bird": ("the animal that sings", "the animal that builds a nest", "the animal with feathers"),
    "fish": ("the animal that lives in water", "the animal that swims", "the animal with fins"),
    "rabbit": ("the animal with long ears", "the animal that hops", "the animal that eats carrots"),
    "turtle": ("the animal with a shell", "the slow animal", "the animal that carries its home"),
    "tree": ("the plant with a trunk", "the tall plant", "the plant that gives wood"),
    "flower": ("the plant that bees like", "the plant with petals", "the plant that smells sweet"),
    "mushroom": ("the plant with a cap", "the plant that grows in the dark"),
    "cactus": ("the plant with spines", "the plant that needs no rain"),
    "house": ("the building that people live in", "the building with a chimney"),
    "castle": ("the building of a king", "the building with towers", "the home of a queen"),
    "tent": ("the building of cloth", "the thing you sleep in when you camp"),
    "car": ("the vehicle with four wheels", "the vehicle that drives on a road"),
    "boat": ("the vehicle that floats", "the vehicle with a sail", "the vehicle for the sea"),
    "bus": ("the vehicle for many people", "the vehicle that brings children to school"),
    "airplane": ("the vehicle that flies", "the vehicle with wings"),
    "ball": ("the thing you kick", "the round thing that you throw"),
    "cup": ("the thing you drink from", "the thing for tea"),
    "umbrella": ("the thing that keeps you dry in the rain", "the thing you open when it rains"),
    "chair": ("the thing you sit on", "the thing with four legs"),
    "book": ("the thing you read", "the thing with pages"),
    "balloon": ("the thing full of air", "the thing that goes up on a string"),
    "clock": ("the thing that tells the time", "the thing with two hands"),
}
"""Kind -> what can stand for it in a riddle."""
COLOR_RIDDLES: dict[str, tuple[str, ...]] = {
    "red": ("the color of a strawberry", "the color of blood"),
    "orange": ("the color of a carrot", "the color of a pumpkin"),
    "yellow": ("the color of a lemon", "the color of the sun"),
    "green": ("the color of grass", "the color of a frog"),
    "blue": ("the color of the sky", "the color of the sea"),
    "purple": ("the color of grapes", "the color of a plum"),
    "pink": ("the color of a pig", "the color of a flamingo"),
    "brown": ("the color of chocolate", "the color of wood"),
    "black": ("the color of coal", "the color of a raven"),
    "white": ("the color of milk", "the color of snow"),
}
VERBS = ("draw ", "draw ", "paint ", "a picture of ")
_MOST_RIDDLES = 2


@dataclass(frozen=True, kw_only=True)
class Riddle:
    """A prompt, the reasoning that solves it, and a scene that it fits.

    `requirement` is what the picture must show: GenEval's metadata (tag, include, prompt), with "place" and "night"
    where the prompt asks for them.
    """

    prompt: str
    reasoning: str
    scene: Scene
    requirement: dict[str, Any]


def _posed(rng: random.Random, color: str | None, members: list[Object]) -> tuple[str, list[str]]:
    """Words that hide the group's kind, and the sentences that uncover it."""
    kind = members[0].kind
    clue = rng.choice(RIDDLES[kind])
    solved = [f"{clue} is {noun_phrase(1, None, kind)}."]
    words = clue if len(members) == 1 else f"{COUNTS[len(members)]} times {clue}"
    if color is None:
        return words, solved
    if rng.random() < 0.5:
        return f"{words} in {color}", solved
    hue = rng.choice(COLOR_RIDDLES[color])
    return f"{words} in {hue}", [*solved, f"{hue} is {color}."]


def _posed_all(rng: random.Random, scene: Scene, colored: bool) -> tuple[list[str], list[str]]:
    """What the prompt says of every group, at most two of them as riddles; and the sentences that solve it."""
    told = groups(scene, colored=colored)
    hidden = set(rng.sample(sorted(told, key=str), min(len(told), _MOST_RIDDLES)))
    words, solved = [], []
    for key, members in told.items():
        posed, uncovered = _posed(rng, key[0], members) if key in hidden else (noun_phrase(len(members), *key), [])
        words.append(posed)
        solved += uncovered
    return words, solved


def pose(rng: random.Random, scene: Scene) -> Riddle:
    """A riddle that the scene solves. Best with one or two groups of objects: of more, it hides only two."""
    colored = rng.random() < 0.5
    placed, timed = rng.random() < 0.25, rng.random() < 0.35
    words, solved = _posed_all(rng, scene, colored)
    scenery = [PLACE_PHRASES[scene.place]] * placed + [time_phrase(scene)] * timed
    prompt = rng.choice(VERBS) + listed(words) + (f", {' '.join(scenery)}" if scenery else "")
    reasoning = " ".join([*solved, " ".join(["so", listed(phrases(scene, colored=colored)), *scenery]) + "."])
    members = groups(scene, colored=colored).items()
    include = [{"class": kind, "count": len(m)} | ({"color": color} if color else {}) for (color, kind), m in members]
    requirement: dict[str, Any] = {"tag": "riddle", "include": include, "prompt": prompt}
    if placed:
        requirement["place"] = scene.place
    if timed:
        requirement["night"] = scene.night
    return Riddle(prompt=prompt, reasoning=reasoning, scene=scene, requirement=requirement)


def sample_riddle(rng: random.Random) -> Riddle:
    """A riddle about a new scene of one object, or one time in four of two."""
    wanted = 2 if rng.random() < 0.25 else 1
    while True:
        scene = sample_scene(rng)
        if len(scene.objects) == wanted == len({thing.kind for thing in scene.objects}):
            return pose(rng, scene)
