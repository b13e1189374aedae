"""What a suite leaves in a folder, as a benchmark does, so that a run goes on where it was stopped and is compared.

scores.json              whose numbers, the numbers, and whether all questions are in them
scores.samples.jsonl     one line for each question
pictures/                what was drawn, and what was shown
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from blip3o.evals import tables
from blip3o.evals.benchmark import Item, Verdict
from blip3o.evals.results import Answers, append, identity_of, keep_picture, line_of
from blip3o.picturebook.benchmarks.benchmark import Outcome

NAME = "scores"


class SuiteFolder:
    """The outcomes of a suite in a folder, those of an earlier run among them."""

    def __init__(self, folder: Path, report: Mapping[str, Any], *, restart: bool) -> None:
        """`report`: what is known of the run so far. Raises OutputError, and DataError for a folder of another run that
        is not to be forgotten."""
        self.folder, self.answers = folder, Answers(folder, NAME)
        if restart:
            self.answers.forget()
        self.answers.check(identity_of(report))
        self.lines = self.answers.read()
        self.path = self.answers.part(0)
        self.answers.write_result(report)

    def outcomes(self, group: str) -> list[Outcome]:
        """The outcomes of a group that are there, from its first question on and without a gap."""
        found: list[Outcome] = []
        while (line := self.lines.get(f"{group}/{len(found)}")) is not None:
            found.append(_outcome(line, self.folder))
        return found

    def add(self, name: str, outcome: Outcome) -> None:
        """Keep the outcome of a question; `name` is the question's own ("edit/12"). Raises OutputError."""
        drawn, shown = (
            self._kept(image, f"{name.replace('/', '-')}{ending}.png")
            for image, ending in ((outcome.picture, ""), (outcome.shown, "-shown"))
        )
        details = {"part": outcome.part, "note": outcome.note, "exact": outcome.exact}
        item = Item(
            id=name,
            prompt=outcome.prompt,
            pictures=tuple(self.folder / path for path in shown),
            category=name.rpartition("/")[0],
            facts={"expected": outcome.expected},
        )
        verdict = Verdict(
            score=float(outcome.correct), parsed=outcome.answer if drawn else None, details=_without_none(details)
        )
        self.lines[name] = line_of(item, drawn or outcome.answer, verdict, {}, self.folder)
        append(self.path, [self.lines[name]])

    def _kept(self, image: Image.Image | None, name: str) -> tuple[str, ...]:
        if image is None:
            return ()
        keep_picture(image, self.folder / "pictures" / name)
        return (f"pictures/{name}",)

    def finish(self, names: Iterable[str], report: Mapping[str, Any]) -> None:
        """Write the numbers, and the lines of these questions in this order. Raises OutputError."""
        self.answers.finish([self.lines[name] for name in names])
        self.answers.write_result(report)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "")}


def _outcome(line: Mapping[str, Any], folder: Path) -> Outcome:
    """What a line tells; of a drawing with its picture. Raises PictureError where that is lost."""
    drawn, details = isinstance(line["answer"], list), line["details"]
    return Outcome(
        group=line["category"],
        part=details["part"],
        prompt=line["prompt"],
        answer=line["parsed"] if drawn else line["answer"],
        expected=line["facts"]["expected"],
        correct=bool(line["score"]),
        exact=details.get("exact"),
        note=details.get("note", ""),
        picture=tables.opened(folder / line["answer"][0]) if drawn else None,
    )
