"""A source: samples by their numbers, and the conversations that are made of them."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from blip3o.data.sample import Sample, SampleError
from blip3o.processing.conversation import Conversation, Picture, Turn

DESCRIBE = "describe this picture."
"""What is asked of a picture where a caption is the answer."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """What is written under a recipe's `source`."""

    kind: str
    """The source's class: a key of SOURCES, or `module:Class`."""


class Source(ABC):
    """Samples by number; the same number always gives the same sample.

    A subclass annotates `config` with a `SourceConfig` of its own, which a recipe's `source` is read into.
    """

    config: Any
    tasks: ClassVar[tuple[str, ...]] = ("draw", "caption")
    """The conversations that can be made of it."""

    def __init__(self, config: Any, progress: Callable[[int, int], None] | None = None) -> None:
        """Find or make the samples; `progress` gets how many of how many steps of that are done."""
        self.config = config
        self.features: np.ndarray | None = None
        """Features of all pictures [sample, channel, rows, columns], once they are encoded."""

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, counted from 0. Raises SampleError for one that cannot be trained on."""

    def vocabulary(self) -> tuple[str, ...] | None:
        """All words and punctuation marks of its conversations, where these are few: a model that is trained on it from
        nothing knows just them. None: its tokenizer is learned from `texts`."""
        return None

    def texts(self) -> Iterable[str]:
        """What is written in it, for a tokenizer to learn from."""
        return (caption for index in range(len(self)) for caption in self[index].captions)

    def picture(self, index: int) -> Picture:
        """The picture of sample `index`, with its features where they are encoded. Raises SampleError for none."""
        picture = _picture(self[index])
        return picture if self.features is None else replace(picture, features=self.features[index])

    def conversation(self, task: str, index: int, rng: random.Random) -> Conversation:
        """A conversation of a task (one of `tasks`) of sample `index`, whose last turn is to be learned. Raises
        SampleError where the sample admits none."""
        sample = self[index]
        if task not in ("draw", "caption"):
            if not sample.conversation:
                raise SampleError("no conversation", *sample.place)
            return sample.conversation
        picture = _picture(sample)
        if self.features is not None:
            picture = replace(picture, features=self.features[index])
        caption = self.caption(sample, rng)
        request, answer = ((caption,), picture) if task == "draw" else ((picture, DESCRIBE), caption)
        return Turn("user", request), Turn("assistant", (answer,))

    def caption(self, sample: Sample, rng: random.Random) -> str:
        """One of a sample's captions."""
        if not sample.captions:
            raise SampleError("no caption", *sample.place)
        return rng.choice(sample.captions)


def _picture(sample: Sample) -> Picture:
    if sample.picture is None:
        raise SampleError("no image", *sample.place)
    return sample.picture
