"""Drawing from words: GenEval's six tasks, the composition split, whole scenes, and riddles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from blip3o.data.picturebook.captions import caption
from blip3o.data.picturebook.draw import draw
from blip3o.data.picturebook.prompts import PHOTO, geneval_case
from blip3o.data.picturebook.riddles import sample_riddle
from blip3o.data.picturebook.world import sample_scene
from blip3o.evals.distributions.frechet import frechet_distance
from blip3o.evals.exam import Exam, Outcome
from blip3o.evals.generation.geneval import Prompt
from blip3o.evals.judges.judge import Sight
from blip3o.evals.judges.matching import Want, differences, match

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


@dataclass
class Gallery:
    """Features of drawn pictures beside those of the true pictures of the same scenes, and of other true ones."""

    drawn: list[np.ndarray] = field(default_factory=list)
    true: list[np.ndarray] = field(default_factory=list)
    other: list[np.ndarray] = field(default_factory=list)

    def distances(self) -> dict[str, float | int] | None:
        """Frechet distance of drawn from true pictures, and, to compare, of true from true; None below two pictures."""
        n = sum(map(len, self.drawn))
        if n < 2:
            return None
        drawn, true, other = (np.concatenate(part) for part in (self.drawn, self.true, self.other))
        return {"value": frechet_distance(drawn, true), "between_true_sets": frechet_distance(other, true), "n": n}


def scenes(exam: Exam, n: int, gallery: Gallery) -> Iterator[Outcome]:
    """`n` whole captions: every object in its colour, none too many, place and time. Fills the gallery."""
    rng = exam.rng("scene")
    wanted = [(sample_scene(rng), sample_scene(rng)) for _ in range(n)]
    for where, chunk in exam.chunks(wanted):
        prompts = [PHOTO + caption(scene) for scene, _ in chunk]
        pictures = exam.candidate.generate(prompts, seed=exam.seeds("scene", where), batch_size=exam.batch)
        gallery.drawn.append(exam.candidate.features(pictures))
        gallery.true.append(exam.candidate.features([Image.fromarray(draw(scene)) for scene, _ in chunk]))
        gallery.other.append(exam.candidate.features([Image.fromarray(draw(scene)) for _, scene in chunk]))
        for (scene, _), prompt, picture, sight in zip(chunk, prompts, pictures, exam.judge.see(pictures), strict=True):
            wants = [Want(kind=thing.kind, color=thing.color) for thing in scene.objects]
            right = match(wants, sight.clear()) is not None and not differences(sight, scene)
            yield Outcome(
                group="scene",
                part=str(len(scene.objects)),
                prompt=prompt,
                answer=sight.in_words,
                expected=caption(scene),
                correct=right,
                picture=picture,
            )
