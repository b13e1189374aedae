"""Drawing from words: GenEval's six tasks, the composition split, whole scenes, and riddles."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from blip3o.evals.distributions.frechet import frechet_distance
from blip3o.evals.generation.geneval import Prompt
from blip3o.picturebook.benchmarks.benchmark import Exam, Outcome
from blip3o.picturebook.detector.judge import Sight
from blip3o.picturebook.detector.matching import Want, differences, match
from blip3o.picturebook.world.captions import caption
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.prompts import PHOTO, geneval_case
from blip3o.picturebook.world.riddles import sample_riddle
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import sample_scene

COMPOSED = ("two_object", "colors", "position", "color_attr")
"""GenEval's tasks that name a combination, which can be one that training never shows."""


def tasks(exam: Exam, n: int, tag: str) -> Iterator[Outcome]:
    """`n` prompts of one of GenEval's tasks, over combinations that training may show."""
    rng = exam.rng(f"generation/{tag}")
    cases = [geneval_case(rng, tag)[1] for _ in range(n)]
    yield from _drawn(exam, "generation", f"generation/{tag}", cases)


def composition(exam: Exam, n: int) -> Iterator[Outcome]:
    """`n` prompts, the four tasks in turn, over combinations that training never shows."""
    rng = exam.rng("composition")
    cases = [geneval_case(rng, COMPOSED[index % len(COMPOSED)], held_out=True)[1] for index in range(n)]
    yield from _drawn(exam, "composition", "composition", cases)


def riddles(exam: Exam, n: int) -> Iterator[Outcome]:
    """`n` prompts whose objects must be guessed, with reasoning before the picture."""
    rng = exam.rng("riddle")
    cases = [sample_riddle(rng).requirement for _ in range(n)]
    yield from _drawn(exam, "riddle", "riddle", cases, think=True)


def _drawn(
    exam: Exam, group: str, stream: str, cases: Sequence[dict[str, Any]], *, think: bool = False
) -> Iterator[Outcome]:
    """GenEval's metadata, with "place" and "night" where they are asked for, drawn and judged."""
    for where, chunk in exam.chunks(cases):
        prompts = [case["prompt"] for case in chunk]
        pictures = exam.candidate.generate(prompts, seed=exam.seeds(stream, where), think=think, batch_size=exam.batch)
        for case, picture, sight in zip(chunk, pictures, exam.judge.see(pictures), strict=True):
            note = _faults(case, sight)
            yield Outcome(
                group=group,
                part=case["tag"],
                prompt=case["prompt"],
                answer=sight.in_words,
                expected=str({key: value for key, value in case.items() if key not in ("tag", "prompt")}),
                correct=not note,
                exact=not note and match(_wants(case), sight.clear()) is not None,
                note=note,
                picture=picture,
            )


def _faults(case: dict[str, Any], sight: Sight) -> str:
    faults = [sight.faults(Prompt.from_metadata(case))]
    if case.get("place", sight.place) != sight.place:
        faults.append(f"expected {case['place']}, found {sight.place}")
    if case.get("night", sight.night) != sight.night:
        faults.append(f"expected {'night' if case['night'] else 'day'}, found {'night' if sight.night else 'day'}")
    return "\n".join(filter(None, faults))


def _wants(case: Mapping[str, Any]) -> list[Want]:
    """One want for each object that GenEval's metadata ask for."""
    counts = [clause["count"] for clause in case["include"]]
    wants = []
    for clause in case["include"]:
        place = clause.get("position")
        relation = None if place is None else (place[0], sum(counts[: place[1]]))
        wants += [Want(kind=clause["class"], color=clause.get("color"), relation=relation)] * clause["count"]
    return wants


def _sampled(exam: Exam, n: int) -> list[tuple[Scene, Scene]]:
    """Scenes to ask for, each with another one."""
    rng = exam.rng("scene")
    return [(sample_scene(rng), sample_scene(rng)) for _ in range(n)]


def scenes(exam: Exam, n: int) -> Iterator[Outcome]:
    """`n` whole captions: every object in its colour, none too many, place and time."""
    wanted = [scene for scene, _ in _sampled(exam, n)]
    for where, chunk in exam.chunks(wanted):
        prompts = [PHOTO + caption(scene) for scene in chunk]
        pictures = exam.candidate.generate(prompts, seed=exam.seeds("scene", where), batch_size=exam.batch)
        for scene, prompt, picture, sight in zip(chunk, prompts, pictures, exam.judge.see(pictures), strict=True):
            wants = [Want(kind=thing.kind, color=thing.color) for thing in scene.objects]
            right = match(wants, sight.clear()) is not None and not differences(sight, scene)
            yield Outcome(
                group="scene",
                part=str(len(scene.objects)),
                prompt=prompt,
                answer=sight.in_words,
                expected=caption(scene),
                correct=right,
                exact=right,
                picture=picture,
            )


def distances(exam: Exam, pictures: Sequence[Image.Image]) -> dict[str, float | int] | None:
    """Frechet distance of what was drawn of all `scenes` from the true pictures, and, to compare, of true from true;
    None below two pictures."""
    if len(pictures) < 2:
        return None
    true, other = zip(*_sampled(exam, len(pictures)), strict=True)
    sets = (pictures, *([Image.fromarray(draw(scene)) for scene in part] for part in (true, other)))
    drawn, right, others = (
        np.concatenate([exam.candidate.features(list(chunk)) for _, chunk in exam.chunks(images)]) for images in sets
    )
    return {
        "value": frechet_distance(drawn, right),
        "between_true_sets": frechet_distance(others, right),
        "n": len(pictures),
    }
