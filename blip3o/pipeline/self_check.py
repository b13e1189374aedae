"""Best of several: a model reads the pictures that it has drawn, and keeps the one that it takes for what was asked.

Nobody else takes part: a candidate's score is the log-probability that the model itself gives to the words of what was
wanted, as its description of the candidate. So it can choose no better than it reads.
"""

from collections.abc import Sequence

import torch

from blip3o.config import BOUNDS
from blip3o.errors import PromptError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import DESCRIBE, Conversation, Picture, Turn
from blip3o.processing.images import Picturelike

AT_ONCE = 16
"""Candidates that are read together."""
STRIDE = 1_000_003
"""Between the seeds of candidates: far from those of the next pictures, which follow by 1."""


def candidate_seeds(seed: int, count: int) -> list[int]:
    """The seeds of so many candidates, `seed` itself first. Each draws its candidate again, by itself, where what the
    model thought before it drew is not drawn by chance, too."""
    return [(seed + number * STRIDE) % (int(BOUNDS["seed"][1]) + 1) for number in range(count)]


def wanted(conversation: Conversation, reasoning: str) -> str:
    """The words of what is to be drawn: the model's own `reasoning`, or what it was asked. None ("") where both leave
    it open: an edit tells what to change and not what the result shows."""
    if not reasoning and any(isinstance(part, Picture) for turn in conversation for part in turn.content):
        return ""
    return reasoning or " ".join(part for part in conversation[-1].content if isinstance(part, str))


def check_edit(pipeline: Pipeline, best_of: int | None, think: bool | None) -> None:
    """Raise PromptError for candidates of an edit that no words tell apart."""
    thinks = pipeline.config.reasoning.always if think is None else think
    if best_of is not None and best_of > 1 and not thinks:
        raise PromptError(
            f"best_of is {best_of}: it compares pictures with words for what they should show, and an edit has none "
            "where the model draws without thinking: ask with think, or leave best_of out"
        )


def scores(pipeline: Pipeline, pictures: Sequence[Picturelike], words: str) -> list[float]:
    """Log-probability, 0 or less, of these words as the model's description of each picture."""
    template = pipeline.template
    samples = [
        template.encode((Turn("user", (template.picture(picture), DESCRIBE)), Turn("assistant", (words,))))
        for picture in pictures
    ]
    found: list[float] = []
    with torch.inference_mode():
        for start in range(0, len(samples), AT_ONCE):
            batch = template.collate(samples[start : start + AT_ONCE])
            found += pipeline.unified.score(batch.to(pipeline.device)).tolist()
    return found
