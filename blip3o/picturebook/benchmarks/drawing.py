"""Drawing from words: GenEval's six tasks, the composition split, whole scenes, and riddles."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from blip3o.evals.benchmark import Answer, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.evals.distributions.frechet import frechet_distance
from blip3o.evals.generation.geneval import Prompt
from blip3o.picturebook.benchmarks.group import BookQuestion, look, picture, seed_of, verdict
from blip3o.picturebook.detector.matching import Want, differences, match
from blip3o.picturebook.detector.scene_detector import Sight
from blip3o.picturebook.world.captions import caption
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


def task(tag: str, rng: random.Random, index: int) -> BookQuestion:
    """A prompt of one of GenEval's tasks, over combinations that training may show."""
    return _question(geneval_case(rng, tag))


def composition(rng: random.Random, index: int) -> BookQuestion:
    """A prompt of four tasks in turn, over combinations that training never shows."""
    return _question(geneval_case(rng, COMPOSED[index % len(COMPOSED)], held_out=True))


def riddle(rng: random.Random, index: int) -> BookQuestion:
    """A prompt whose objects must be guessed."""
    return _question(sample_riddle(rng).requirement)


def whole_scene(rng: random.Random, index: int) -> BookQuestion:
    """A whole caption; the truth is its scene and another one to compare with."""
    scene, other = sample_scene(rng), sample_scene(rng)
    words, part = caption(scene), str(len(scene.objects))
    return BookQuestion(prompt=PHOTO + words, expected=words, part=part, truth=(scene, other))


def _question(case: Case) -> BookQuestion:
    expected = {key: value for key, value in case.items() if key not in ("tag", "prompt")}
    return BookQuestion(prompt=case["prompt"], expected=str(expected), part=case["tag"], truth=case)


def draw_pictures(
    candidate: Candidate, questions: Sequence[BookQuestion], names: Sequence[str], *, think: bool | None = None
) -> Sequence[Response]:
    """One picture of each prompt; with `think` the model reasons before it draws (None: as it is made)."""
    prompts, seeds = [question.prompt for question in questions], list(map(seed_of, names))
    images = candidate.generate(prompts, seed=seeds, think=think, batch_size=len(prompts))
    return [[image] for image in images]


def score_case(question: BookQuestion, answer: Answer) -> Verdict:
    """Right by GenEval's rules, and in the place and by the light that were asked for."""
    sight = look(answer)
    note = _faults(question.truth, sight)
    exact = not note and match(_wants(question.truth), sight.clear()) is not None
    return verdict(question, correct=not note, exact=exact, note=note, seen=sight.in_words)


def score_scene(question: BookQuestion, answer: Answer) -> Verdict:
    """Right is every object in its colour, none too many, place and time."""
    (scene, _), sight = question.truth, look(answer)
    wants = [Want(kind=thing.kind, color=thing.color) for thing in scene.objects]
    right = match(wants, sight.clear()) is not None and not differences(sight, scene)
    return verdict(question, correct=right, exact=right, seen=sight.in_words)


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


def distances(
    candidate: Candidate, images: Sequence[Image.Image], questions: Sequence[BookQuestion]
) -> dict[str, float | int]:
    """Frechet distance of what was drawn of whole scenes from the true pictures and, to compare, of true from true; of
    two pictures or more."""
    pairs: list[tuple[Scene, Scene]] = [question.truth for question in questions]
    true, other = (list(map(picture, scenes)) for scenes in zip(*pairs, strict=True))
    drawn, right, others = (
        np.concatenate([candidate.features(part[begin : begin + BATCH]) for begin in range(0, len(part), BATCH)])
        for part in (list(images), true, other)
    )
    return {
        "value": frechet_distance(drawn, right),
        "between_true_sets": frechet_distance(others, right),
        "n": len(images),
    }
