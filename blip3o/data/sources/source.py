"""A source: samples by their numbers, and the conversations that are made of them."""

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from blip3o.config import check
from blip3o.data.array_store import KeptFeatures
from blip3o.data.blocks import Blocks
from blip3o.data.rows import RowError, SourceRow, read_row, texts_of
from blip3o.data.sample import Sample, SampleError
from blip3o.data.split import SamplePart, Split
from blip3o.errors import ConfigError
from blip3o.processing.conversation import DESCRIBE, Conversation, Picture, Turn


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
    split: Split | None = None
    """Which samples are held out from training; None: none are."""
    tasks: ClassVar[tuple[str, ...]] = ("draw", "caption")
    """The conversations that can be made of it."""

    @classmethod
    def tasks_of(cls, config: Any) -> tuple[str, ...]:
        """The conversations that can be made of a source of this config; known before anything is opened."""
        return cls.tasks

    def __init__(self, config: Any, progress: Callable[[int, int], None] | None = None) -> None:
        """Find or make the samples; `progress` gets how many of how many steps of that are done."""
        self.config = config
        self.features = None
        self.features_folder: Path | None = None
        """Where features are kept that are too large for memory; None keeps them in memory all the same."""

    @property
    def features(self) -> KeptFeatures | None:
        """Features of all pictures [sample, channel, rows, columns]; None until they are encoded."""
        return self._features

    @features.setter
    def features(self, features: KeptFeatures | None) -> None:
        self._features = features

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Sample `index`, counted from 0. Raises SampleError for one that cannot be trained on."""

    def length(self, task: str) -> int:
        """How many samples a task runs through before it sees one again: its indices are counted from 0 to this."""
        return len(self)

    def groups(self) -> np.ndarray:
        """Of each sample the number of its group. Samples that show the same things are one group, for either all of
        them or none are held out."""
        return np.arange(len(self))

    def held_out(self, split: Split, task: str = "") -> np.ndarray:
        """Whether each sample of a task (empty: of the source) is held out, as booleans."""
        return split.held_out(self.groups())

    def indices(self, part: SamplePart, tasks: Iterable[str] = ("",)) -> dict[str, np.ndarray]:
        """Task -> the indices of its samples in this part; empty where none are held out. Tasks without a sample that
        is held out are missing there. Raises ConfigError for tasks without a sample to learn from, and where no task
        has one that is held out."""
        if self.split is None:
            return {}
        if any(isinstance(self.extent(task or None), Blocks) for task in tasks):
            raise ConfigError("validation.share takes samples that can be sought, not streamed ones: name a source")
        masks = {task: self.held_out(self.split, task) == (part == "held out") for task in tasks}
        usable = {task: np.flatnonzero(mask) for task, mask in masks.items() if mask.any()}
        if not usable or (part == "training" and len(usable) < len(masks)):
            missing = "to validate on" if part == "held out" else "to learn from"
            raise ConfigError(
                f"validation.share is {self.split.share}, which leaves no sample {missing}: choose another share, or "
                "name a validation.source"
            )
        return usable

    def extent(self, task: str | None = None) -> int | Blocks:
        """The samples of a task, or those whose pictures are learned by themselves, which come first: how many there
        are, or the blocks that they are read in, where single ones cannot be sought."""
        return len(self) if task is None else self.length(task)

    def vocabulary(self) -> tuple[str, ...] | None:
        """All words and punctuation marks of its conversations, where these are few: a model that is trained on it from
        nothing knows just them. None: its tokenizer is learned from `texts`."""
        return None

    def texts(self) -> Iterable[str]:
        """What is written in it, for a tokenizer to learn from."""
        return (caption for index in range(len(self)) for caption in self[index].captions)

    def picture(self, index: int) -> Picture:
        """The picture of sample `index`, of a conversation its last one, with its features where they are encoded.
        Raises SampleError for none."""
        picture = _picture(self[index])
        return picture if self.features is None else replace(picture, features=self.features[index])

    def conversation(self, task: str, index: int, rng: random.Random) -> Conversation:
        """A conversation of a task (one of `tasks`) of sample `index`, whose last turn is to be learned. Raises
        SampleError where the sample admits none."""
        sample = self[index]
        if task not in ("draw", "caption"):
            if not sample.conversation:
                raise SampleError("no conversation", *sample.place)
            *before, last = sample.conversation
            if self.features is None or not isinstance(picture := last.content[-1], Picture):
                return sample.conversation
            drawn = replace(picture, features=self.features[index])
            return *before, replace(last, content=(*last.content[:-1], drawn))
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


@dataclass(frozen=True, kw_only=True)
class RowSourceConfig(SourceConfig):
    """Where the rows are, and how their columns are called."""

    path: str
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our name of a column -> the name it has in the data, where that is another one: `{caption: alt_text}`."""
    captions: Literal["any", "longest", "shortest"] = "any"
    """Which of several captions of a picture is used: one drawn at random, or by its length."""
    caption_dropout: float = 0.0
    """Share of the pictures that are drawn of an empty prompt, 0 to 1."""

    def __post_init__(self) -> None:
        check(
            (bool(self.path), "path is empty: name the data"),
            (0 <= self.caption_dropout < 1, f"caption_dropout is {self.caption_dropout}, expected 0 to less than 1"),
        )


class RowSource(Source):
    """Rows in files. A subclass finds them; how a row becomes a sample is the same for all (rows.py)."""

    config: Any
    tasks: ClassVar[tuple[str, ...]] = ("draw", "caption", "chat", "edit")

    @abstractmethod
    def row(self, index: int) -> SourceRow:
        """SourceRow `index` as it stands in the data. Raises RowError for one that cannot be read, OSError."""

    @abstractmethod
    def place(self, index: int) -> tuple[str, str]:
        """The file that row `index` lies in, and its address there, for messages."""

    def open_image(self, index: int, value: Any) -> Any:
        """An image column's value as what can be opened: bytes as they are, a name as a file."""
        return value["bytes"] if isinstance(value, Mapping) and value.get("bytes") else value

    def __getitem__(self, index: int) -> Sample:
        """Raises SampleError for a row that cannot be trained on."""
        place = self.place(index)
        try:
            return read_row(self._renamed(self.row(index)), partial(self.open_image, index), place)
        except RowError as error:
            raise SampleError(error.reason, *place, error.detail) from None
        except OSError as error:
            raise SampleError("unreadable file", *place, error.strerror or str(error)) from None

    def texts(self) -> Iterator[str]:
        """All texts of all rows, faulty rows left out; no image is opened."""
        for index in range(len(self)):
            try:
                yield from texts_of(self._renamed(self.row(index)))
            except (RowError, OSError):
                continue

    def conversation(self, task: str, index: int, rng: random.Random) -> Conversation:
        """As of any source; the prompt of a picture is dropped as often as the config says."""
        conversation = super().conversation(task, index, rng)
        if task == "draw" and rng.random() < self.config.caption_dropout:
            return Turn("user", ("",)), *conversation[1:]
        return conversation

    def caption(self, sample: Sample, rng: random.Random) -> str:
        """The caption that the config chooses."""
        if self.config.captions == "any" or not sample.captions:
            return super().caption(sample, rng)
        return (max if self.config.captions == "longest" else min)(sample.captions, key=len)

    def named_row(self, index: int) -> SourceRow:
        """SourceRow `index` under our names of its columns, beside those that it has in the data. Raises RowError for
        one that cannot be read, OSError."""
        return self._renamed(self.row(index))

    def _renamed(self, row: SourceRow) -> SourceRow:
        return {**row, **{ours: row[theirs] for ours, theirs in self.config.columns.items() if theirs in row}}


def beside(folder: Path, name: Any) -> Any:
    """An image that a row names, as a file below a folder; anything else as it is."""
    return folder / name if isinstance(name, str | os.PathLike) else name


def _picture(sample: Sample) -> Picture:
    if not sample.pictures:
        raise SampleError("no image", *sample.place)
    return sample.pictures[-1]
