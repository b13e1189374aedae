"""A group of the picture book's questions: how one is made, put to a model, and scored."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from PIL import Image

from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Response, Verdict
from blip3o.evals.candidate import Candidate
from blip3o.picturebook.detector.scene_detector import SceneDetector, Sight
from blip3o.picturebook.world.draw import draw
from blip3o.picturebook.world.scene import Scene

Q = TypeVar("Q")
"""A question with all that scoring needs to know."""


@dataclass(frozen=True, kw_only=True)
class Wording:
    """A question as results tell it."""

    prompt: str
    expected: str
    part: str
    """Its kind within the group."""


class Group(ABC, Generic[Q]):
    """Questions of one kind. `size` is how many there are; None of them depends on how many are asked."""

    exact = False
    """Whether an answer can be right and yet show more than was asked for."""
    num_images = 1
    """That an answer may hold at most."""

    def __init__(self, size: int) -> None:
        self.size = size

    @abstractmethod
    def question(self, rng: random.Random, index: int) -> Q:
        """The question of this index; the stream has made those before it."""

    @abstractmethod
    def wording(self, question: Q) -> Wording:
        """What is asked and what is right, in words."""

    def shown(self, question: Q) -> Scene | None:
        """The scene whose picture the model is shown; None for none."""
        return None

    @abstractmethod
    def ask(self, candidate: Candidate, questions: Sequence[Q], names: Sequence[str]) -> Sequence[Response]:
        """A model's responses; `names` are what the seeds of its randomness are made of (`seed_of`)."""

    @abstractmethod
    def score(self, question: Q, answer: Answer) -> Verdict:
        """What an answer is worth; a missing one is not scored here."""


def seed_of(name: str) -> int:
    """The seed of the candidate's own randomness."""
    return random.Random(name).randrange(2**31)


def picture(scene: Scene) -> Image.Image:
    """The picture of a scene as a model is shown it."""
    return Image.fromarray(draw(scene))


def look(answer: Answer) -> Sight:
    """What the detector sees in the picture of an answer."""
    return SceneDetector.load().see([tables.opened(Path(answer[0]))])[0]


def verdict(part: str, *, correct: bool, exact: bool | None = None, note: str = "", seen: str | None = None) -> Verdict:
    """Of a question of this part: `exact`, of a drawing, says that it shows nothing but what was asked for, `note` what
    is wrong, and `seen` what the detector saw."""
    details: dict[str, Any] = {"part": part, "note": note, "exact": exact}
    known = {key: value for key, value in details.items() if value not in (None, "")}
    return Verdict(score=float(correct), parsed=seen, details=known)
