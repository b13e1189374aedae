"""Runs a suite of evaluations on a model and puts the scores together."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from blip3o.data.picturebook.prompts import TAGS
from blip3o.errors import ConfigError, OutputError
from blip3o.evals.candidate import Candidate
from blip3o.evals.exam import Exam, Outcome
from blip3o.evals.judges.judge import Judge
from blip3o.evals.judges.training import num_right
from blip3o.evals.picturebook import drawing, editing, reading, talking
from blip3o.evals.share import Share, mean, share

Progress = Callable[[str, int, int], None]
"""Hears of the group, its questions done and its questions in all."""
JUDGED_SCENES = 1000
"""Drawn scenes on which the judge itself is measured, whatever the limit."""

Ask = Callable[[Exam, int], Iterator[Outcome]]


class Group(NamedTuple):
    """Questions that are asked together: how many by default, and how."""

    size: int
    ask: Ask


def _task(tag: str) -> Ask:
    return lambda exam, n: drawing.tasks(exam, n, tag)


def picturebook(gallery: drawing.Gallery) -> dict[str, Group]:
    """The groups of the picture-book suite; 2,000 prompts in the six tasks of GenEval. Scenes fill the gallery."""
    sizes = [2000 * (index + 1) // len(TAGS) - 2000 * index // len(TAGS) for index in range(len(TAGS))]
    return {
        **{f"generation/{tag}": Group(size, _task(tag)) for tag, size in zip(TAGS, sizes, strict=True)},
        "composition": Group(400, drawing.composition),
        "scene": Group(400, lambda exam, n: drawing.scenes(exam, n, gallery)),
        "riddle": Group(200, drawing.riddles),
        "vqa": Group(1000, reading.questions),
        "caption": Group(300, reading.captions),
        "edit": Group(300, editing.edits),
        "dialogue": Group(200, talking.dialogues),
    }


SUITES = {"picturebook": picturebook}


class Samples:
    """Writes every question with its outcome to `samples.jsonl`, every picture beside it; without a folder nothing.

    Until the last question is answered the file ends in .partial.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.lines: TextIO | None = None

    def __enter__(self) -> "Samples":
        if self.folder is not None:
            try:
                (self.folder / "pictures").mkdir(parents=True, exist_ok=True)
                self.lines = (self.folder / "samples.jsonl.partial").open("w", encoding="utf-8")
            except OSError as error:
                reason = error.strerror or error
                raise OutputError(f"cannot write samples to {self.folder}: {reason}; choose another folder") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.lines is None or self.folder is None:
            return
        self.lines.close()
        if kind is None:
            (self.folder / "samples.jsonl.partial").replace(self.folder / "samples.jsonl")

    def write(self, name: str, outcome: Outcome) -> None:
        """One line; `name` is the question's own ("edit/12") and becomes the picture's ("pictures/edit-12.png")."""
        if self.lines is None or self.folder is None:
            return
        picture = None if outcome.picture is None else f"pictures/{name.replace('/', '-')}.png"
        if picture and outcome.picture:
            outcome.picture.save(self.folder / picture)
        fields = {field: value for field, value in vars(outcome).items() if field not in ("picture", "correct")}
        self.lines.write(json.dumps({"id": name, **fields, "score": int(outcome.correct), "picture": picture}) + "\n")


def run(
    model: Candidate,
    suite: str = "picturebook",
    *,
    seed: int = 0,
    limit: int | None = None,
    groups: Iterable[str] | None = None,
    output: Path | None = None,
    batch: int = 16,
    progress: Progress = lambda group, done, total: None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Asks a suite's held-out questions and returns the scores, ready for JSON.

    `seed` picks another held-out set of the same kind; `limit` is the number of questions in every group (each of
    GenEval's six tasks is one), None the suite's own numbers; `groups` names some of them ("generation" means its six
    tasks), None all. With `output` a folder gets every question and picture. Errors: ConfigError for an unknown suite
    or group or a limit below 1, OutputError for a folder that cannot be written.
    """
    start = time.monotonic()
    gallery = drawing.Gallery()
    chosen = _chosen(_named(suite, SUITES)(gallery), groups, limit)
    exam = Exam(candidate=model, judge=judge or Judge.load(), seed=seed, batch=batch)
    outcomes: dict[str, list[Outcome]] = {}
    with Samples(output) as samples:
        for name, group in chosen.items():
            progress(name, 0, group.size)
            outcomes[name] = []
            for index, outcome in enumerate(group.ask(exam, group.size)):
                samples.write(f"{name}/{index}", outcome)
                outcomes[name].append(_without_picture(outcome))
                progress(name, index + 1, group.size)
    right = num_right(exam.judge, seed=seed, n=JUDGED_SCENES)
    accuracy = share([True] * right + [False] * (JUDGED_SCENES - right))
    return {
        "suite": suite,
        "model": model.info(),
        "seed": seed,
        "limit": limit,
        "seconds": round(time.monotonic() - start, 1),
        "metrics": _metrics(outcomes),
        "judge": {"accuracy": accuracy.as_json()},
        "details": _details(outcomes, gallery),
    }


def _named(name: str, table: dict[str, Any]) -> Any:
    if name not in table:
        raise ConfigError(f"no suite is called {name!r}: choose one of {', '.join(table)}")
    return table[name]


def _chosen(table: dict[str, Group], groups: Iterable[str] | None, limit: int | None) -> dict[str, Group]:
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}: expected 1 or more questions in a group")
    wanted = None if groups is None else list(groups)
    unknown = [name for name in wanted or () if not any(_belongs(key, name) for key in table)]
    if unknown:
        raise ConfigError(f"no group is called {unknown[0]!r}: choose from generation, {', '.join(table)}")
    kept = {key: group for key, group in table.items() if wanted is None or any(_belongs(key, name) for name in wanted)}
    return {key: group._replace(size=group.size if limit is None else limit) for key, group in kept.items()}


def _belongs(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}/")


def _without_picture(outcome: Outcome) -> Outcome:
    return Outcome(**{**vars(outcome), "picture": None})


def _share(outcomes: Iterable[Outcome]) -> Share:
    return share(outcome.correct for outcome in outcomes)


def _metrics(outcomes: dict[str, list[Outcome]]) -> dict[str, Any]:
    """A share for each group; GenEval's tasks and, if all six are there, their mean under "generation"."""
    scores = {name: _share(found) for name, found in outcomes.items()}
    six = {name.split("/")[1]: score for name, score in scores.items() if "/" in name}
    metrics: dict[str, Any] = {name: score.as_json() for name, score in scores.items() if "/" not in name}
    if six:
        overall = {"overall": mean(list(six.values())).as_json()} if len(six) == len(TAGS) else {}
        metrics = {"generation": overall | {tag: score.as_json() for tag, score in six.items()}} | metrics
    return metrics


def _details(outcomes: dict[str, list[Outcome]], gallery: drawing.Gallery) -> dict[str, Any]:
    """Every group by kind of question, and the Frechet distance of the drawn scenes."""
    details: dict[str, Any] = {}
    for name, found in outcomes.items():
        parts = sorted({outcome.part for outcome in found})
        if "/" not in name:
            details[name] = {part: _share(one for one in found if one.part == part).as_json() for part in parts}
    distances = gallery.distances()
    return details if distances is None else details | {"frechet_distance": distances}
