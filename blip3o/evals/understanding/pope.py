"""POPE: does the model see what is not there? Yes-or-no questions about objects (Li and others, arXiv 2305.10355).

Three settings, by how the absent objects were chosen: at random, among frequent ones, among those that often stand
beside what is there.
"""

from collections.abc import Sequence
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Benchmark, Item, Metrics, Sample, Verdict
from blip3o.evals.picture_folder import PictureFolder
from blip3o.evals.understanding.prompts import SHORT

SETTINGS = ("random", "popular", "adversarial")


def official(answer: str) -> str:
    """The repository's rule: "no" where the first sentence has the word No, not or no; else "yes"."""
    words = answer.partition(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def plain(answer: str) -> str:
    """lmms-eval's rule: the answer as it stands, in small letters."""
    return answer.lower().strip()


def counted(labels: Sequence[str], answers: Sequence[str]) -> Metrics:
    """Accuracy, precision, recall and F1 of "yes", and its share; nan where none is predicted or none is right.

    The official script divides by zero there.
    """
    pairs = list(zip(labels, answers, strict=True))
    hits, false = pairs.count(("yes", "yes")), sum(pair[0] == "no" and pair[1] == "yes" for pair in pairs)
    missed = sum(label == "yes" and answer != "yes" for label, answer in pairs)
    precision = hits / (hits + false) if hits + false else float("nan")
    recall = hits / (hits + missed) if hits + missed else float("nan")
    both = precision + recall
    return {
        "accuracy": sum(label == answer for label, answer in pairs) / len(pairs),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0 if both == 0 else float("nan"),
        "yes_ratio": (hits + false) / len(pairs),
    }


PARSERS = {"official": official, "lmms": plain}


class Pope(Benchmark):
    """Reads `coco_pope_<setting>.json` and the pictures of COCO val2014, or the mirror's Parquet files."""

    name = "pope"
    kind = "understanding"
    protocols = ("official", "lmms")
    mirror = "lmms-lab/POPE"

    def items(self, folder: Path) -> list[Item]:
        files = {setting: tables.find(folder, f"coco_pope_{setting}.json") for setting in SETTINGS}
        if not any(files.values()):
            return self._mirrored(folder)
        missing = [f"coco_pope_{setting}.json" for setting, path in files.items() if path is None]
        if missing:
            raise DataError(f"{folder} lacks {', '.join(missing)}: POPE is its three settings together")
        pictures = PictureFolder(folder)
        return [
            self._item(f"{setting}/{row['question_id']}", row["text"], row["label"], setting, image)
            for setting, path in files.items()
            if path is not None
            for row in tables.read_lines(path)
            for image in [pictures[row["image"]]]
        ]

    def _mirrored(self, folder: Path) -> list[Item]:
        rows = tables.read_parquet(folder, "POPE", "Full/*.parquet", "*.parquet")
        return [
            self._item(
                f"{row['category']}/{row['question_id']}", row["question"], row["answer"], row["category"], image
            )
            for row in rows
            for image in [tables.picture(row["image"], folder)]
        ]

    def _item(self, identity: str, question: str, label: str, setting: str, image: Path | bytes) -> Item:
        facts = {"label": label.lower().strip()}
        return Item(id=identity, prompt=question + SHORT, pictures=(image,), category=setting, facts=facts)

    def score(self, item: Item, answer: str | tuple[Path, ...]) -> Verdict:
        parsed = PARSERS[self.protocol](str(answer))
        return Verdict(score=float(parsed == item.facts["label"]), parsed=parsed)

    def metrics(self, samples: Sequence[Sample]) -> Metrics:
        """F1 in percent, the mean over the settings, as published; then the numbers of each setting, 0 to 1."""
        settings = sorted({sample.item.category for sample in samples})
        parts = {
            setting: self._counted([one for one in samples if one.item.category == setting]) for setting in settings
        }
        mean = sum(part["f1"] for part in parts.values()) / len(parts)
        return {"f1": 100 * mean} | {
            f"{name}/{setting}": value for setting, part in parts.items() for name, value in part.items()
        }

    def _counted(self, samples: Sequence[Sample]) -> Metrics:
        labels = [sample.item.facts["label"] for sample in samples]
        return counted(labels, [sample.verdict.parsed for sample in samples if sample.verdict])
