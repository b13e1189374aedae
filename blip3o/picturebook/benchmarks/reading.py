"""Reading pictures: questions of every kind, and captions."""

import random
from collections.abc import Sequence

from blip3o.evals.benchmark import Answer, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.picturebook.benchmarks.group import Group, Wording, picture, verdict
from blip3o.picturebook.world.captions import caption, content_of, parse_caption
from blip3o.picturebook.world.questions import QUESTIONS, Question, sample_question
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import sample_scene

KINDS = tuple(QUESTIONS)


def plain(text: str) -> str:
    """The text as answers are compared: without spaces around it, in small letters."""
    return text.strip().lower()


def same_answer(answer: str, expected: str) -> bool:
    """Whether the words agree, or, of two captions, what they claim (the order of objects is free)."""
    claim = parse_caption(expected)
    return plain(answer) == plain(expected) or (claim is not None and parse_caption(answer) == claim)


class SceneQuestions(Group[tuple[Scene, Question]]):
    """Questions about drawn scenes, all kinds in turn; an answer is right if it is the expected one to the letter."""

    def question(self, rng: random.Random, index: int) -> tuple[Scene, Question]:
        while True:
            scene = sample_scene(rng)
            try:
                return scene, sample_question(rng, scene, KINDS[index % len(KINDS)])
            except ValueError:  # this scene admits no such question
                continue

    def wording(self, question: tuple[Scene, Question]) -> Wording:
        _, asked = question
        return Wording(prompt=asked.text, expected=asked.answer, part=asked.kind)

    def shown(self, question: tuple[Scene, Question]) -> Scene:
        return question[0]

    def ask(
        self, candidate: Candidate, questions: Sequence[tuple[Scene, Question]], names: Sequence[str]
    ) -> Sequence[Response]:
        images, texts = [picture(scene) for scene, _ in questions], [asked.text for _, asked in questions]
        return candidate.understand(images, texts, batch_size=len(images))

    def score(self, question: tuple[Scene, Question], answer: Answer) -> Verdict:
        _, asked = question
        return verdict(asked.kind, correct=plain(str(answer)) == plain(asked.answer))


class Captions(Group[Scene]):
    """Captions; right is one that claims exactly what the scene shows: objects, colours, counts, place and time."""

    def question(self, rng: random.Random, index: int) -> Scene:
        return sample_scene(rng)

    def wording(self, question: Scene) -> Wording:
        return Wording(prompt="", expected=caption(question), part=str(len(question.objects)))

    def shown(self, question: Scene) -> Scene:
        return question

    def ask(self, candidate: Candidate, questions: Sequence[Scene], names: Sequence[str]) -> Sequence[Response]:
        return candidate.caption(list(map(picture, questions)), batch_size=len(questions))

    def score(self, question: Scene, answer: Answer) -> Verdict:
        return verdict(str(len(question.objects)), correct=parse_caption(str(answer)) == content_of(question))
