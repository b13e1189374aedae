"""What the benchmarks of questions about images share: their instructions, and where their items come from."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from blip3o.evals import tables
from blip3o.evals.benchmark import Benchmark, Item

SHORT = "\nAnswer the question using a single word or phrase."
"""The instructions that the field puts after a question (LLaVA-1.5, arXiv 2310.03744, table 10)."""
LETTER = "\nAnswer with the option's letter from the given choices directly."


class QuestionBenchmark(Benchmark):
    """Questions about images, read from the official files where they are there, else from the mirror's."""

    kind = "understanding"
    title: ClassVar[str]
    """What errors call the data set."""
    questions: ClassVar[tuple[str, ...]] = ()
    """The official file of questions, by its patterns; () where the official files are Parquet as well."""
    parquet: ClassVar[tuple[str, ...]] = ("test*.parquet", "*.parquet")
    """Patterns of Parquet files; the first that any file matches counts."""

    def items(self, folder: Path) -> list[Item]:
        path = tables.find(folder, *self.questions)
        if path is not None:
            return self.official_items(folder, path)
        rows = tables.read_rows(folder, self.title, *self.parquet)
        return [self.item(row, _images(row, folder), folder) for row in rows]

    def official_items(self, folder: Path, path: Path) -> list[Item]:
        """The items of the official file of questions."""
        raise NotImplementedError(f"{self.name} has no official file of questions")

    @abstractmethod
    def item(self, row: tables.Row, images: tuple[tables.PictureSource, ...], source: Path) -> Item:
        """The item of a row. `source`: the file or folder that errors name."""


def _images(row: tables.Row, source: Path) -> tuple[tables.PictureSource, ...]:
    """The image of a mirror's row, or the frames of a video."""
    cell = tables.column(row, source, "image")
    return tuple(tables.picture(one, source) for one in (cell if isinstance(cell, list) else [cell]))
