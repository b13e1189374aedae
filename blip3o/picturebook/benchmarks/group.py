"""A group of the picture book's questions: how one is made, put to a model, and scored."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.picturebook.detector.scene_detector import SceneDetector, Sight
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.scene import Scene


@dataclass(frozen=True, kw_only=True)
class BookQuestion:
    """A question of the picture book: as results tell it, and all that scoring needs to know."""

    prompt: str
    expected: str
    """What is right, in words."""
    part: str
    """Its kind within the group."""
    truth: Any
    """What its group made the question of: a scene, an edit, a dialogue, GenEval's metadata."""
    shown: Scene | None = None
    """The scene whose picture the model is shown; None for none."""


@dataclass(frozen=True)
class Group:
    """Questions of one kind; none of them depends on how many are asked."""

    size: int
    """How many there are."""
    question: Callable[[random.Random, int], BookQuestion]
    """The question of this index; the stream has made those before it."""
    ask: Callable[[Candidate, Sequence[BookQuestion], Sequence[str]], Sequence[Response]]
    """A model's responses; the names are what the seeds of its randomness are made of (`seed_of`)."""
    score: Callable[[BookQuestion, Answer], Verdict]
    """What an answer is worth; a missing one is not scored here."""
    exact: bool = False
    """Whether an answer can be right and yet show more than was asked for."""
    num_images: int = 1
    """That an answer may hold at most."""


def seed_of(name: str) -> int:
    """The seed of the candidate's own randomness."""
    return random.Random(name).randrange(2**31)


def picture(scene: Scene) -> Image.Image:
    """The picture of a scene as a model is shown it."""
    return Image.fromarray(draw(scene))


def shown_pictures(questions: Sequence[BookQuestion]) -> list[Image.Image]:
    """The pictures that a model is shown with questions, one each."""
    return [picture(question.shown) for question in questions if question.shown is not None]


def look(answer: Answer) -> Sight:
    """What the detector sees in the picture of an answer."""
    return SceneDetector.load().see([tables.opened(Path(answer[0]))])[0]


def verdict(
    question: BookQuestion, *, correct: bool, exact: bool | None = None, note: str = "", seen: str | None = None
) -> Verdict:
    """`exact`, of a drawing, says that it shows nothing but what was asked for, `note` what is wrong, and `seen` what
    the detector saw."""
    details = {"part": question.part, "note": note, "exact": exact}
    present = {key: value for key, value in details.items() if value not in (None, "")}
    return Verdict(score=float(correct), parsed=seen, details=present)
