"""VQAv2: open questions about photographs, each answered by ten people (Goyal and others, arXiv 1612.00837).

The answers of test and test-dev are hidden: what can be scored at home is val2014.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Item, Metrics, Record, Verdict, scored
from blip3o.evals.understanding import words
from blip3o.evals.understanding.prompts import SHORT
from blip3o.evals.understanding.questions import QuestionBenchmark, percentages

ANNOTATIONS = "v2_mscoco_val2014_annotations.json"
Normalised = tuple[str, list[str]]
"""An answer and those of the ten people, as they are compared."""


def official(answer: str, given: Sequence[str]) -> Normalised:
    """The repository's rule: nothing is normalised where all people agree; "Yes" is wrong where all say "yes"."""
    answer, people = words.one_line(answer), [words.one_line(one) for one in given]
    if len(set(people)) <= 1:
        return answer, people
    return words.vqa(answer), [words.vqa(one) for one in people]


def lmms_03(answer: str, given: Sequence[str]) -> Normalised:
    """lmms-eval's up to 0.3: the answer always, as EvalAI does, and again with the people where they differ."""
    answer, people = words.evalai(answer), [words.one_line(one) for one in given]
    if len(set(people)) <= 1:
        return answer, people
    return words.lmms(answer), [words.lmms(one) for one in people]


def lmms_07(answer: str, given: Sequence[str]) -> Normalised:
    """lmms-eval's since 0.4.1: both sides, always."""
    return words.lmms(words.one_line(answer)), [words.lmms(words.one_line(one)) for one in given]


RULES: Mapping[str, Callable[[str, Sequence[str]], Normalised]] = {
    "official": official,
    "lmms-0.3": lmms_03,
    "lmms-0.7": lmms_07,
}
INSTRUCTIONS = {"official": SHORT, "lmms-0.3": "", "lmms-0.7": SHORT}
"""BLIP3-o's copy of lmms-eval 0.3 asks the bare question."""


def summary(scores: Sequence[float], question_types: Sequence[str], answer_types: Sequence[str]) -> Metrics:
    """Accuracy in percent, to two decimals as the script gives it, of all, of each type of answer and of question."""
    answers = [(f"accuracy/{kind}", score) for kind, score in sorted(zip(answer_types, scores, strict=True))]
    questions = [
        (f"accuracy/question/{kind}", score) for kind, score in sorted(zip(question_types, scores, strict=True))
    ]
    found = percentages([*(("accuracy", score) for score in scores), *answers, *questions])
    return {name: round(value, 2) for name, value in found.items()}


class VqaV2(QuestionBenchmark):
    """Reads the questions and annotations of val2014 and the pictures of COCO, or the mirror's validation files."""

    name = "vqav2"
    title = "VQAv2's val2014 (test has no answers)"
    questions = "v2_OpenEnded_mscoco_val2014_questions.json"
    parquet = ("validation-*.parquet",)
    protocols = tuple(RULES)
    mirror = "lmms-lab/VQAv2"
    wanted = ("*validation-*.parquet",)
    max_tokens = 16

    def official_items(self, folder: Path, path: Path) -> list[Item]:
        annotated = tables.need(folder, "VQAv2's val2014", ANNOTATIONS)
        annotations = {row["question_id"]: row for row in tables.read_json(annotated)["annotations"]}
        images = tables.PictureFolder(folder)
        return [
            self.item(
                row | _annotation(row, annotations, annotated),
                images[f"COCO_val2014_{row['image_id']:012d}.jpg"],
                annotated,
            )
            for row in tables.read_json(path)["questions"]
        ]

    def item(self, row: tables.Row, image: tables.PictureSource, source: Path) -> Item:
        people = tables.column(row, source, "answers")
        if not people:
            raise DataError(f"{source} has no answers: take the validation split, for those of test are hidden")
        facts: dict[str, Any] = {
            "answers": [person["answer"] for person in people],
            "question_type": row["question_type"],
        }
        numbers = [person.get("answer_id") for person in people]
        if len(set(numbers)) < len(numbers):
            facts["marks"] = marks(people)
        return Item(
            id=str(row["question_id"]),
            prompt=row["question"] + INSTRUCTIONS[self.protocol],
            pictures=(image,),
            category=row["answer_type"],
            facts=facts,
        )

    def score(self, item: Item, answer: Answer) -> Verdict:
        parsed, people = RULES[self.protocol](str(answer), item.facts["answers"])
        return Verdict(score=words.agreement(parsed, people, item.facts.get("marks")), parsed=parsed)

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Accuracy in percent, as published; then of each type of answer and of question."""
        known = [(verdict.score, item.facts["question_type"], item.category) for item, verdict in scored(records)]
        return summary(*map(list, zip(*known, strict=True)))


def marks(given: Sequence[tables.Row]) -> list[Hashable]:
    """What tells the answers of people apart beside their words, where they bear no numbers of their own."""
    return [str(sorted((key, value) for key, value in row.items() if key != "answer")) for row in given]


def _annotation(question: tables.Row, annotations: Mapping[Any, tables.Row], path: Path) -> tables.Row:
    """The annotation of a question. Raises DataError where there is none."""
    if question["question_id"] not in annotations:
        raise DataError(f"{path} has no answers to question {question['question_id']}: are the files of one split?")
    return annotations[question["question_id"]]
