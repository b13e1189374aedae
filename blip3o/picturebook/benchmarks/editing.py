"""Editing by instruction: what was asked is done, and what was not named is kept."""

import random
from collections.abc import Sequence

from blip3o.evals.benchmark import Answer, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.picturebook.benchmarks.expected import after_edit
from blip3o.picturebook.benchmarks.group import Group, Wording, look, picture, seed_of, verdict
from blip3o.picturebook.detector.matching import differences, match
from blip3o.picturebook.world.captions import caption
from blip3o.picturebook.world.edits import EDITS, Edit, sample_edit
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import sample_scene

KINDS = tuple(EDITS)


class Edits(Group[Edit]):
    """Edits of drawn scenes, all kinds in turn.

    Right is a picture with the asked change, every other object in its colour within 4 px of where it stood, none too
    many, and the right place and time.
    """

    def question(self, rng: random.Random, index: int) -> Edit:
        while True:
            try:
                return sample_edit(rng, sample_scene(rng), kind=KINDS[index % len(KINDS)])
            except ValueError:  # this scene admits no such edit
                continue

    def wording(self, question: Edit) -> Wording:
        prompt = f"{caption(question.before)}: {question.instruction}"
        return Wording(prompt=prompt, expected=caption(question.after), part=question.kind)

    def shown(self, question: Edit) -> Scene:
        return question.before

    def ask(self, candidate: Candidate, questions: Sequence[Edit], names: Sequence[str]) -> Sequence[Response]:
        before, instructions = [picture(edit.before) for edit in questions], [edit.instruction for edit in questions]
        images = candidate.edit(before, instructions, seed=list(map(seed_of, names)), batch_size=len(before))
        return [[image] for image in images]

    def score(self, question: Edit, answer: Answer) -> Verdict:
        sight, stood = look(answer), [(thing.x, thing.y) for thing in question.before.objects]
        wants = after_edit(question.instruction, question.before, question.after, stood)
        faults = differences(sight, question.after)
        if match(wants, sight.clear()) is None:
            faults.insert(0, "objects")
        note = "wrong: " + ", ".join(faults) if faults else ""
        return verdict(question.kind, correct=not faults, note=note, seen=sight.in_words)
