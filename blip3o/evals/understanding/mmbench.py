"""MMBench: twenty abilities, each asked by choice, and each question asked again with its options rotated.

Liu and others, arXiv 2307.06281. A question is right only where all its rotations are. This is the English dev set; the
answers of the test set are with its server.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Judge, JudgeCall, Metrics, Record, Verdict
from blip3o.evals.tables import Row
from blip3o.evals.understanding import letters
from blip3o.evals.understanding.prompts import LETTER

LETTERS = "ABCDE"
ROTATION = 1_000_000
"""What is added to a question's number for each rotation."""
TRIES = 3
"""Replies of a judge that may name no option."""
JUDGE_TOKENS = 256
ENGLISH = re.compile(r"(?i)mmbench_dev(_en)?(_v11)?(_\d+)?\.tsv")
"""The official names of the English dev set; those of the Chinese one have "_cn", those of CCBench and of test others.
"""
OTHERS = ("cn", "cc")
"""Folders of the mirror with other sets."""
SHORT_CELL = 64
"""A cell of a picture that is no longer is the number of the row that has the picture."""
TASK = (
    "You are an AI assistant who will help me to match an answer with several options of a single-choice question. "
    "You are provided with a question, several options, and an answer, and you need to find which option is most "
    "similar to the answer. If the meaning of all options are significantly different from the answer, output Z. "
    "Your should output a single uppercase character in A, B, C, D (if they are valid options), and Z. \n"
)
EXAMPLE = "Question: {}?\nOptions: {}\nAnswer: {}\nYour output: "
SHOWN = ("What is the main object in image", "A. teddy bear B. rabbit C. cat D. dog")


def cell(value: object) -> str:
    """What a cell says; "" for one that the files leave empty in one of their ways (nothing, nan, "nan")."""
    return "" if value is None or str(value) == "nan" else str(value)


def options_of(row: Mapping[str, object]) -> dict[str, str]:
    """Letter -> text of the options that a row has."""
    return {letter: cell(row[letter]) for letter in LETTERS if cell(row.get(letter))}


def listed(options: Mapping[str, str]) -> str:
    """One option a line."""
    return "".join(f"{letter}. {text}\n" for letter, text in options.items())


def vlmevalkit_prompt(hint: str, question: str, options: Mapping[str, str]) -> str:
    """As VLMEvalKit asks."""
    hinted = f"Hint: {hint}\n" if hint else ""
    return (
        f"{hinted}Question: {question}\nOptions:\n{listed(options)}"
        "Please select the correct answer from the options above. \n"
    )


def lmms_prompt(hint: str, question: str, options: Mapping[str, str]) -> str:
    """As lmms-eval asks."""
    hinted = f"{hint} {question}" if hint else question
    return f"{hinted} There are several options:\n{listed(options)}{LETTER}"


def judge_prompt(question: str, options: str, answer: str) -> str:
    """What VLMEvalKit asks a judge; `options` as `judge_options` writes them."""
    examples = (
        EXAMPLE.format(*SHOWN, "a cute teddy bear") + "A",
        EXAMPLE.format(*SHOWN, "Spider") + "Z",
        EXAMPLE.format(question, options, answer),
    )
    return TASK + "\n".join(f"Example {number}: \n{text}" for number, text in enumerate(examples, start=1))


def judge_options(options: Mapping[str, str]) -> str:
    """The options of a judge's prompt."""
    return f"There are several options: \n{listed(options)}"


def lmms_static(answer: str, options: Mapping[str, str]) -> str | None:
    """lmms-eval's rule without a judge: its own first, then the letter in the place that is trusted most."""
    return letters.lmms(answer, options) or letters.ranked(answer, options)


@dataclass(frozen=True, kw_only=True)
class MmbenchProtocol:
    """How a protocol asks and reads."""

    prompt: Callable[[str, str, Mapping[str, str]], str]
    read: Callable[[str, Mapping[str, str]], str | None]
    judged: bool
    """A judge is asked, where there is one, about what the rule leaves open."""


WAYS = {
    "vlmevalkit": MmbenchProtocol(prompt=vlmevalkit_prompt, read=letters.vlmevalkit, judged=True),
    "lmms-static": MmbenchProtocol(prompt=lmms_prompt, read=lmms_static, judged=False),
}


@dataclass(frozen=True, kw_only=True)
class CircularQuestion:
    """A question after all its rotations."""

    right: bool
    category: str
    ability: str
    """The wider class of the category."""


def report(questions: Sequence[CircularQuestion]) -> Metrics:
    """Accuracy in percent, in all, then in each ability, then in each category; nan where there is no question."""
    parts: dict[str, list[bool]] = {"accuracy": [question.right for question in questions]}
    for kind in ("ability", "category"):
        found: dict[str, list[bool]] = defaultdict(list)
        for question in questions:
            found[f"accuracy/{getattr(question, kind)}"].append(question.right)
        parts |= dict(sorted(found.items()))
    return {name: 100 * sum(part) / len(part) if part else float("nan") for name, part in parts.items()}


class Mmbench(Benchmark):
    """Reads `MMBench_DEV_EN.tsv` with its pictures inside, or the mirror's Parquet files."""

    name = "mmbench"
    kind = "understanding"
    protocols = tuple(WAYS)
    mirror = "lmms-lab/MMBench"
    wanted = ("en/dev-*",)
    max_tokens = 256

    def __init__(self, protocol: str, judge: Judge | None = None) -> None:
        super().__init__(protocol, judge)
        self.way = WAYS[protocol]

    def items(self, folder: Path) -> list[Item]:
        path = _table(folder)
        if path is None:
            path = folder
            rows = tables.read_rows(folder, "MMBench's English dev set", "en/dev*.parquet", "dev*.parquet")
        else:
            self.read = path.name
            rows = tables.read_table(path)
            if any(None in row.values() for row in rows):
                raise DataError(f"{path} has rows that are cut short: copy it again")
        rows = [row for row in rows if str(row.get("split") or "dev") == "dev"]
        if not rows:
            raise DataError(f"{path} has no rows of the dev split: copy MMBench_DEV_EN.tsv there")
        if not all(str(tables.column(row, path, "index")).isdecimal() for row in rows):
            raise DataError(f"{path} has rows without a number: copy it again")
        images = {str(row["index"]): tables.column(row, path, "image") for row in rows}
        return _together([self._item(row, images, path) for row in rows])

    def _item(self, row: Row, images: Mapping[str, object], source: Path) -> Item:
        number = int(row["index"])
        options, answer = options_of(row), str(tables.column(row, source, "answer"))
        if answer not in options:
            raise DataError(f"{source}, question {number}, has no right answer ({answer!r}): is it the test split?")
        question, hint = str(tables.column(row, source, "question")), cell(row.get("hint"))
        image = row["image"]
        if isinstance(image, str) and len(image) <= SHORT_CELL:
            image = images.get(image, image)
        ability = str(tables.column(row, source, "l2-category", "L2-category"))
        return Item(
            id=str(number),
            prompt=self.way.prompt(hint, question, options),
            pictures=(tables.picture(image, source),),
            category=str(tables.column(row, source, "category")),
            facts={"question": question, "options": options, "answer": answer, "ability": ability},
            unit=str(number % ROTATION),
        )

    def score(self, item: Item, answer: Answer) -> Verdict:
        options = item.facts["options"]
        parsed, by = self.way.read(str(answer), options), "rule"
        if parsed is None and self.way.judged and self.judge is not None and str(answer).strip():
            parsed, by = self._judged(self.judge, item, str(answer).strip())
        return Verdict(score=float(parsed == item.facts["answer"]), parsed=parsed, details={"by": by})

    def _judged(self, judge: Judge, item: Item, answer: str) -> tuple[str, str]:
        """The option that the judge names, or one by chance after it named none again and again, as VLMEvalKit does."""
        options = item.facts["options"]
        prompt = judge_prompt(item.facts["question"], judge_options(options), answer)
        for attempt in range(TRIES):
            reply = judge.ask(prompt, settings=JudgeCall(max_tokens=JUDGE_TOKENS, attempt=attempt))
            letter = letters.vlmevalkit(reply, options)
            if letter is not None:
                return letter, "judge"
        return random.Random(f"mmbench/{item.id}").choice([*options, letters.NONE_OF_THEM]), "chance"

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Accuracy in percent; a question counts once all its rotations are there, nan where none does."""
        units: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            units[record.item.unit].append(record)
        return report([_question(unit) for unit in units.values() if len(unit) == unit[0].item.facts["rotations"]])


def _table(folder: Path) -> Path | None:
    """The one table of the English dev set. Raises DataError where there are several, or only others."""
    tsv = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".tsv")
    found = [path for path in tsv if ENGLISH.fullmatch(path.name)]
    if len(found) > 1:
        raise DataError(f"{folder} holds {', '.join(path.name for path in found)}: leave the one that is meant")
    parquet = sorted(folder.rglob("dev*.parquet"))
    others = tsv or [path for path in parquet if path.parent.name in OTHERS]
    if not found and others and not any(path.parent.name == "en" for path in parquet):
        names = ", ".join(path.relative_to(folder).as_posix() for path in others)
        raise DataError(
            f"{folder} holds {names}, none of which is MMBench's English dev set: put MMBench_DEV_EN.tsv there"
        )
    return found[0] if found else None


def _question(unit: Sequence[Record]) -> CircularQuestion:
    item = unit[0].item
    right = all(record.verdict is not None and record.verdict.score == 1 for record in unit)
    return CircularQuestion(right=right, category=item.category, ability=item.facts["ability"])


def _together(items: Iterable[Item]) -> list[Item]:
    """The rotations of a question one after the other, and in each how many they are."""
    units: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        units[item.unit].append(item)
    return [replace(item, facts={**item.facts, "rotations": len(unit)}) for unit in units.values() for item in unit]
