"""What benchmarks of edits share: the judge and its prompts, read from the user's checkout, and the tables of edits."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Judge, Verdict

TEMPERATURE = 1.0
"""The official scripts name none, which to an OpenAI-compatible server means 1."""


class EditBenchmark(Benchmark):
    """Edits that a judge scores; an edit without an image is left out of the numbers, as officially."""

    kind = "editing"
    needs_judge = True

    def __init__(self, protocol: str, judge: Judge | None = None) -> None:
        super().__init__(protocol, judge)
        self.prompts: Mapping[str, str] = {}
        """For the judge, by name; read with the items where there is a judge."""

    def score(self, item: Item, answer: Answer) -> Verdict | None:
        if self.judge is None:
            return None
        if not answer or isinstance(answer, str):
            return Verdict(score=0.0)
        return self.judged(self.judge, item, Path(answer[0]))

    @abstractmethod
    def judged(self, judge: Judge, item: Item, edit: Path) -> Verdict:
        """The judge's verdict on the file of an edited image."""


def checkout_prompts(folder: Path, what: str, names: Sequence[str], *patterns: str) -> Mapping[str, str]:
    """The prompts of these names, of the first Python file below a folder that matches. Raises DataError."""
    path = tables.need(folder, f"{what}'s judge prompts (of its repository)", *patterns)
    found = tables.read_strings(path)
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path} has no {', '.join(missing)}: is it the file of {what}'s repository?")
    return found


def keyed_rows(path: Path) -> dict[str, tables.Row]:
    """A JSON table of edits by key. Raises DataError for another thing."""
    rows = tables.read_json(path)
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise DataError(f"{path} is no table of edits by key: is it of another data set?")
    return rows
