"""TextVQA: questions about writing in pictures, each answered by ten people (Singh and others, arXiv 1904.08920).

The words that a reader of text found are not shown to the model.
"""

from collections.abc import Sequence
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Item, Metrics, Record, Verdict, means, scored
from blip3o.evals.understanding import words
from blip3o.evals.understanding.prompts import SHORT
from blip3o.evals.understanding.questions import QuestionBenchmark


def share(answer: str, people: Sequence[str]) -> float:
    """How right an answer is, 0 to 1; both sides are normalised, also where all people agree."""
    return words.agreement(words.evalai(answer), [words.evalai(person) for person in people])


class TextVqa(QuestionBenchmark):
    """Reads `TextVQA_0.5.1_val.json` and the pictures of `train_images`, or the mirror's validation files."""

    name = "textvqa"
    title = "TextVQA's validation split"
    questions = "TextVQA_0.5.1_val.json"
    parquet = ("validation-*.parquet",)
    protocols = ("official",)
    mirror = "lmms-lab/textvqa"
    wanted = ("*validation-*.parquet",)

    def official_items(self, folder: Path, path: Path) -> list[Item]:
        images = tables.PictureFolder(folder)
        return [self.item(row, images[f"{row['image_id']}.jpg"], path) for row in tables.read_json(path)["data"]]

    def item(self, row: tables.Row, image: tables.PictureSource, source: Path) -> Item:
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
        return {"accuracy": 100 * means(("", verdict.score) for _, verdict in scored(records))[""]}
