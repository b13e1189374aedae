"""Editing by instruction: what was asked is done, and what was not named is kept."""

import random
from collections.abc import Sequence

from blip3o.evals.benchmark import Answer, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.picturebook.benchmarks.expected import after_edit
from blip3o.picturebook.benchmarks.group import BookQuestion, look, seed_of, shown_pictures, verdict
from blip3o.picturebook.detector.matching import differences, match
from blip3o.picturebook.world.captions import caption
from blip3o.picturebook.world.edits import EDITS, Edit, sample_edit
from blip3o.picturebook.world.stories import sample_scene

KINDS = tuple(EDITS)


def edit_question(rng: random.Random, index: int) -> BookQuestion:
    """An edit of a drawn scene, all kinds in turn."""
    while True:
        try:
            edit = sample_edit(rng, sample_scene(rng), kind=KINDS[index % len(KINDS)])
        except ValueError:  # this scene admits no such edit
            continue
        prompt = f"{caption(edit.before)}: {edit.instruction}"
        return BookQuestion(prompt=prompt, expected=caption(edit.after), part=edit.kind, truth=edit, shown=edit.before)


def edit_pictures(candidate: Candidate, questions: Sequence[BookQuestion], names: Sequence[str]) -> Sequence[Response]:
    """One changed picture for each question."""
    before, instructions = shown_pictures(questions), [question.truth.instruction for question in questions]
    images = candidate.edit(before, instructions, seed=list(map(seed_of, names)), batch_size=len(before))
    return [[image] for image in images]


def score_edit(question: BookQuestion, answer: Answer) -> Verdict:
    """Right is a picture with the asked change, every other object in its colour within 4 px of where it stood, none
    too many, and the right place and time."""
    edit: Edit = question.truth
    sight, stood = look(answer), [(thing.x, thing.y) for thing in edit.before.objects]
    wants = after_edit(edit.instruction, edit.before, edit.after, stood)
    faults = differences(sight, edit.after)
    if match(wants, sight.clear()) is None:
        faults.insert(0, "objects")
    note = "wrong: " + ", ".join(faults) if faults else ""
    return verdict(question, correct=not faults, note=note, seen=sight.in_words)
