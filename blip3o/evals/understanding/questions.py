"""What the benchmarks of questions about images share: where their items come from, and accuracy by parts."""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from blip3o.evals import tables
from blip3o.evals.benchmark import Benchmark, Item, Metrics


class QuestionBenchmark(Benchmark):
    """Questions of one image each, read from the official files where they are there, else from the mirror's."""

    kind = "understanding"
    title: ClassVar[str]
    """What errors call the data set."""
    questions: ClassVar[str] = ""
    """The official file of questions; "" where the official files are Parquet as well."""
    parquet: ClassVar[tuple[str, ...]] = ("test-*.parquet", "*.parquet")
    """Patterns of Parquet files; the first that any file matches counts."""

    def items(self, folder: Path) -> list[Item]:
        path = tables.find(folder, self.questions) if self.questions else None
        if path is not None:
            return self.official_items(folder, path)
        rows = tables.read_rows(folder, self.title, *self.parquet)
        return [self.item(row, tables.picture(tables.column(row, folder, "image"), folder), folder) for row in rows]

    def official_items(self, folder: Path, path: Path) -> list[Item]:
        """The items of the official file of questions."""
        raise NotImplementedError(f"{self.name} has no official file of questions")

    @abstractmethod
    def item(self, row: tables.Row, image: tables.PictureSource, source: Path) -> Item:
        """The item of a row. `source`: the file or folder that errors name."""


def percentages(scores: Iterable[tuple[str, float]]) -> Metrics:
    """The mean of the scores (0 to 1) of each name in percent, in order of first appearance."""
    parts: dict[str, list[float]] = defaultdict(list)
    for name, score in scores:
        parts[name].append(score)
    return {name: 100 * sum(part) / len(part) for name, part in parts.items()}
