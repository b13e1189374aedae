"""Reading pictures: questions of every kind, and captions."""

import random
from collections.abc import Sequence

from blip3o.evals.benchmark import Answer, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.picturebook.benchmarks.group import BookQuestion, shown_pictures, verdict
from blip3o.picturebook.world.captions import caption, content_of, parse_caption
from blip3o.picturebook.world.questions import QUESTIONS, sample_question
from blip3o.picturebook.world.stories import sample_scene

KINDS = tuple(QUESTIONS)


def plain(text: str) -> str:
    """The text as answers are compared: without spaces around it, in small letters."""
    return text.strip().lower()


def same_answer(answer: str, expected: str) -> bool:
    """Whether the words agree, or, of two captions, what they claim (the order of objects is free)."""
    claim = parse_caption(expected)
    return plain(answer) == plain(expected) or (claim is not None and parse_caption(answer) == claim)


def scene_question(rng: random.Random, index: int) -> BookQuestion:
    """A question about a drawn scene, all kinds in turn."""
    while True:
        scene = sample_scene(rng)
        try:
            text = sample_question(rng, scene, KINDS[index % len(KINDS)])
        except ValueError:  # this scene admits no such question
            continue
        return BookQuestion(prompt=text.text, expected=text.answer, part=text.kind, truth=text.answer, shown=scene)


def answer_questions(
    candidate: Candidate, questions: Sequence[BookQuestion], names: Sequence[str]
) -> Sequence[Response]:
    """The words that answer each question about its picture; no seed plays a part in them."""
    images, prompts = shown_pictures(questions), [question.prompt for question in questions]
    return candidate.understand(images, prompts, batch_size=len(prompts))


def score_words(question: BookQuestion, answer: Answer) -> Verdict:
    """Right is the expected answer to the letter."""
    return verdict(question, correct=plain(str(answer)) == plain(question.truth))


def caption_question(rng: random.Random, index: int) -> BookQuestion:
    """A scene to be described."""
    scene = sample_scene(rng)
    return BookQuestion(prompt="", expected=caption(scene), part=str(len(scene.objects)), truth=scene, shown=scene)


def caption_pictures(
    candidate: Candidate, questions: Sequence[BookQuestion], names: Sequence[str]
) -> Sequence[Response]:
    """A caption of each picture; no seed plays a part in it."""
    return candidate.caption(shown_pictures(questions), batch_size=len(questions))


def score_caption(question: BookQuestion, answer: Answer) -> Verdict:
    """Right is what claims exactly what the scene shows: objects, colours, counts, place and time."""
    return verdict(question, correct=parse_caption(str(answer)) == content_of(question.truth))
