"""RealWorldQA: questions about photographs, mostly from cars; the data set is xAI's, who published no way of scoring.

lmms-eval's ways count: that of 0.3, which BLIP3-o's numbers come from, and that of 0.7. The questions hold their
instruction.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Item, Metrics, Record, Verdict, scored
from blip3o.evals.understanding.letters import ranked
from blip3o.evals.understanding.questions import QuestionBenchmark, percentages
from blip3o.evals.understanding.words import NUMBERS

OPTION = re.compile(r"\b([A-Z])\.\s+([^\n]*)")
SIGNS = re.compile(r"[^\w\s]")
LETTERS = "ABCD"


def filtered(answer: str, question: str) -> str:
    """0.3: a number word that stands alone as digits, no punctuation, and the letter of the first option whose words
    occur. Letters go by place, not by what is printed."""
    plain = SIGNS.sub("", NUMBERS.get(answer.lower(), answer)).strip()
    options = [words.strip() for _, words in OPTION.findall(question)]
    found = re.search("|".join(map(re.escape, options)), plain)
    letters = {words: chr(ord("A") + place) for place, words in enumerate(options)}
    return letters.get(found.group(), plain) if found else plain


def lmms_03(answer: str, question: str, label: str) -> str:
    """What 0.3 compares with the answer in small letters."""
    return filtered(answer, question).lower().strip().rstrip(".")


def lmms_07(answer: str, question: str, label: str) -> str:
    """The same of 0.7: a letter where the answer is one, else all words."""
    if label.strip().upper() in tuple(LETTERS):
        return (ranked(answer, LETTERS) or "").lower()
    return answer.lower().strip().rstrip(".")


RULES: Mapping[str, Callable[[str, str, str], str]] = {"lmms-0.3": lmms_03, "lmms-0.7": lmms_07}


class RealWorldQa(QuestionBenchmark):
    """Reads xAI's files or the mirror's, both Parquet."""

    name = "realworldqa"
    title = "RealWorldQA"
    protocols = tuple(RULES)
    mirror = "lmms-lab/RealWorldQA"
    wanted = ("*test-*.parquet",)
    max_tokens = 16

    def items(self, folder: Path) -> list[Item]:
        """The questions bear no names: their ids are their places."""
        return [replace(item, id=str(number)) for number, item in enumerate(super().items(folder))]

    def item(self, row: tables.Row, image: tables.PictureSource, source: Path) -> Item:
        question, label = (tables.column(row, source, name) for name in ("question", "answer"))
        return Item(id="", prompt=question.strip(), pictures=(image,), facts={"label": label, "question": question})

    def score(self, item: Item, answer: Answer) -> Verdict:
        label = item.facts["label"]
        parsed = RULES[self.protocol](str(answer), item.facts["question"], label)
        return Verdict(score=float(parsed == label.lower().strip()), parsed=parsed)

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Accuracy in percent, as published."""
        return percentages(("accuracy", verdict.score) for _, verdict in scored(records))
