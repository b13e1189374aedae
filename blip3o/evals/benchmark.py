"""What every benchmark offers: its items, what is asked of a model, how an answer is scored, and what the scores say.

A benchmark is one file. It reads the official files of its data set or the mirror of them on the Hub, or makes its
items itself, and knows nothing of models, of batches or of files of results: those are the harness's.
"""

import hashlib
import random
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.candidate import Candidate
from blip3o.evals.tables import PictureSource

BenchmarkKind = Literal["understanding", "generation", "editing", "mixed"]
"""What is asked for: words about pictures, pictures of words, changed pictures, or each in its turn."""
Answer = str | tuple[Path | str, ...]
"""Words; or the files of pictures, and in a conversation the words between them. "" and () are missing answers."""
Response = str | Sequence[Image.Image | str]
"""An answer as the model gives it, its pictures not yet in files."""
Metrics = dict[str, float]
"""Name of a number -> the number, on the scale that the benchmark publishes; a part of a metric is "metric/part"."""
RESAMPLES = 1000
"""Drawn data sets behind an interval; fewer for large ones, to keep RESAMPLES * 2,000 items."""
LEAST_RESAMPLES = 100


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question of a benchmark."""

    id: str
    """Its own within the benchmark."""
    prompt: str
    """What the model is asked, word for word."""
    pictures: tuple[PictureSource, ...] = ()
    category: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What scoring and metrics need to know: right answers, kinds of question. Values that JSON can hold."""
    unit: str = ""
    """Items that belong together (two questions about one picture, say) bear the name of their unit; "" is by itself.

    Intervals come from drawing whole units again and again; a unit that is drawn twice gets two names. What metrics put
    together they must find by this name alone.
    """
    count: int = 1
    """Pictures to draw of the prompt."""
    files: tuple[str, ...] = ()
    """Names of the drawn pictures, where official tools expect such; () makes them of the id."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of one answer."""

    score: float
    """What the item counts; on the scale of the benchmark, mostly 0 to 1."""
    parsed: Any = None
    """What was understood of the answer; a value that JSON can hold."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the metrics need beyond the score, and what a reader of failures wants to see: JSON values."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """An item with its answer and what came of it."""

    item: Item
    answer: Answer
    verdict: Verdict | None
    """None: not scored, for want of a judge."""

    @property
    def score(self) -> float | None:
        """What it counts; None where it is not scored."""
        return None if self.verdict is None else self.verdict.score


@dataclass(frozen=True, kw_only=True)
class JudgeCall:
    """The settings of one call to a judge."""

    system: str = ""
    temperature: float = 0.0
    max_tokens: int = 512
    attempt: int = 0
    think: bool = True
    """Without it, a model that would reason first is told not to: its tokens are for the answer alone."""


USUAL = JudgeCall()


@runtime_checkable
class Judge(Protocol):
    """A model that is asked what another one's answer is worth, or what is in a picture."""

    name: str
    """Which model it is, for the results."""

    def ask(self, prompt: str, pictures: Sequence[Image.Image] = (), settings: JudgeCall = USUAL) -> str:
        """Its reply. The same request with the same number of the `attempt` gives the same reply, from a cache.

        Raises JudgeError where a reply cannot be had now, and JudgeRefusalError where the judge has none for this
        request.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """What a user chooses beyond the protocol; each benchmark says in `heeds` what of it has an effect on it."""

    judge: Judge | None = None
    ready: Path | None = None
    """What a detector or a judge found elsewhere, as JSON."""
    detector: str | None = None
    """That looks at pictures: its name, "" for the usual one."""
    device: str = "cpu"
    """For the detector."""
    groups: Sequence[str] | None = None
    """Of the items, those that are asked; None for all."""
    seed: int = 0
    """Of a benchmark that makes its items."""

    @property
    def ready_name(self) -> str:
        """The name of the ready file, or folder of files, and what tells it from another one of that name. Raises
        DataError where it cannot be read."""
        assert self.ready is not None
        files = sorted(self.ready.rglob("*.json")) if self.ready.is_dir() else [self.ready]
        try:
            content = b"".join(path.read_bytes() for path in files)
        except OSError as error:
            raise DataError(f"{self.ready} cannot be read ({error.strerror}): name a JSON file with --ready") from error
        return f"{self.ready.name} {hashlib.sha256(content).hexdigest()[:12]}"


class Benchmark(ABC):
    """A benchmark by one of its protocols."""

    name: ClassVar[str]
    kind: ClassVar[BenchmarkKind]
    protocols: ClassVar[tuple[str, ...]]
    """Ways of asking and scoring that give different numbers; the first is meant where none is named."""
    has_data: ClassVar[bool] = True
    """Whether its items are read from a folder; else it makes them."""
    mirror: ClassVar[str] = ""
    """Its data set on the Hub, owner/name; "" for none."""
    wanted: ClassVar[tuple[str, ...]] = ("*",)
    """Patterns of the mirror's files that are read: those of one split, where it has others."""
    needs_judge: ClassVar[bool] = False
    heeds: ClassVar[frozenset[str]] = frozenset()
    """Fields of `BenchmarkOptions` that have an effect on it, beside the judge."""
    max_tokens: ClassVar[int] = 128
    """Of an answer in words."""

    def __init__(self, protocol: str, judge: Judge | None = None) -> None:
        self.protocol, self.judge = protocol, judge
        self.scorer: str | None = None if judge is None else judge.name
        """Who looks at the answers besides the rules, for the results; answers that another one scored are scored anew.
        """

        self.read = ""
        """The file of its questions, where data come under several names; for the results, once the items are read."""

    @classmethod
    def build(cls, protocol: str, options: BenchmarkOptions) -> "Benchmark":
        """The benchmark as a user chooses it. Raises ConfigError for options that exclude each other."""
        return cls(protocol, options.judge if cls.needs_judge else None)

    @abstractmethod
    def items(self, folder: Path) -> list[Item]:
        """The items of the data set in a folder, in its own order.

        Raises DataError for files that are missing, partial or of another data set.
        """

    def first(self, items: Sequence[Item], limit: int | None) -> Sequence[Item]:
        """Those of all items that are to be asked: the first ones, None for all."""
        return items[:limit]

    def batches(self, items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
        """Those that are asked together, `size` at most; the answers to a batch are kept when all of it is answered."""
        for begin in range(0, len(items), size):
            yield items[begin : begin + size]

    def ask(self, items: Sequence[Item], candidate: Candidate, seed: int) -> Sequence[Response]:
        """A model's response to each item, every picture from a seed of its own. Raises PromptError, PictureError."""
        prompts = [item.prompt for item in items for _ in range(item.count)]
        seeds = [item_seed(seed, item.id, index) for item in items for index in range(item.count)]
        if self.kind == "generation":
            images = iter(candidate.generate(prompts, seed=seeds))
            return [[next(images) for _ in range(item.count)] for item in items]
        pictures = [[tables.opened(picture) for picture in item.pictures] for item in items]
        if self.kind == "editing":
            return [[image] for image in candidate.edit(pictures, prompts, seed=seeds)]
        return candidate.understand(pictures, prompts, max_tokens=self.max_tokens)

    @abstractmethod
    def score(self, item: Item, answer: Answer) -> Verdict | None:
        """What an answer is worth. None where that takes a judge and there is none. A missing answer scores what the
        official rule gives it, and no judge is asked. Raises JudgeError where the judge fails, JudgeRefusalError where
        it has no opinion on this item."""

    @abstractmethod
    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """The numbers of scored records, the one that is published first; `records` is not empty and may be a part of
        the data set."""

    def numbers(self, records: Sequence[Record]) -> dict[str, Any]:
        """The metrics with their 95 % intervals, as the result tells them: by the bootstrap over units."""
        return with_intervals(self.aggregate, records)

    def report(self, records: Sequence[Record], candidate: Callable[[], Candidate]) -> dict[str, Any]:
        """Further fields of the result, JSON values; asks the candidate only where it must, for it may not be open."""
        return {}


def scored(records: Sequence[Record]) -> list[tuple[Item, Verdict]]:
    """The items of the records that are scored, each with what came of it."""
    return [(record.item, record.verdict) for record in records if record.verdict is not None]


def means(values: Iterable[tuple[str, float]]) -> Metrics:
    """The mean of the values of each name, in order of their first appearance."""
    parts: dict[str, list[float]] = defaultdict(list)
    for name, value in values:
        parts[name].append(value)
    return {name: sum(part) / len(part) for name, part in parts.items()}


def item_seed(seed: int, item: str, index: int) -> int:
    """The seed of one picture of an item."""
    return random.Random(f"benchmark/{seed}/{item}/{index}").randrange(2**31)


def with_intervals(
    metrics: Callable[[Sequence[Record]], Metrics], records: Sequence[Record]
) -> dict[str, dict[str, float | None]]:
    """Every metric with its 95 % interval: percentiles over data sets drawn unit by unit from this one."""
    units: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        units[record.item.unit].append(record)
    groups = list(units.values())
    draws = max(LEAST_RESAMPLES, min(RESAMPLES, RESAMPLES * 2000 // len(records)))
    rng = np.random.default_rng(0)
    drawn: dict[str, list[float]] = defaultdict(list)
    for _ in range(draws if len(groups) > 1 else 0):  # one unit drawn again and again is always the same data set
        for name, value in metrics(_redrawn(groups, rng)).items():
            drawn[name].append(value)
    return {name: _interval(value, drawn[name]) for name, value in metrics(records).items()}


def _redrawn(groups: list[list[Record]], rng: np.random.Generator) -> list[Record]:
    """As many units as there are, drawn with replacement; one that is drawn again gets another name."""
    counts = np.bincount(rng.integers(len(groups), size=len(groups)), minlength=len(groups))
    return [
        replace(record, item=replace(record.item, unit=f"{again}/{record.item.unit}")) if again else record
        for group, count in zip(groups, counts, strict=True)
        for again in range(count)
        for record in group
    ]


def _interval(value: float, drawn: Sequence[float]) -> dict[str, float | None]:
    finite = [one for one in drawn if isfinite(one)]
    low, high = np.percentile(finite, [2.5, 97.5]).tolist() if finite else (None, None)
    return {"value": value if isfinite(value) else None, "low": low, "high": high}
