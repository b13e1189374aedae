"""SEED-Bench: 19,000 questions by choice in twelve kinds, nine of pictures and three of videos (arXiv 2307.16125).

The official code has a model rank the four options by their likelihood. The field asks for the letter instead, and so
do we; `seed_image` of others is our `image`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Metrics, Record, Verdict, scored
from blip3o.evals.tables import Row
from blip3o.evals.understanding import letters
from blip3o.evals.understanding.prompts import LETTER
from blip3o.evals.understanding.questions import percentages

TYPES = {
    1: "Scene Understanding",
    2: "Instance Identity",
    3: "Instance Location",
    4: "Instance Attributes",
    5: "Instances Counting",
    6: "Spatial Relation",
    7: "Instance Interaction",
    8: "Visual Reasoning",
    9: "Text Understanding",
    10: "Action Recognition",
    11: "Action Prediction",
    12: "Procedure Understanding",
}
MEDIA = ("image", "video")
OPTIONS = {"A": "choice_a", "B": "choice_b", "C": "choice_c", "D": "choice_d"}
FRAMES = "*_8_frame"
"""Folders of the official video frames: in each one for each question, named by its number."""
FRAME_FILES = (".png", ".jpg", ".jpeg")


def prompt(row: Mapping[str, object]) -> str:
    """The question, its options one a line, and the wish for a letter."""
    options = "".join(f"\n{letter}. {row[name]}" for letter, name in OPTIONS.items())
    return f"{row['question']}{options}{LETTER}"


def lmms(answer: str, options: Mapping[str, str]) -> str | None:
    """lmms-eval's rule: the first character, whatever follows, small or large."""
    return answer.strip()[:1].upper() or None


def llava(answer: str, options: Mapping[str, str]) -> str | None:
    """LLaVA's rule: the answer as it stands."""
    return answer


READERS: dict[str, Callable[[str, Mapping[str, str]], str | None]] = {
    "lmms": lmms,
    "llava": llava,
    "vlmevalkit": letters.vlmevalkit,
}


class Seedbench(Benchmark):
    """Reads `SEED-Bench.json` with the pictures and the frames of videos, or the mirror's Parquet files.

    Where no folder of frames is there, the official files are read without their questions about videos.
    """

    name = "seedbench"
    kind = "understanding"
    protocols = tuple(READERS)
    mirror = "lmms-lab/SEED-Bench"
    wanted = ("*test-*.parquet",)

    def items(self, folder: Path) -> list[Item]:
        path = tables.find(folder, "SEED-Bench.json")
        if path is None:
            rows = tables.read_rows(folder, "SEED-Bench", "test*.parquet", "*.parquet")
            return [self._item(row, self._mirrored(row, folder), folder) for row in rows]
        content = tables.read_json(path)
        if not isinstance(content, dict) or not content.get("questions"):
            raise DataError(f"{path} has no questions: copy SEED-Bench.json again")
        rows, pictures = content["questions"], _files(folder)
        filmed = any(frames.is_dir() for frames in folder.rglob(FRAMES))
        rows = [row for row in rows if filmed or tables.column(row, path, "data_type") == "image"]
        return [self._item(row, _found(row, pictures, folder), path) for row in rows]

    def _mirrored(self, row: Row, source: Path) -> tuple[tables.PictureSource, ...]:
        cells = tables.column(row, source, "image")
        return tuple(tables.picture(cell, source) for cell in (cells if isinstance(cells, list) else [cells]))

    def _item(self, row: Row, pictures: tuple[tables.PictureSource, ...], source: Path) -> Item:
        options = {letter: str(tables.column(row, source, name)) for letter, name in OPTIONS.items()}
        identity, answer = str(tables.column(row, source, "question_id")), str(tables.column(row, source, "answer"))
        medium, number = tables.column(row, source, "data_type"), int(tables.column(row, source, "question_type_id"))
        if answer not in options or medium not in MEDIA or number not in TYPES:
            raise DataError(f"{source}, question {identity}, has no answer or no kind of SEED-Bench v1: is it another?")
        if not pictures:
            raise DataError(f"{source}, question {identity}, has no picture: copy the file again")
        facts = {"answer": answer, "options": options, "medium": medium, "type": number}
        return Item(id=identity, prompt=prompt(row), pictures=pictures, category=TYPES[number], facts=facts)

    def score(self, item: Item, answer: Answer) -> Verdict:
        parsed = READERS[self.protocol](str(answer), item.facts["options"])
        return Verdict(score=float(parsed == item.facts["answer"]), parsed=parsed)

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Accuracy in percent, of pictures first, as published; then of videos, of all, of each type of question."""
        found = percentages(
            (name, verdict.score)
            for item, verdict in scored(records)
            for name in (item.facts["medium"], "all", f"all/{TYPES[item.facts['type']]}")
        )
        return {
            name: found[name] for name in (*MEDIA, "all", *(f"all/{kind}" for kind in TYPES.values())) if name in found
        }


def _files(folder: Path) -> dict[str, Path]:
    """Name -> picture file, or folder of frames: one look at a folder of many thousand files."""
    frames = {path.name: path for parent in folder.rglob(FRAMES) for path in parent.iterdir() if path.is_dir()}
    inner = {path.parent for path in folder.rglob("*") if path.is_file()} - set(frames.values())
    return {path.name: path for parent in inner for path in parent.iterdir() if path.is_file()} | frames


def _found(row: Row, files: Mapping[str, Path], folder: Path) -> tuple[Path, ...]:
    """The picture of a question, or its frames in order."""
    name = Path(str(tables.column(row, folder, "data_id" if row["data_type"] == "image" else "question_id"))).name
    if name not in files:
        raise DataError(f"{folder} holds no picture {name}: put the pictures of SEED-Bench there")
    if files[name].is_file():
        return (files[name],)
    frames = [path for path in files[name].iterdir() if path.suffix.lower() in FRAME_FILES]
    return tuple(sorted(frames, key=_number))


def _number(path: Path) -> tuple[int, str]:
    digits = re.search(r"\d+", path.stem)
    return (int(digits[0]) if digits else 0), path.name
