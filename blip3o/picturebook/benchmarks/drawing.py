"""Drawing from words: GenEval's six tasks, the composition split, whole scenes, and riddles."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from blip3o.evals.benchmark import Answer, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.evals.distributions.frechet import frechet_distance
from blip3o.evals.generation.geneval import Prompt
from blip3o.picturebook.benchmarks.group import Group, Wording, look, seed_of, verdict
from blip3o.picturebook.detector.matching import Want, differences, match
from blip3o.picturebook.detector.scene_detector import Sight
from blip3o.picturebook.world.captions import caption
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.prompts import PHOTO, geneval_case
from blip3o.picturebook.world.riddles import sample_riddle
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import sample_scene

COMPOSED = ("two_object", "colors", "position", "color_attr")
"""GenEval's tasks that name a combination, which can be one that training never shows."""
BATCH = 16
"""Pictures whose features are taken at a time."""

Case = Mapping[str, Any]
"""GenEval's metadata, with "place" and "night" where they are asked for."""
ScenePair = tuple[Scene, Scene]
"""A scene to ask for, and another one to compare with."""


class Cases(Group[Case]):
    """Prompts with GenEval's metadata; with `think` the model reasons before the picture."""

    exact = True

    def __init__(self, size: int, case: Callable[[random.Random, int], Case], *, think: bool = False) -> None:
        super().__init__(size)
        self.case, self.think = case, think

    def question(self, rng: random.Random, index: int) -> Case:
        return self.case(rng, index)

    def wording(self, question: Case) -> Wording:
        expected = {key: value for key, value in question.items() if key not in ("tag", "prompt")}
        return Wording(prompt=question["prompt"], expected=str(expected), part=question["tag"])

    def ask(self, candidate: Candidate, questions: Sequence[Case], names: Sequence[str]) -> Sequence[Response]:
        prompts, seeds = [case["prompt"] for case in questions], list(map(seed_of, names))
        images = candidate.generate(prompts, seed=seeds, think=self.think, batch_size=len(prompts))
        return [[image] for image in images]

    def score(self, question: Case, answer: Answer) -> Verdict:
        sight = look(answer)
        note = _faults(question, sight)
        exact = not note and match(_wants(question), sight.clear()) is not None
        return verdict(question["tag"], correct=not note, exact=exact, note=note, seen=sight.in_words)


def task(size: int, tag: str) -> Cases:
    """Prompts of one of GenEval's tasks, over combinations that training may show."""
    return Cases(size, lambda rng, index: geneval_case(rng, tag))


def composition(size: int) -> Cases:
    """Prompts of four tasks in turn, over combinations that training never shows."""
    return Cases(size, lambda rng, index: geneval_case(rng, COMPOSED[index % len(COMPOSED)], held_out=True))


def riddles(size: int) -> Cases:
    """Prompts whose objects must be guessed."""
    return Cases(size, lambda rng, index: sample_riddle(rng).requirement, think=True)


def _faults(case: Case, sight: Sight) -> str:
    faults = [sight.faults(Prompt.from_metadata(case))]
    if case.get("place", sight.place) != sight.place:
        faults.append(f"expected {case['place']}, found {sight.place}")
    if case.get("night", sight.night) != sight.night:
        faults.append(f"expected {'night' if case['night'] else 'day'}, found {'night' if sight.night else 'day'}")
    return "\n".join(filter(None, faults))


def _wants(case: Case) -> list[Want]:
    """One want for each object that GenEval's metadata ask for."""
    counts = [clause["count"] for clause in case["include"]]
    wants = []
    for clause in case["include"]:
        place = clause.get("position")
        relation = None if place is None else (place[0], sum(counts[: place[1]]))
        wants += [Want(kind=clause["class"], color=clause.get("color"), relation=relation)] * clause["count"]
    return wants


class WholeScenes(Group[ScenePair]):
    """Whole captions: every object in its colour, none too many, place and time."""

    exact = True

    def question(self, rng: random.Random, index: int) -> ScenePair:
        return sample_scene(rng), sample_scene(rng)

    def wording(self, question: ScenePair) -> Wording:
        scene, _ = question
        return Wording(prompt=PHOTO + caption(scene), expected=caption(scene), part=str(len(scene.objects)))

    def ask(self, candidate: Candidate, questions: Sequence[ScenePair], names: Sequence[str]) -> Sequence[Response]:
        prompts, seeds = [PHOTO + caption(scene) for scene, _ in questions], list(map(seed_of, names))
        return [[image] for image in candidate.generate(prompts, seed=seeds, batch_size=len(prompts))]

    def score(self, question: ScenePair, answer: Answer) -> Verdict:
        (scene, _), sight = question, look(answer)
        wants = [Want(kind=thing.kind, color=thing.color) for thing in scene.objects]
        right = match(wants, sight.clear()) is not None and not differences(sight, scene)
        return verdict(str(len(scene.objects)), correct=right, exact=right, seen=sight.in_words)


def distances(
    candidate: Candidate, images: Sequence[Image.Image], pairs: Sequence[ScenePair]
) -> dict[str, float | int]:
    """Frechet distance of what was drawn of scenes from the true pictures and, to compare, of true from true; of two
    pictures or more."""
    true, other = ([Image.fromarray(draw(scene)) for scene in scenes] for scenes in zip(*pairs, strict=True))
    drawn, right, others = (
        np.concatenate([candidate.features(part[begin : begin + BATCH]) for begin in range(0, len(part), BATCH)])
        for part in (list(images), true, other)
    )
    return {
        "value": frechet_distance(drawn, right),
        "between_true_sets": frechet_distance(others, right),
        "n": len(images),
    }
