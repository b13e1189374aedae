"""MM-Vet: 218 open questions that need several abilities at once, graded by a judge (Yu and others, arXiv 2308.02490).

The judge is asked with the words of the official `mm-vet_evaluator.py`, which are read from the user's copy of it. The
paper's judge is gpt-4-0613, and its numbers are means of five runs; the script makes one where it is told nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Judge, JudgeCall, Metrics, Record, Verdict, scored
from blip3o.evals.tables import Row

RUNS = {"official": 1, "official-5-runs": 5}
"""Protocol -> how often the judge grades each answer."""
SCRIPT, VARIABLE = "mm-vet_evaluator.py", "prompt"
AGAIN = "\nPredict the correctness of the answer (digit): "
"""What is put after a request whose reply was no grade."""
TEMPERATURES = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Of the requests that are made again."""
TRIES = 1 + len(TEMPERATURES)
MAX_TOKENS = 3


def words_of(path: Path) -> str:
    """The words that stand before each question to the judge, from the official script. Raises DataError."""
    named = tables.read_strings(path, "script of MM-Vet")
    if VARIABLE not in named:
        raise DataError(f"{path} sets no {VARIABLE}: copy it again from github.com/yuweihao/MM-Vet")
    return named[VARIABLE]


def request(words: str, question: str, right: str, answer: str) -> str:
    """What the judge is asked about an answer."""
    spaced = right.replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
    return f"{words}\n" + " | ".join((question, spaced, answer, ""))


@dataclass(frozen=True, kw_only=True)
class Grade:
    """What a judge makes of an answer."""

    score: float
    """0 to 1, or nan where the judge says so, which the official script lets pass."""
    content: str
    """The reply it was read from; where none could be read, the last one."""


def grade_of(reply: str) -> float | None:
    """The grade that is the first word of a reply; None where it is no number, or none from 0 to 1."""
    try:
        score = float(reply.split(" ")[0].strip())
    except ValueError:
        return None
    return None if score > 1 or score < 0 else score


def graded(judge: Judge, text: str, run: int = 0) -> Grade:
    """Ask until a reply is a grade; each of several runs has attempts of its own, so that it gets its own replies.

    After five replies that are none it is 0. The official script then asks a sixth time and does not read the reply.
    """
    reply = ""
    for attempt, temperature in enumerate((0.0, *TEMPERATURES)):
        number = run * TRIES + attempt
        call = JudgeCall(temperature=temperature, max_tokens=MAX_TOKENS, attempt=number, think=False)
        reply = judge.ask(text + AGAIN if attempt else text, settings=call)
        score = grade_of(reply)
        if score is not None and attempt < len(TEMPERATURES):
            return Grade(score=score, content=reply.split(" ")[0].strip())
    return Grade(score=0.0, content=reply)


def report(scores: Sequence[tuple[Sequence[str], Sequence[float]]]) -> Metrics:
    """Numbers from 0 to 100, given the abilities that each question needs and its scores in all runs.

    The mean of all, its standard deviation over the runs, then the mean of the questions that need an ability, and of
    those that need just one set of them. nan where a score is.
    """
    parts: dict[str, list[Sequence[float]]] = defaultdict(list)
    for abilities, runs in scores:
        for ability in sorted(set(abilities)):
            parts[f"capability/{ability}"].append(runs)
        parts[f"integration/{'_'.join(sorted(set(abilities)))}"].append(runs)
    totals = _by_run([runs for _, runs in scores])
    means = {name: float(_by_run(part).mean()) for name, part in sorted(parts.items())}
    return {"total": float(totals.mean()), "std": float(totals.std())} | means


def _by_run(scores: Sequence[Sequence[float]]) -> np.ndarray:
    return np.array([sum(run) / len(run) * 100 for run in zip(*scores, strict=True)])


class Mmvet(Benchmark):
    """Reads `mm-vet.json` and the folder `images`, or the mirror's Parquet files; `mm-vet_evaluator.py` beside them is
    needed where there is a judge."""

    name = "mmvet"
    kind = "understanding"
    protocols = tuple(RUNS)
    mirror = "lmms-lab/MMVet"
    wanted = ("*test-*.parquet",)
    needs_judge = True
    max_tokens = 1024

    def __init__(self, protocol: str, judge: Judge | None = None) -> None:
        super().__init__(protocol, judge)
        self.words: str | None = None
        """What stands before each question to the judge, once the items are read."""

    def items(self, folder: Path) -> list[Item]:
        path = tables.find(folder, "mm-vet.json")
        made = self._mirrored(folder) if path is None else self._official(path)
        script = tables.find(folder, SCRIPT)
        if script is not None:
            self.words = words_of(script)
        elif self.judge is not None:
            raise DataError(f"{folder} holds no {SCRIPT}, whose words ask the judge: put the one of MM-Vet there")
        return made

    def _official(self, path: Path) -> list[Item]:
        content = tables.read_json(path)
        if not isinstance(content, dict) or not all(isinstance(row, dict) for row in content.values()):
            raise DataError(f"{path} is no MM-Vet: expected an object with one object for each question")
        return [
            self._item(identity, row, tables.picture_file(path.parent, image), path)
            for identity, row in content.items()
            for image in [str(tables.column(row, path, "imagename"))]
        ]

    def _mirrored(self, folder: Path) -> list[Item]:
        return [
            self._item(str(identity), row, tables.picture(tables.column(row, folder, "image"), folder), folder)
            for row in tables.read_rows(folder, "MM-Vet", "test*.parquet", "*.parquet")
            for identity in [tables.column(row, folder, "question_id")]
        ]

    def _item(self, identity: str, row: Row, picture: tables.PictureSource, source: Path) -> Item:
        question, right = (str(tables.column(row, source, name)) for name in ("question", "answer"))
        abilities = tables.column(row, source, "capability")
        names = abilities.split(",") if isinstance(abilities, str) else abilities
        needed = sorted({str(name).strip() for name in names} - {""})
        if not needed:
            raise DataError(f"{source}, question {identity}, needs no capability: copy the file again")
        facts = {"question": question, "answer": right, "abilities": needed}
        return Item(id=identity, prompt=question, pictures=(picture,), category="_".join(needed), facts=facts)

    def score(self, item: Item, answer: Answer) -> Verdict | None:
        """The mean grade of all runs; 0 for an empty answer. Raises DataError where there is a judge, but no words."""
        if self.judge is None:
            return None
        if not str(answer).strip():
            scores = [0.0] * RUNS[self.protocol]
            return Verdict(score=0.0, parsed=0.0, details={"scores": scores, "replies": []})
        if self.words is None:
            raise DataError(f"no words for the judge of {item.id}: read the items of a folder with {SCRIPT} first")
        text = request(self.words, item.facts["question"], item.facts["answer"], str(answer))
        grades = [graded(self.judge, text, run) for run in range(RUNS[self.protocol])]
        scores = [grade.score for grade in grades]
        details = {"scores": scores, "replies": [grade.content for grade in grades]}
        return Verdict(score=sum(scores) / len(scores), parsed=scores[0], details=details)

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """The total, 0 to 100, as published."""
        known = [(item.facts["abilities"], verdict.details["scores"]) for item, verdict in scored(records)]
        return report(known) if known else {"total": float("nan")}
