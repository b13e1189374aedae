"""POPE: does the model see what is not there? Yes-or-no questions about objects (Li and others, arXiv 2305.10355).

Three settings, by how the absent objects were chosen: at random, among frequent ones, among those that often stand
beside what is there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Item, Metrics, Record, Verdict
from blip3o.evals.understanding.prompts import SHORT
from blip3o.evals.understanding.questions import QuestionBenchmark

SETTINGS = ("random", "popular", "adversarial")


def official(answer: str) -> str:
    """The repository's rule: "no" where the first sentence has the word No, not or no; else "yes"."""
    words = answer.partition(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def plain(answer: str) -> str:
    """lmms-eval's rule: the answer as it stands, in small letters."""
    return answer.lower().strip()


def counted(labels: Sequence[str], answers: Sequence[str], *, bare: bool = False) -> Metrics:
    """Accuracy, precision, recall and F1 of "yes", and its share among the answers, each 0 to 1.

    nan where none is predicted or none is right, where the official script divides by zero. `bare` counts as lmms-eval
    does: 0 in place of nan, only a bare "no" misses a yes, and the share is that of the labels.
    """
    pairs = list(zip(labels, answers, strict=True))
    hits, false = pairs.count(("yes", "yes")), pairs.count(("no", "yes"))
    missed = pairs.count(("yes", "no")) if bare else labels.count("yes") - hits
    empty = 0.0 if bare else float("nan")
    precision, recall = (hits / (hits + wrong) if hits + wrong else empty for wrong in (false, missed))
    both = precision + recall
    return {
        "accuracy": sum(label == answer for label, answer in pairs) / len(pairs),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0,
        "yes_ratio": (labels.count("yes") if bare else hits + false) / len(pairs),
    }


@dataclass(frozen=True, kw_only=True)
class PopeProtocol:
    """How a protocol reads answers and counts them."""

    read: Callable[[str], str]
    lmms: bool
    """Counts as lmms-eval does, and publishes the F1 of all questions together; else the mean of the settings'."""


PROTOCOLS = {"official": PopeProtocol(read=official, lmms=False), "lmms": PopeProtocol(read=plain, lmms=True)}
ALL = "all"


class Pope(QuestionBenchmark):
    """Reads `coco_pope_<setting>.json` and the pictures of COCO val2014, or the mirror's Parquet files."""

    name = "pope"
    title = "POPE"
    questions = "coco_pope_*.json"
    parquet = ("Full/*.parquet", "*.parquet")
    protocols = tuple(PROTOCOLS)
    mirror = "lmms-lab/POPE"
    wanted = ("data/test-*.parquet",)

    def official_items(self, folder: Path, path: Path) -> list[Item]:
        files = {setting: tables.find(folder, f"coco_pope_{setting}.json") for setting in SETTINGS}
        missing = [f"coco_pope_{setting}.json" for setting, file in files.items() if file is None]
        if missing:
            raise DataError(f"{folder} lacks {', '.join(missing)}: POPE is its three settings together")
        images = tables.PictureFolder(folder)
        return [
            self.item(row | {"category": setting}, images[row["image"]], file)
            for setting, file in files.items()
            if file is not None
            for row in tables.read_lines(file)
        ]

    def item(self, row: tables.Row, image: tables.PictureSource, source: Path) -> Item:
        return Item(
            id=f"{row['category']}/{row['question_id']}",
            prompt=tables.column(row, source, "question", "text") + SHORT,
            pictures=(image,),
            category=row["category"],
            facts={"label": tables.column(row, source, "answer", "label").lower().strip()},
        )

    def score(self, item: Item, answer: Answer) -> Verdict:
        parsed = PROTOCOLS[self.protocol].read(str(answer))
        return Verdict(score=float(parsed == item.facts["label"]), parsed=parsed)

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """F1 in percent as published: the mean over the settings, or by "lmms" that of all questions together; then the
        numbers of each setting, 0 to 1, by "lmms" those of all first."""
        settings = sorted({record.item.category for record in records})
        parts = {
            setting: self._counted([one for one in records if one.item.category == setting]) for setting in settings
        }
        f1 = sum(part["f1"] for part in parts.values()) / len(parts)
        if PROTOCOLS[self.protocol].lmms:
            parts = {ALL: self._counted(records)} | parts
            f1 = parts[ALL]["f1"]
        return {"f1": 100 * f1} | {
            f"{name}/{part}": value for part, numbers in parts.items() for name, value in numbers.items()
        }

    def _counted(self, records: Sequence[Record]) -> Metrics:
        labels = [record.item.facts["label"] for record in records]
        answers = [record.verdict.parsed for record in records if record.verdict]
        return counted(labels, answers, bare=PROTOCOLS[self.protocol].lmms)
