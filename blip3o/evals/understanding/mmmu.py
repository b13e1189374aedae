"""MMMU: questions of college exams in thirty subjects (Yue and others, arXiv 2311.16502). This is its validation set.

Most are asked by choice; the others are open, and the right answer is looked for in what is said.
"""

import ast
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Judge, Metrics, Record, Verdict
from blip3o.evals.tables import Row
from blip3o.evals.understanding.prompts import LETTER, SHORT
from blip3o.evals.understanding.questions import percentages

DOMAINS = {
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        "Basic_Medical_Science",
        "Clinical_Medicine",
        "Diagnostics_and_Laboratory_Medicine",
        "Pharmacy",
        "Public_Health",
    ),
    "Humanities and Social Science": ("History", "Literature", "Sociology", "Psychology"),
    "Tech and Engineering": (
        "Agriculture",
        "Architecture_and_Engineering",
        "Computer_Science",
        "Electronics",
        "Energy_and_Power",
        "Materials",
        "Mechanical_Engineering",
    ),
}
CHOICE = "multiple-choice"
IDENTITY = re.compile(r"validation_(.+)_\d+")
PICTURE = re.compile(r"<image (\d)>")
STRIPPED = ",.!?;:'"
"""What is taken off both ends of an answer, one mark after the other."""
SENTENCE = 5
"""An answer of more words than this may name an option by its text."""
CUES = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
"""An open answer stands after one of these; in the last line also after "="."""
NO_REPLY = (":", ",", ".", "!", "?", ";", "'")
NUMBERS = (
    r"-?\b\d{1,3}(?:,\d{3})+\b",
    r"-?\d+(?:\.\d+)?[eE][+-]?\d+",
    r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])",
)
"""With commas, in scientific notation, plain."""
DECIMALS = 2
Value = str | float


@dataclass(frozen=True, kw_only=True)
class MmmuProtocol:
    """How a protocol asks questions, and reads those by choice."""

    option: str
    """How a letter and its option are listed."""
    instruction: str
    """After an open question."""
    marks: tuple[str, ...]
    """How a letter can stand in an answer; the first that fits any letter is taken."""

    def prompt(self, question: str, options: Mapping[str, str]) -> str:
        """The question, with its options where it has any, and how it is to be answered."""
        if not options:
            return question + self.instruction
        return f"{question}\n" + "".join(self.option.format(*option) for option in options.items()) + LETTER


WAYS = {
    "official": MmmuProtocol(option="({}) {}\n", instruction=SHORT, marks=("({})", " {} ")),
    "lmms": MmmuProtocol(option="{}. {}\n", instruction="\n" + SHORT, marks=("({})", "{} ", "{}.")),
}


def choice(answer: str, options: Mapping[str, str], marks: Sequence[str]) -> str | None:
    """The letter that an answer names, the last one of several; None where it names none.

    In a whole sentence the text of an option does, in any case.
    """
    for mark in STRIPPED:
        answer = answer.strip(mark)
    answer = f" {answer} "
    for mark in marks:
        found = [letter for letter in options if mark.format(letter) in answer]
        if found:
            place = mark if mark == marks[0] else " {} "  # also where the letter was found in another way
            return max(found, key=lambda letter: answer.rfind(place.format(letter)))
    if len(answer.split()) <= SENTENCE:
        return None
    places = {letter: answer.lower().rfind(text.lower()) for letter, text in options.items()}
    return max((letter for letter in places if places[letter] >= 0), key=lambda letter: places[letter], default=None)


def normalise(text: str) -> list[Value]:
    """A number, rounded, where it is one, else small letters; a single one with a space before it, and after it."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), DECIMALS)]
    except ValueError:
        text = text.lower()
        return [f" {text}", f"{text} "] if len(text) == 1 else [text]


def numbers(text: str) -> list[str]:
    """All that looks like a number, by each of three patterns."""
    return [number for pattern in NUMBERS for number in re.findall(pattern, text)]


def opened(answer: str) -> list[Value]:
    """What an open answer may say: in each line the shortest end after a cue, or all of it where there is no cue; and
    the numbers therein."""
    answer = answer.strip().strip(".").lower()
    lines = answer.split("\n")
    ends = [_end(line, CUES) for line in lines[:-1]] + [_end(lines[-1], (*CUES, "="))]
    said = [end for end in ends if end and end not in NO_REPLY] or [answer]
    said += [number for text in said for number in numbers(text)]
    return list(dict.fromkeys(value for text in said for value in normalise(text)))


def _end(line: str, cues: Sequence[str]) -> str:
    """The shortest text after the last of any cue; an empty one gives way to the next."""
    shortest = ""
    for cue in cues:
        if cue in line:
            end = line.split(cue)[-1].strip()
            if not shortest or len(end) < len(shortest):
                shortest = end
    return shortest


def holds(said: Sequence[Value], right: str | Sequence[str]) -> bool:
    """Whether something said is a right number, or has a right text in it."""
    rights = [value for text in ([right] if isinstance(right, str) else right) for value in normalise(text)]
    texts = [value for value in rights if isinstance(value, str)]
    return any(any(text in value for text in texts) if isinstance(value, str) else value in rights for value in said)


def chosen(letter: str, right: str | Sequence[str]) -> bool:
    """Whether a letter is the right one, or one of several."""
    return letter == right if isinstance(right, str) else letter in right


def report(scores: Sequence[tuple[str, float]]) -> Metrics:
    """Accuracy in percent over questions, given the subject and the score of each: in all, in each domain, in each
    subject."""
    domains = [(domain, score) for domain, names in DOMAINS.items() for subject, score in scores if subject in names]
    subjects = sorted(scores, key=lambda score: f"accuracy/{score[0]}")
    parts = [(f"accuracy/{name}", score) for name, score in (*domains, *subjects)]
    return percentages([*(("accuracy", score) for _, score in scores), *parts])


class Mmmu(Benchmark):
    """Reads the official Parquet files, a folder for each subject, or the mirror's, in which they are one.

    Where no option is named, the official code draws one; here the draw is of the question, the same in each run.
    """

    name = "mmmu"
    kind = "understanding"
    protocols = tuple(WAYS)
    mirror = "lmms-lab/MMMU"
    wanted = ("*validation-*.parquet",)

    def __init__(self, protocol: str, judge: Judge | None = None) -> None:
        super().__init__(protocol, judge)
        self.way = WAYS[protocol]

    def items(self, folder: Path) -> list[Item]:
        rows = tables.read_rows(folder, "MMMU", "validation*.parquet", "*.parquet")
        mine = [row for row in rows if IDENTITY.fullmatch(str(tables.column(row, folder, "id")))]
        if not mine:
            raise DataError(f"{folder} has no questions of MMMU's validation split: put validation-*.parquet there")
        return sorted((self._item(row, folder) for row in mine), key=_order)

    def _item(self, row: Row, source: Path) -> Item:
        identity, question = str(row["id"]), str(tables.column(row, source, "question"))
        kind, texts = str(tables.column(row, source, "question_type")), _list(tables.column(row, source, "options"))
        if kind == CHOICE and not texts:
            raise DataError(f"{source}, question {identity}, has no options: copy the file again")
        options = {chr(ord("A") + index): text for index, text in enumerate(texts)} if kind == CHOICE else {}
        answer = str(tables.column(row, source, "answer") or "?")
        if answer == "?":
            raise DataError(f"{source}, question {identity}, has no right answer: is it the test split?")
        named = PICTURE.findall(question + " ".join(options.values())) or ["1"]
        return Item(
            id=identity,
            prompt=self.way.prompt(question, options),
            pictures=tuple(tables.picture(row.get(f"image_{number}"), source) for number in sorted(set(named))),
            category=identity.removeprefix("validation_").rpartition("_")[0],
            facts={"options": options, "answer": _list(answer) or answer},
        )

    def score(self, item: Item, answer: Answer) -> Verdict:
        options, right = item.facts["options"], item.facts["answer"]
        if not options:
            said = opened(str(answer))
            shown = [value if isinstance(value, str) or isfinite(value) else str(value) for value in said]
            return Verdict(score=float(holds(said, right)), parsed=shown)
        letter = choice(str(answer), options, self.way.marks)
        drawn = letter or random.Random(f"mmmu/{item.id}").choice(list(options))
        return Verdict(score=float(chosen(drawn, right)), parsed=drawn, details={"by_chance": letter is None})

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Accuracy in percent, as published; then of each domain and of each subject."""
        return report([(record.item.category, record.verdict.score) for record in records if record.verdict])


def _list(cell: object) -> list[str]:
    """The texts of a cell that is a list, or is written as one; none where it is not."""
    if isinstance(cell, str) and cell.startswith("[") and cell.endswith("]"):
        try:
            cell = ast.literal_eval(cell)
        except (ValueError, SyntaxError):
            return []
    return [str(text) for text in cell] if isinstance(cell, list) else []


def _order(item: Item) -> tuple[str, int]:
    subject, _, number = item.id.rpartition("_")
    return subject, int(number)
