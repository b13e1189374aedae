"""Several sources as one: a run learns from all of them, each task of each by a weight of its own."""

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from blip3o.config import check
from blip3o.data.array_store import Features
from blip3o.data.sample import Sample
from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import Source, SourceConfig
from blip3o.errors import ConfigError, DataError
from blip3o.plugins import build, find, read_config
from blip3o.processing.conversation import Conversation, Picture


@dataclass(frozen=True, kw_only=True)
class SourceMixtureConfig(SourceConfig):
    """The sources by names of your own."""

    kind: Literal["mixture"] = "mixture"
    sources: dict[str, Any]
    """Name -> what would stand under `source` if it were the only one. Its tasks are called `name.task` in a stage,
    and a name may not hold a dot."""

    def __post_init__(self) -> None:
        read, faults = dict(self.sources), []
        for name, values in self.sources.items():
            try:
                if not isinstance(values, SourceConfig):
                    read[name] = read_config(values, SOURCES, Source, f"sources.{name}")
            except ConfigError as error:
                faults.append(str(error))
        object.__setattr__(self, "sources", read)
        check(
            (bool(self.sources), "sources is empty: name at least one"),
            *(
                (name != "" and "." not in name, f"a source is called {name!r}: leave dots out")
                for name in self.sources
            ),
            *((False, fault) for fault in faults),
        )


class SourceMixture(Source):
    """The samples of all sources, one source after the other.

    Each task runs through its own source alone, so that sources of any lengths are mixed by the weights of their tasks.
    What is drawn from all samples, such as the pictures of an autoencoder, is drawn from each source by its size.
    """

    config: SourceMixtureConfig

    def __init__(self, config: SourceMixtureConfig, progress: Callable[[int, int], None] | None = None) -> None:
        self.sources = {name: _opened(name, source, progress) for name, source in config.sources.items()}
        self._ends = list(accumulate(len(source) for source in self.sources.values()))
        super().__init__(config, progress)

    @classmethod
    def tasks_of(cls, config: SourceMixtureConfig) -> tuple[str, ...]:
        classes = {name: (find(source.kind, SOURCES, Source), source) for name, source in config.sources.items()}
        return tuple(f"{name}.{task}" for name, (kind, source) in classes.items() for task in kind.tasks_of(source))

    def __len__(self) -> int:
        return self._ends[-1]

    def length(self, task: str) -> int:
        source, task = self._of(task)
        return source.length(task)

    def __getitem__(self, index: int) -> Sample:
        source, index = self._at(index)
        return source[index]

    @property
    def features(self) -> Features | None:
        """Those of all sources, one after the other; setting them sets those of each source, without a copy."""
        return self._features

    @features.setter
    def features(self, features: Features | None) -> None:
        self._features = features
        starts = [0, *self._ends]
        for source, start, end in zip(self.sources.values(), starts, self._ends, strict=False):
            source.features = None if features is None else features[start:end]

    def vocabulary(self) -> tuple[str, ...] | None:
        """The words of all sources; None where one of them has too many to list."""
        listed = [source.vocabulary() for source in self.sources.values()]
        known = [words for words in listed if words is not None]
        return tuple(sorted({word for words in known for word in words})) if len(known) == len(listed) else None

    def texts(self) -> Iterator[str]:
        """The texts of all sources, and the words of those that list them."""
        for source in self.sources.values():
            yield from source.vocabulary() or ()
            yield from source.texts()

    def picture(self, index: int) -> Picture:
        source, index = self._at(index)
        return source.picture(index)

    def conversation(self, task: str, index: int, rng: random.Random) -> Conversation:
        """`index` counts the samples of the task's own source."""
        source, task = self._of(task)
        return source.conversation(task, index, rng)

    def _of(self, task: str) -> tuple[Source, str]:
        name, _, task = task.partition(".")
        return self.sources[name], task

    def _at(self, index: int) -> tuple[Source, int]:
        number = bisect_right(self._ends, index)
        return list(self.sources.values())[number], index - [0, *self._ends][number]


def _opened(name: str, config: Any, progress: Callable[[int, int], None] | None) -> Source:
    try:
        source = build(config, SOURCES, Source, progress)
    except (ConfigError, DataError) as error:
        raise type(error)(f"source {name!r}: {error}") from None
    if not len(source):
        raise DataError(f"source {name!r} holds no samples: leave it out, or name other data")
    return source
