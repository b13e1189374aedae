"""A second reading of scenes: which objects the words of a question mean."""

import random
import re

from blip3o.picturebook.world.captions import plural
from blip3o.picturebook.world.scene import ALL_KINDS, COLORS, GROUP_OF, KINDS, Object, Scene
from blip3o.picturebook.world.stories import sample_scene

SINGULAR = {plural(kind): kind for kind in ALL_KINDS} | {f"{group}s": group for group in KINDS}
NOUNS = {*ALL_KINDS, *KINDS, *SINGULAR, "objects"}
SCENES = [sample_scene(random.Random(seed)) for seed in range(600)]


def fits(thing: Object, words: list[str]) -> bool:
    """Whether the object is what "red dog(s)", "animal(s)" or "objects" means."""
    *tint, noun = words
    noun = SINGULAR.get(noun, noun)
    return noun in ("objects", thing.kind, GROUP_OF[thing.kind]) and tint in ([], [thing.color])


def noun_words(text: str) -> list[list[str]]:
    words = re.findall("[a-z]+", text)
    ends = [index for index, word in enumerate(words) if word in NOUNS]
    return [words[i - 1 : i + 1] if words[i - 1] in COLORS else [words[i]] for i in ends]


def kinds_of(scene: Scene, kind: str) -> list[Object]:
    return [thing for thing in scene.objects if thing.kind == kind]
