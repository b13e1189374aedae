"""TextVQA: questions about writing in pictures, each answered by ten people (Singh and others, arXiv 1904.08920).

The words that a reader of text found are not shown to the model.
"""

from collections.abc import Sequence
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Metrics, Record, Verdict
from blip3o.evals.understanding import words
from blip3o.evals.understanding.prompts import SHORT

VALIDATION = "TextVQA_0.5.1_val.json"


def share(answer: str, given: Sequence[str]) -> float:
    """How right an answer is, 0 to 1; both sides are normalised, also where all people agree."""
    return words.agreement(words.evalai(answer), [words.evalai(one) for one in given])


def mean(scores: Sequence[float]) -> float:
    """The accuracy of all questions, 0 to 1."""
    return sum(scores) / len(scores)


class TextVqa(Benchmark):
    """Reads `TextVQA_0.5.1_val.json` and the pictures of `train_images`, or the mirror's validation files."""

    name = "textvqa"
    kind = "understanding"
    protocols = ("official",)
    mirror = "lmms-lab/textvqa"
    wanted = ("*validation-*.parquet",)

    def items(self, folder: Path) -> list[Item]:
        path = tables.find(folder, VALIDATION)
        if path is None:
            return self._mirrored(folder)
        pictures = tables.PictureFolder(folder)
        rows = tables.read_json(path)["data"]
        return [self._item(row, pictures[f"{row['image_id']}.jpg"], path) for row in rows]

    def _mirrored(self, folder: Path) -> list[Item]:
        rows = tables.read_rows(folder, "TextVQA's validation split", "validation-*.parquet")
        return [self._item(row, tables.picture(tables.column(row, folder, "image"), folder), folder) for row in rows]

    def _item(self, row: tables.Row, image: tables.PictureSource, source: Path) -> Item:
        if not row.get("answers"):
            raise DataError(f"{source} has no answers: take the validation split, for those of test are hidden")
        return Item(
            id=str(row["question_id"]),
            prompt=tables.column(row, source, "question").capitalize() + SHORT,
            pictures=(image,),
            facts={"answers": list(row["answers"])},
        )

    def score(self, item: Item, answer: Answer) -> Verdict:
        return Verdict(score=share(str(answer), item.facts["answers"]), parsed=words.evalai(str(answer)))

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Accuracy in percent, as published."""
        return {"accuracy": 100 * mean([record.verdict.score for record in records if record.verdict])}
