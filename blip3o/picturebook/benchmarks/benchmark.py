"""An exam: one candidate, one judge, one held-out set of questions; and what came of each question."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image

from blip3o.evals.candidate import Candidate
from blip3o.picturebook.detector.judge import Judge

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One question, what the candidate made of it and what was right. `part`: the kind of question within its group.

    `note` says what was wrong; `picture` is what the candidate drew, if it drew, and `shown` what it was shown.
    """

    group: str
    part: str
    prompt: str
    answer: str
    expected: str
    correct: bool
    exact: bool | None = None
    """Of a drawing: right, and it shows nothing but what was asked for. None where that is no question."""
    note: str = ""
    picture: Image.Image | None = None
    shown: Image.Image | None = None


@dataclass(frozen=True, kw_only=True)
class Exam:
    """`seed` picks the held-out set; `batch` is how many questions the candidate gets at a time; those before `begin`
    were answered earlier."""

    candidate: Candidate
    judge: Judge
    seed: int = 0
    batch: int = 16
    begin: int = 0

    def rng(self, group: str) -> random.Random:
        """The stream that makes a group's questions. Training draws from streams of other names."""
        return random.Random(f"evaluation/{self.seed}/{group}")

    def seeds(self, group: str, items: range) -> list[int]:
        """The seeds of the candidate's own randomness, one for each question."""
        return [random.Random(f"evaluation/{self.seed}/{group}/{item}").randrange(2**31) for item in items]

    def chunks(self, items: Sequence[Item]) -> Iterator[tuple[range, Sequence[Item]]]:
        """The items still to be asked in batches, each with its positions."""
        for start in range(self.begin, len(items), self.batch):
            chunk = items[start : start + self.batch]
            yield range(start, start + len(chunk)), chunk
