"""A source: samples by their numbers, and the conversations that are made of them."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from blip3o.processing.conversation import Conversation, Picture, Turn

DESCRIBE = "describe this picture."
"""The prompt beside a picture whose caption is the answer."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """What is written under a recipe's `source`."""

    kind: str
    """The source's class: a key of SOURCES, or `module:Class`."""


@dataclass(frozen=True, kw_only=True)
class CaptionedPicture:
    """A picture and its caption."""

    picture: Picture
    caption: str


class Source(ABC):
    """Samples by number; the same number always gives the same sample.

    A subclass annotates `config` with a `SourceConfig` of its own, which a recipe's `source` is read into.
    """

    config: Any
    tasks: ClassVar[tuple[str, ...]] = ("draw", "caption")
    """The conversations that can be made of it."""

    def __init__(self, config: Any, progress: Callable[[int, int], None] | None = None) -> None:
        """Open or generate the samples; `progress` gets the steps done and the steps in all."""
        self.config = config
        self.features: np.ndarray | None = None
        """Features of all pictures [sample, channel, rows, columns], once they are encoded."""

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def __getitem__(self, index: int) -> CaptionedPicture:
        """Sample `index`, counted from 0."""

    @abstractmethod
    def vocabulary(self) -> tuple[str, ...]:
        """All words and punctuation marks of its conversations: those that a model trained on it from nothing knows."""

    def picture(self, index: int) -> Picture:
        """The picture of sample `index`, with its features where they are encoded."""
        picture = self[index].picture
        return picture if self.features is None else replace(picture, features=self.features[index])

    def conversation(self, task: str, rng: random.Random) -> Conversation:
        """A random conversation of a task (one of `tasks`), whose last turn is to be learned."""
        index = rng.randrange(len(self))
        picture, caption = self.picture(index), self[index].caption
        prompt, answer = ((caption,), picture) if task == "draw" else ((picture, DESCRIBE), caption)
        return Turn("user", prompt), Turn("assistant", (answer,))
