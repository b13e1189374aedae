"""VQAv2: open questions about photographs, each answered by ten people (Goyal and others, arXiv 1612.00837).

The answers of test and test-dev are hidden: what can be scored at home is val2014.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Metrics, Record, Verdict, scored
from blip3o.evals.understanding import words
from blip3o.evals.understanding.prompts import SHORT

QUESTIONS = "v2_OpenEnded_mscoco_val2014_questions.json"
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


def percent(scores: Sequence[float]) -> float:
    """The mean in percent, with two decimals as the script gives it."""
    return round(100 * sum(scores) / len(scores), 2)


def summary(scores: Sequence[float], question_types: Sequence[str], answer_types: Sequence[str]) -> Metrics:
    """Accuracy of all, of each type of answer and of each type of question."""
    parts: dict[str, list[float]] = defaultdict(list)
    for prefix, kinds in (("accuracy", answer_types), ("accuracy/question", question_types)):
        for kind, score in sorted(zip(kinds, scores, strict=True)):
            parts[f"{prefix}/{kind}"].append(score)
    return {"accuracy": percent(scores)} | {name: percent(part) for name, part in parts.items()}


class VqaV2(Benchmark):
    """Reads the questions and annotations of val2014 and the pictures of COCO, or the mirror's validation files."""

    name = "vqav2"
    kind = "understanding"
    protocols = tuple(RULES)
    mirror = "lmms-lab/VQAv2"
    wanted = ("*validation-*.parquet",)
    max_tokens = 16

    def items(self, folder: Path) -> list[Item]:
        questions = tables.find(folder, QUESTIONS)
        if questions is None:
            return list(self._mirrored(folder))
        path = tables.need(folder, "VQAv2's val2014", ANNOTATIONS)
        annotations = {row["question_id"]: row for row in tables.read_json(path)["annotations"]}
        pictures = tables.PictureFolder(folder)
        return [
            self._item(row, _annotation(row, annotations, path), pictures[f"COCO_val2014_{row['image_id']:012d}.jpg"])
            for row in tables.read_json(questions)["questions"]
        ]

    def _mirrored(self, folder: Path) -> Iterator[Item]:
        for row in tables.read_rows(folder, "VQAv2's val2014 (test has no answers)", "validation-*.parquet"):
            if not tables.column(row, folder, "answers"):
                raise DataError(f"{folder} has no answers: take the validation split, for those of test are hidden")
            yield self._item(row, row, tables.picture(tables.column(row, folder, "image"), folder))

    def _item(self, question: tables.Row, annotation: tables.Row, image: tables.PictureSource) -> Item:
        given = annotation["answers"]
        facts: dict[str, Any] = {
            "answers": [row["answer"] for row in given],
            "question_type": annotation["question_type"],
        }
        numbers = [row.get("answer_id") for row in given]
        if len(set(numbers)) < len(numbers):
            facts["marks"] = marks(given)
        return Item(
            id=str(question["question_id"]),
            prompt=question["question"] + INSTRUCTIONS[self.protocol],
            pictures=(image,),
            category=annotation["answer_type"],
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
