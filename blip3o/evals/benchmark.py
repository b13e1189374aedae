"""What every benchmark offers: its items, what is asked of a model, how an answer is scored, and what the scores say.

A benchmark is one file. It reads the official files of its data set or the mirror of them on the Hub, and knows nothing
of models, of batches or of files of results: those are the harness's.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from PIL import Image

from blip3o.evals.tables import PictureSource

Kind = Literal["understanding", "generation", "editing"]
"""What is asked for: words about pictures, pictures of words, or changed pictures."""
Metrics = dict[str, float]
"""Name of a number -> the number, on the scale that the benchmark publishes; a part of a metric is "metric/part"."""


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
class Sample:
    """An item with its answer and what came of it."""

    item: Item
    answer: str | tuple[Path, ...]
    """Words, or the files of pictures."""
    verdict: Verdict | None
    """None: not scored, for want of a judge."""


@runtime_checkable
class Judge(Protocol):
    """A model that is asked what another one's answer is worth, or what is in a picture."""

    @property
    def name(self) -> str:
        """Which model it is, for the results."""
        ...

    def ask(
        self,
        prompt: str,
        pictures: Sequence[Image.Image] = (),
        *,
        system: str = "",
        temperature: float = 0.0,
        max_tokens: int = 512,
        attempt: int = 0,
        think: bool = True,
    ) -> str:
        """Its reply. The same request with the same number of the `attempt` gives the same reply, from a cache.

        Without `think`, a model that would reason first is told not to: its tokens are for the answer alone. Raises
        JudgeError where a reply cannot be had now, and JudgeRefusalError where the judge has none for this request.
        """
        ...


class Benchmark(ABC):
    """A benchmark by one of its protocols."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    protocols: ClassVar[tuple[str, ...]]
    """Ways of asking and scoring that give different numbers; the first is meant where none is named."""
    mirror: ClassVar[str]
    """Its data set on the Hub, owner/name."""
    wanted: ClassVar[tuple[str, ...]] = ("*",)
    """Patterns of the mirror's files that are read: those of one split, where it has others."""
    needs_judge: ClassVar[bool] = False
    max_tokens: ClassVar[int] = 128
    """Of an answer in words."""

    def __init__(self, protocol: str, judge: Judge | None = None) -> None:
        self.protocol, self.judge = protocol, judge
        self.scorer: str | None = None if judge is None else judge.name
        """Who looks at the answers besides the rules, for the results; answers that another one scored are scored anew.
        """

        self.read = ""
        """The file of its questions, where data come under several names; for the results, once the items are read."""

    @abstractmethod
    def items(self, folder: Path) -> list[Item]:
        """The items of the data set in a folder, in its own order.

        Raises DataError for files that are missing, partial or of another data set.
        """

    @abstractmethod
    def score(self, item: Item, answer: str | tuple[Path, ...]) -> Verdict | None:
        """What an answer is worth: words, or the files of the pictures drawn. None where that takes a judge and there
        is none. A missing answer ("" or ()) scores what the official rule gives it, and no judge is asked. Raises
        JudgeError where the judge fails, JudgeRefusalError where it has no opinion on this item."""

    @abstractmethod
    def metrics(self, samples: Sequence[Sample]) -> Metrics:
        """The numbers of scored samples, the one that is published first; `samples` is not empty and may be a part of
        the data set."""
