"""GQA: questions made from scene graphs, with one right answer each (Hudson and Manning, arXiv 1902.09506).

Beside accuracy the official script tells whether answers are possible (valid), likely (plausible), in agreement with
each other (consistent), and spread as the right ones are. It scores balanced questions only.
"""

import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Benchmark, Item, Metrics, Record, Verdict, scored
from blip3o.evals.understanding.prompts import SHORT

QUESTIONS = ("testdev_balanced_questions.json", "testdev_all_questions.json")
MIRRORED = "testdev_balanced_instructions/*.parquet"
UNCOUNTED = ("exist", "query: name", "choose name")
"""Steps that only ask; no step of reasoning."""
COMMON = ("color", "material", "shape")
"""What two things may have in common: all that a question of that kind can be answered with."""
NO_SIGNS = str.maketrans("", "", string.punctuation)


def llava(text: str) -> str:
    """LLaVA's conversion of an answer."""
    return text.rstrip(".").lower()


def lmms(text: str) -> str:
    """lmms-eval's, of both sides; spaces stay."""
    return text.lower().translate(NO_SIGNS)


RULES: Mapping[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "official": (str, str),
    "llava": (llava, str),
    "lmms": (lmms, lmms),
}
"""What is done with an answer and with the right one before they are compared."""


def facts_of(question: Mapping[str, Any], choices: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """What scoring needs to know of a question of the official file, and of its choices where there are any."""
    steps = [f"{step['operation']}: {step['argument']}" for step in question["semantic"]]
    made = {
        "answer": question["answer"],
        "balanced": question["isBalanced"],
        "group": question["groups"]["global"],
        "entailed": _names(question.get("entailed")),
        "structural": question["types"]["structural"],
        "semantic": question["types"]["semantic"],
        "words": len(question["question"].split()),
        "steps": sum(not any(word in step for word in UNCOUNTED) for step in steps),
    }
    if choices is not None:
        common = "Common" in question["types"]["detailed"]
        made |= {kind: list(COMMON if common else choices[kind]) for kind in ("valid", "plausible")}
    return made


def _names(entailed: Any) -> list[str]:
    """The questions that follow from one; the mirror has them as one string."""
    return re.findall(r"\w+", entailed) if isinstance(entailed, str) else [str(one) for one in entailed or ()]


def judged(facts: Mapping[str, Any], answer: str, protocol: str) -> Verdict:
    """What an answer is worth, and whether it is valid and plausible where the choices are known."""
    of_answer, of_label = RULES[protocol]
    parsed = of_answer(answer)
    details = {
        kind: parsed in [of_label(choice) for choice in facts[kind]] for kind in ("valid", "plausible") if kind in facts
    }
    return Verdict(score=float(parsed == of_label(facts["answer"])), parsed=parsed, details=details)


AnsweredQuestion = tuple[Mapping[str, Any], Verdict]
"""What is known of a question, and what came of its answer."""


def numbers(answered: Mapping[tuple[str, str], AnsweredQuestion], protocol: str = "official") -> Metrics:
    """All numbers of the official script, in percent except the distribution; what cannot be computed is left out.

    Questions bear the names of their unit and of their own.
    """
    known = {key: one for key, one in answered.items() if one[0]["balanced"]}
    if not known:
        return {"accuracy": float("nan")}
    scores: dict[str, list[float]] = defaultdict(list)
    for facts, verdict in known.values():
        for name in _parts(facts):
            scores[name].append(verdict.score)
        for name, kind in (("validity", "valid"), ("plausibility", "plausible")):
            if kind in verdict.details:
                scores[name].append(float(verdict.details[kind]))
    scores["consistency"] = consistency(known, answered)
    made = {name: 100 * sum(part) / len(part) for name, part in scores.items() if part}
    spread = distribution(known.values(), RULES[protocol][1])
    if spread is not None:
        made["distribution"] = spread
    order = ("accuracy", "binary", "open", "consistency", "validity", "plausibility", "distribution")
    return {name: made[name] for name in (*order, *sorted(made.keys() - set(order))) if name in made}


def _parts(facts: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = (f"accuracy/{kind}/{facts[kind]}" for kind in ("structural", "semantic", "steps", "words"))
    return ("accuracy", "open" if facts["structural"] == "query" else "binary", *kinds)


def consistency(
    known: Mapping[tuple[str, str], AnsweredQuestion], answered: Mapping[tuple[str, str], AnsweredQuestion]
) -> list[float]:
    """For each question answered right, the share that is right of those that follow from it.

    Empty where one of them was not asked: they are in the files of all questions, not in that of the balanced ones.
    """
    shares = []
    for (unit, name), (facts, verdict) in known.items():
        following = [(unit, one) for one in facts["entailed"] if one != name]
        if verdict.score and following:
            if any(one not in answered for one in following):
                return []
            shares.append(sum(answered[one][1].score for one in following) / len(following))
    return shares


def distribution(known: Iterable[AnsweredQuestion], of_label: Callable[[str], str]) -> float | None:
    """How far the answers of each group are spread otherwise than the right ones, by chi square; 0 is best."""
    right, given = defaultdict(Counter), defaultdict(Counter)
    for facts, verdict in known:
        if facts["group"] is not None:
            right[facts["group"]][of_label(facts["answer"])] += 1
            given[facts["group"]][verdict.parsed] += 1
    if not right:
        return None
    weighted = sum(
        counts.total() * sum((given[group][answer] - count) ** 2 / count for answer, count in counts.items())
        for group, counts in right.items()
    )
    return weighted / sum(counts.total() for counts in right.values()) / 100


def units(entailed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Question -> the name of its unit: questions that follow from one another are of one, named for one of them."""
    first: dict[str, str] = {name: name for name in entailed}

    def root(name: str) -> str:
        while first[name] != name:
            first[name] = first[first[name]]
            name = first[name]
        return name

    for name, following in entailed.items():
        for other in following:
            if other in first:
                first[root(other)] = root(name)
    return {name: root(name) for name in entailed}


class Gqa(Benchmark):
    """Reads the questions of testdev and the pictures, or the mirror's files of testdev-balanced."""

    name = "gqa"
    kind = "understanding"
    protocols = tuple(RULES)
    mirror = "lmms-lab/GQA"
    wanted = ("testdev_balanced_instructions/*", "testdev_balanced_images/*")
    max_tokens = 16

    def items(self, folder: Path) -> list[Item]:
        """A file `*choices.json`, where there is one, adds validity and plausibility."""
        path = tables.need(folder, "GQA's testdev", *QUESTIONS, MIRRORED)
        if path.suffix == ".parquet":
            return self._mirrored(folder)
        pictures = tables.PictureFolder(folder)
        found = tables.find(folder, "*choices.json")
        choices = tables.read_json(found) if found else {}
        return self._made(
            (name, question, choices.get(name), pictures[f"{question['imageId']}.jpg"])
            for name, question in _labelled(tables.read_json(path), path)
        )

    def _mirrored(self, folder: Path) -> list[Item]:
        what = "GQA's testdev"
        rows = tables.read_rows(folder, what, MIRRORED)
        source = folder / "testdev_balanced_images"
        pictures = {
            row["id"]: tables.picture(row["image"], source)
            for row in tables.read_rows(folder, what, "testdev_balanced_images/*.parquet")
        }
        for row in rows:
            if tables.column(row, folder, "imageId") not in pictures:
                raise DataError(f"{source} holds no picture {row['imageId']}: copy all its files")
        return self._made((row["id"], row, None, pictures[row["imageId"]]) for row in rows)

    def _made(
        self, rows: Iterable[tuple[str, tables.Row, Mapping[str, Sequence[str]] | None, tables.PictureSource]]
    ) -> list[Item]:
        made = [(name, row["question"], facts_of(row, choices), image) for name, row, choices, image in rows]
        unit = units({name: facts["entailed"] for name, _, facts, _ in made})
        return [
            Item(
                id=name,
                prompt=question + SHORT,
                pictures=(image,),
                category=facts["structural"],
                facts=facts,
                unit=unit[name],
            )
            for name, question, facts, image in made
        ]

    def score(self, item: Item, answer: Answer) -> Verdict:
        return judged(item.facts, str(answer), self.protocol)

    def aggregate(self, records: Sequence[Record]) -> Metrics:
        """Accuracy in percent, as published; then all other numbers of the official script."""
        answered = {(item.unit, item.id): (item.facts, verdict) for item, verdict in scored(records)}
        return numbers(answered, self.protocol)


def _labelled(questions: Mapping[str, tables.Row], path: Path) -> Iterable[tuple[str, tables.Row]]:
    """The questions with their names. Raises DataError where their answers are hidden."""
    for name, question in questions.items():
        if "answer" not in question:
            raise DataError(
                f"{path} has no answer to question {name}: take testdev_balanced, for those of test are hidden"
            )
        yield name, question
