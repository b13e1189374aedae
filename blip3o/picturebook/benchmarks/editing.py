"""Editing by instruction: what was asked is done, and what was not named is kept."""

import random
from collections.abc import Iterator

from PIL import Image

from blip3o.picturebook.benchmarks.benchmark import Exam, Outcome
from blip3o.picturebook.benchmarks.expected import after_edit
from blip3o.picturebook.detector.matching import differences, match
from blip3o.picturebook.world.captions import caption
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.edits import EDITS, Edit, sample_edit
from blip3o.picturebook.world.stories import sample_scene


def _asked(rng: random.Random, kind: str) -> Edit:
    """An edit of the kind, of a scene that admits one."""
    while True:
        try:
            return sample_edit(rng, sample_scene(rng), kind=kind)
        except ValueError:  # this scene admits no such edit
            continue


def edits(exam: Exam, n: int) -> Iterator[Outcome]:
    """`n` edits of drawn scenes, all kinds in turn.

    Right is a picture with the asked change, every other object in its colour within 4 px of where it stood, none too
    many, and the right place and time.
    """
    rng, kinds = exam.rng("edit"), tuple(EDITS)
    asked = [_asked(rng, kinds[index % len(kinds)]) for index in range(n)]
    for where, chunk in exam.chunks(asked):
        before = [Image.fromarray(draw(edit.before)) for edit in chunk]
        instructions = [edit.instruction for edit in chunk]
        pictures = exam.candidate.edit(before, instructions, seed=exam.seeds("edit", where), batch_size=exam.batch)
        for edit, shown, picture, sight in zip(chunk, before, pictures, exam.judge.see(pictures), strict=True):
            stood = [(thing.x, thing.y) for thing in edit.before.objects]
            wants = after_edit(edit.instruction, edit.before, edit.after, stood)
            faults = differences(sight, edit.after)
            if match(wants, sight.clear()) is None:
                faults.insert(0, "objects")
            yield Outcome(
                group="edit",
                part=edit.kind,
                prompt=f"{caption(edit.before)}: {edit.instruction}",
                answer=sight.in_words,
                expected=caption(edit.after),
                correct=not faults,
                note="wrong: " + ", ".join(faults) if faults else "",
                picture=picture,
                shown=shown,
            )
