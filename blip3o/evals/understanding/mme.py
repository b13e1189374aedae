"""MME: fourteen subtasks of yes-or-no questions, two about each picture (Fu and others, arXiv 2306.13394).

A subtask counts 100 for the share of questions and 100 for the share of pictures with both of them right.
"""

import glob
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path, PurePosixPath

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Metrics, Record, Verdict, scored
from blip3o.evals.understanding.prompts import SHORT

PERCEPTION = (
    "existence",
    "count",
    "position",
    "color",
    "posters",
    "celebrity",
    "scene",
    "landmark",
    "artwork",
    "OCR",
)
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
SUBTASKS = (*PERCEPTION, *COGNITION)
SUFFIXES = (".jpg", ".png", ".jpeg")
PAIR = 2
"""Questions about a picture."""
ASKED = " Please answer yes or no."
"""How each question ends; the field puts its own instruction there."""
SEEN = 4
"""Characters at the start of an answer that are searched for a yes or no."""


def official(answer: str) -> str:
    """The tool's rule: yes or no, or the one that is in the first characters; else "other". Spaces count."""
    start = answer.lower()[:SEEN]
    return "yes" if "yes" in start else "no" if "no" in start else "other"


def lmms(answer: str) -> str:
    """lmms-eval's rule: the same without spaces around and periods, and a single y or n will do."""
    plain = answer.lower().strip().replace(".", "")
    return {"y": "yes", "n": "no"}.get(plain) or official(plain)


def points(pictures: Sequence[Sequence[bool]]) -> float:
    """Of a subtask, 0 to 200, from what is right of each picture's two questions; nan where no picture has both."""
    right = [one for picture in pictures for one in picture]
    whole = [all(picture) for picture in pictures if len(picture) == PAIR]
    return 100 * sum(right) / len(right) + 100 * sum(whole) / len(whole) if whole else float("nan")


def total(subtasks: Mapping[str, Sequence[Sequence[bool]]]) -> Metrics:
    """Points of perception (2000 at most) and cognition (800), then of each subtask; what was not asked is left out."""
    found = {name: points(subtasks[name]) for name in SUBTASKS if name in subtasks}
    found = {name: value for name, value in found.items() if isfinite(value)}
    made: Metrics = {}
    for whole, names in (("perception", PERCEPTION), ("cognition", COGNITION)):
        known = [found[name] for name in names if name in found]
        if known:
            made[whole] = sum(known)
    return made | {f"score/{name}": value for name, value in found.items()}


PARSERS: Mapping[str, Callable[[str], str]] = {"official": official, "lmms": lmms}
PROMPTS: Mapping[str, Callable[[str], str]] = {
    "official": str,
    "lmms": lambda question: question.replace(ASKED, "") + SHORT,
}


class Mme(Benchmark):
    """Reads the folder of each subtask, or the mirror's test files."""

    name = "mme"
    kind = "understanding"
    protocols = tuple(PARSERS)
    mirror = "lmms-lab/MME"
    wanted = ("*test-*.parquet",)
    max_tokens = 16

    def items(self, folder: Path) -> list[Item]:
        """Raises DataError also where a subtask is missing: the published numbers are sums over all."""
        places = {name: _place(folder, name) for name in SUBTASKS}
        found = self._official(places) if any(places.values()) else self._mirrored(folder)
        missing = sorted(set(SUBTASKS) - {item.category for item in found})
        if missing:
            raise DataError(
                f"{folder} holds no questions of {', '.join(missing)}: MME's numbers are sums of all subtasks"
            )
        return found

    def _official(self, places: Mapping[str, Path | None]) -> list[Item]:
        return [
            self._item(name, path.stem, number, question, answer, _picture(path))
            for name, place in places.items()
            if place is not None
            for path in sorted(place.glob("*.txt"))
            for number, (question, answer) in enumerate(_pairs(path))
        ]

    def _mirrored(self, folder: Path) -> list[Item]:
        rows = tables.read_rows(folder, "MME", "test-*.parquet", "*.parquet")
        asked: dict[tuple[str, str], int] = defaultdict(int)
        made = []
        for row in rows:
            name = tables.column(row, folder, "category")
            stem = PurePosixPath(tables.column(row, folder, "question_id")).stem
            image = tables.picture(tables.column(row, folder, "image"), folder)
            made.append(self._item(name, stem, asked[name, stem], row["question"], row["answer"], image))
            asked[name, stem] += 1
        return made

    def _item(self, name: str, stem: str, number: int, question: str, answer: str, image: tables.PictureSource) -> Item:
        label = answer.strip().lower().removesuffix(".")
        if label not in ("yes", "no"):
            raise DataError(
                f"the answer to {name}/{stem} is {answer!r}: expected Yes or No; is it of another data set?"
            )
        return Item(
            id=f"{name}/{stem}/{number}",
            prompt=PROMPTS[self.protocol](question.strip()),
            pictures=(image,),
            category=name,
            facts={"label": label},
            unit=f"{name}/{stem}",
        )

    def score(self, item: Item, answer: Answer) -> Verdict:
        parsed = PARSERS[self.protocol](str(answer))
        return Verdict(score=float(parsed == item.facts["label"]), parsed=parsed)

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Perception and cognition in points, as published; then each subtask, 200 at most."""
        pictures: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        for item, verdict in scored(records):
            pictures[item.category][item.unit].append(verdict.score == 1)
        return total({name: list(known.values()) for name, known in pictures.items()})


def _place(folder: Path, name: str) -> Path | None:
    """The folder with the texts of a subtask: its own, or the one inside for those that keep pictures apart."""
    for place in sorted(path for path in folder.rglob(name) if path.is_dir()):
        for inside in (place / "questions_answers_YN", place):
            if any(inside.glob("*.txt")):
                return inside
    return None


def _picture(text: Path) -> Path:
    """The picture that a text asks about. Raises DataError where it is missing."""
    apart = text.parent.parent / "images" if text.parent.name == "questions_answers_YN" else text.parent
    found = [path for path in apart.glob(f"{glob.escape(text.stem)}.*") if path.suffix.lower() in SUFFIXES]
    if found:
        return min(found)
    raise DataError(f"{apart} holds no picture {text.stem}.jpg or .png: put the pictures of the data set there")


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Questions and answers of a text. Raises DataError for a broken line, and where there are not two."""
    lines = [line for line in tables.read_text(path).splitlines() if line.strip()]
    cells = [line.strip().split("\t") for line in lines]
    if len(cells) != PAIR or any(len(cell) != PAIR for cell in cells):
        raise DataError(f"{path} holds {len(lines)} lines: expected two, each a question, a tab, and Yes or No")
    return [(question, answer) for question, answer in cells]
