"""RealWorldQA: questions about photographs, mostly from cars; the data set is xAI's, who published no way of scoring.

lmms-eval's ways count: that of 0.3, which BLIP3-o's numbers come from, and that of 0.7. The questions hold their
instruction.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Metrics, Record, Verdict
from blip3o.evals.understanding.letters import ranked
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


class RealWorldQa(Benchmark):
    """Reads xAI's files or the mirror's, both Parquet."""

    name = "realworldqa"
    kind = "understanding"
    protocols = tuple(RULES)
    mirror = "lmms-lab/RealWorldQA"
    wanted = ("*test-*.parquet",)
    max_tokens = 16

    def items(self, folder: Path) -> list[Item]:
        rows = tables.read_rows(folder, "RealWorldQA", "test-*.parquet", "*.parquet")
        return [
            Item(
                id=str(number),
                prompt=tables.column(row, folder, "question").strip(),
                pictures=(tables.picture(tables.column(row, folder, "image"), folder),),
                facts={"label": tables.column(row, folder, "answer"), "question": row["question"]},
            )
            for number, row in enumerate(rows)
        ]

    def score(self, item: Item, answer: Answer) -> Verdict:
        label = item.facts["label"]
        parsed = RULES[self.protocol](str(answer), item.facts["question"], label)
        return Verdict(score=float(parsed == label.lower().strip()), parsed=parsed)

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Accuracy in percent, as published."""
        scores = [record.verdict.score for record in records if record.verdict]
        return {"accuracy": 100 * sum(scores) / len(scores)}
