"""POPE: does the model see what is not there? Yes-or-no questions about objects (Li and others, arXiv 2305.10355).

Three settings, by how the absent objects were chosen: at random, among frequent ones, among those that often stand
beside what is there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Metrics, Record, Verdict
from blip3o.evals.understanding.prompts import SHORT

SETTINGS = ("random", "popular", "adversarial")


def official(answer: str) -> str:
    """The repository's rule: "no" where the first sentence has the word No, not or no; else "yes"."""
    words = answer.partition(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def plain(answer: str) -> str:
    """lmms-eval's rule: the answer as it stands, in small letters."""
    return answer.lower().strip()


def _f1(precision: float, recall: float) -> float:
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0 if both == 0 else float("nan")


def counted(labels: Sequence[str], answers: Sequence[str]) -> Metrics:
    """Accuracy, precision, recall and F1 of "yes", and its share; nan where none is predicted or none is right.

    The official script divides by zero there.
    """
    pairs = list(zip(labels, answers, strict=True))
    hits, false = pairs.count(("yes", "yes")), sum(pair[0] == "no" and pair[1] == "yes" for pair in pairs)
    missed = sum(label == "yes" and answer != "yes" for label, answer in pairs)
    precision = hits / (hits + false) if hits + false else float("nan")
    recall = hits / (hits + missed) if hits + missed else float("nan")
    return {
        "accuracy": sum(label == answer for label, answer in pairs) / len(pairs),
        "precision": precision,
        "recall": recall,
        "f1": _f1(precision, recall),
        "yes_ratio": (hits + false) / len(pairs),
    }


def lmms_counted(labels: Sequence[str], answers: Sequence[str]) -> Metrics:
    """The same by lmms-eval: 0 in place of nan, only a bare "no" misses a yes, and the ratio is that of the labels."""
    pairs = list(zip(labels, answers, strict=True))
    hits, false, missed = (pairs.count(pair) for pair in (("yes", "yes"), ("no", "yes"), ("yes", "no")))
    precision, recall = (hits / (hits + lost) if hits + lost else 0.0 for lost in (false, missed))
    return {
        "accuracy": sum(label == answer for label, answer in pairs) / len(pairs),
        "precision": precision,
        "recall": recall,
        "f1": _f1(precision, recall),
        "yes_ratio": labels.count("yes") / len(labels),
    }


@dataclass(frozen=True, kw_only=True)
class PopeProtocol:
    """How a protocol reads answers and counts them."""

    read: Callable[[str], str]
    count: Callable[[Sequence[str], Sequence[str]], Metrics]
    pooled: bool
    """Whether the published F1 is that of all questions together, or the mean of the three settings."""


WAYS = {
    "official": PopeProtocol(read=official, count=counted, pooled=False),
    "lmms": PopeProtocol(read=plain, count=lmms_counted, pooled=True),
}
ALL = "all"


class Pope(Benchmark):
    """Reads `coco_pope_<setting>.json` and the pictures of COCO val2014, or the mirror's Parquet files."""

    name = "pope"
    kind = "understanding"
    protocols = tuple(WAYS)
    mirror = "lmms-lab/POPE"
    wanted = ("data/test-*.parquet",)

    def items(self, folder: Path) -> list[Item]:
        files = {setting: tables.find(folder, f"coco_pope_{setting}.json") for setting in SETTINGS}
        if not any(files.values()):
            return self._mirrored(folder)
        missing = [f"coco_pope_{setting}.json" for setting, path in files.items() if path is None]
        if missing:
            raise DataError(f"{folder} lacks {', '.join(missing)}: POPE is its three settings together")
        pictures = tables.PictureFolder(folder)
        return [
            self._item(f"{setting}/{row['question_id']}", row["text"], row["label"], setting, image)
            for setting, path in files.items()
            if path is not None
            for row in tables.read_lines(path)
            for image in [pictures[row["image"]]]
        ]

    def _mirrored(self, folder: Path) -> list[Item]:
        rows = tables.read_rows(folder, "POPE", "Full/*.parquet", "*.parquet")
        return [
            self._item(
                f"{row['category']}/{row['question_id']}", row["question"], row["answer"], row["category"], image
            )
            for row in rows
            for image in [tables.picture(row["image"], folder)]
        ]

    def _item(self, identity: str, question: str, label: str, setting: str, image: tables.PictureSource) -> Item:
        facts = {"label": label.lower().strip()}
        return Item(id=identity, prompt=question + SHORT, pictures=(image,), category=setting, facts=facts)

    def score(self, item: Item, answer: Answer) -> Verdict:
        parsed = WAYS[self.protocol].read(str(answer))
        return Verdict(score=float(parsed == item.facts["label"]), parsed=parsed)

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """F1 in percent as published: the mean over the settings, or by "lmms" that of all questions together; then the
        numbers of each setting, 0 to 1, by "lmms" those of all first."""
        settings = sorted({record.item.category for record in records})
        parts = {
            setting: self._counted([one for one in records if one.item.category == setting]) for setting in settings
        }
        f1 = sum(part["f1"] for part in parts.values()) / len(parts)
        if WAYS[self.protocol].pooled:
            parts = {ALL: self._counted(records)} | parts
            f1 = parts[ALL]["f1"]
        return {"f1": 100 * f1} | {
            f"{name}/{part}": value for part, numbers in parts.items() for name, value in numbers.items()
        }

    def _counted(self, records: Sequence[Record]) -> Metrics:
        labels = [record.item.facts["label"] for record in records]
        return WAYS[self.protocol].count(labels, [record.verdict.parsed for record in records if record.verdict])
