"""Reading pictures: questions of every kind, and captions."""

import random
from collections.abc import Iterator

from PIL import Image

from blip3o.picturebook.benchmarks.benchmark import Exam, Outcome
from blip3o.picturebook.world.captions import caption, content_of, parse_caption
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.questions import QUESTIONS, Question, sample_question
from blip3o.picturebook.world.scene import Scene
from blip3o.picturebook.world.stories import sample_scene


def plain(text: str) -> str:
    """The text as answers are compared: without spaces around it, in small letters."""
    return text.strip().lower()


def same_answer(answer: str, expected: str) -> bool:
    """Whether the words agree, or, of two captions, what they claim (the order of objects is free)."""
    claim = parse_caption(expected)
    return plain(answer) == plain(expected) or (claim is not None and parse_caption(answer) == claim)


def _asked(rng: random.Random, kind: str) -> tuple[Scene, Question]:
    """A scene and a question of the kind that fits it."""
    while True:
        scene = sample_scene(rng)
        try:
            return scene, sample_question(rng, scene, kind)
        except ValueError:  # this scene admits no such question
            continue


def questions(exam: Exam, n: int) -> Iterator[Outcome]:
    """`n` questions, all kinds in turn; an answer is right if it is the expected one to the letter."""
    rng, kinds = exam.rng("vqa"), tuple(QUESTIONS)
    asked = [_asked(rng, kinds[index % len(kinds)]) for index in range(n)]
    for _, chunk in exam.chunks(asked):
        pictures = [Image.fromarray(draw(scene)) for scene, _ in chunk]
        answers = exam.candidate.understand(pictures, [question.text for _, question in chunk], batch_size=exam.batch)
        for (_, question), answer, picture in zip(chunk, answers, pictures, strict=True):
            yield Outcome(
                group="vqa",
                part=question.kind,
                prompt=question.text,
                answer=answer,
                expected=question.answer,
                correct=plain(answer) == plain(question.answer),
                shown=picture,
            )


def captions(exam: Exam, n: int) -> Iterator[Outcome]:
    """`n` captions; right is one that claims exactly what the scene shows: objects, colours, counts, place and time."""
    rng = exam.rng("caption")
    scenes = [sample_scene(rng) for _ in range(n)]
    for _, chunk in exam.chunks(scenes):
        pictures = [Image.fromarray(draw(scene)) for scene in chunk]
        answers = exam.candidate.caption(pictures, batch_size=exam.batch)
        for scene, answer, picture in zip(chunk, answers, pictures, strict=True):
            yield Outcome(
                group="caption",
                part=str(len(scene.objects)),
                prompt="",
                answer=answer,
                expected=caption(scene),
                correct=parse_caption(answer) == content_of(scene),
                shown=picture,
            )
