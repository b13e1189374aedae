"""Runs a suite of evaluations on a model and puts the scores together."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from blip3o.errors import ConfigError
from blip3o.evals.candidate import Candidate
from blip3o.evals.proportion import Share, mean, share
from blip3o.evals.results import versions
from blip3o.picturebook.benchmarks import drawing, editing, reading, talking
from blip3o.picturebook.benchmarks.benchmark import Exam, Outcome
from blip3o.picturebook.benchmarks.suite_folder import SuiteFolder
from blip3o.picturebook.detector.judge import Judge
from blip3o.picturebook.detector.training import num_right
from blip3o.picturebook.world.prompts import TAGS

Progress = Callable[[str, int, int], None]
"""Hears of the group, its questions done and its questions in all."""
JUDGED_SCENES = 1000
"""Drawn scenes on which the judge itself is measured, whatever the limit."""
PAINTED = "scene"
"""The group whose pictures are also compared with true ones, as sets."""

Ask = Callable[[Exam, int], Iterator[Outcome]]


class Group(NamedTuple):
    """Questions that are asked together: how many by default, and how."""

    size: int
    ask: Ask


def _task(tag: str) -> Ask:
    return lambda exam, n: drawing.tasks(exam, n, tag)


_SIZES = [2000 * (index + 1) // len(TAGS) - 2000 * index // len(TAGS) for index in range(len(TAGS))]
PICTUREBOOK: Mapping[str, Group] = {
    **{f"generation/{tag}": Group(size, _task(tag)) for tag, size in zip(TAGS, _SIZES, strict=True)},
    "composition": Group(400, drawing.composition),
    "scene": Group(400, drawing.scenes),
    "riddle": Group(200, drawing.riddles),
    "vqa": Group(1000, reading.questions),
    "caption": Group(300, reading.captions),
    "edit": Group(300, editing.edits),
    "dialogue": Group(200, talking.dialogues),
}
"""The groups of the picture-book suite; 2,000 prompts in the six tasks of GenEval."""
SUITES = {"picturebook": PICTUREBOOK}
PROTOCOL = "official"
"""How every suite asks and scores."""


def run(
    model: Candidate,
    suite: str = "picturebook",
    *,
    seed: int = 0,
    limit: int | None = None,
    groups: Iterable[str] | None = None,
    output: Path | None = None,
    restart: bool = False,
    about: Mapping[str, Any] | None = None,
    batch: int = 16,
    progress: Progress = lambda group, done, total: None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Asks a suite's held-out questions and returns the scores, ready for JSON.

    `seed` picks another held-out set of the same kind; `limit` is the number of questions in every group (each of
    GenEval's six tasks is one), None the suite's own numbers; `groups` names some of them ("generation" means its six
    tasks), None all. With `output` a folder gets every question and picture as it comes: what an earlier run of the
    same model and seed left there counts and is not asked again, unless it is to `restart`. `about` tells the model
    from others of its name. Errors: ConfigError for an unknown suite or group or a limit below 1, DataError for a
    folder of another run, OutputError for one that cannot be written.
    """
    start = time.monotonic()
    table = _named(suite, SUITES)
    chosen = _chosen(table, groups, limit)
    exam = Exam(candidate=model, judge=judge or Judge.load(), seed=seed, batch=batch)
    report = _begun(suite, dict(about or {}) | model.info(), seed, limit)
    folder = None if output is None else SuiteFolder(output, report, restart=restart)
    outcomes = _asked(exam, table, chosen, folder, progress)
    right = num_right(exam.judge, seed=seed, n=JUDGED_SCENES)
    accuracy = share([True] * right + [False] * (JUDGED_SCENES - right))
    report |= {
        "complete": all(len(outcomes.get(name, ())) >= group.size for name, group in table.items()),
        "n": sum(map(len, outcomes.values())),
        "of": sum(max(group.size, len(outcomes.get(name, ()))) for name, group in table.items()),
        "seconds": round(time.monotonic() - start, 1),
        "metrics": _metrics(outcomes),
        "judge": {"accuracy": accuracy.as_json()},
        "details": _details(outcomes, exam),
    }
    if folder is not None:
        folder.finish([f"{name}/{index}" for name, found in outcomes.items() for index in range(len(found))], report)
    return report


def _begun(suite: str, model: Mapping[str, Any], seed: int, limit: int | None) -> dict[str, Any]:
    """What is known before the first question."""
    return {
        "suite": suite,
        "benchmark": suite,
        "protocol": PROTOCOL,
        "model": json.loads(json.dumps(model)),
        "seed": seed,
        "limit": limit,
        "complete": False,
        "scored": True,
        "n": 0,
        "of": sum(group.size for group in SUITES[suite].values()),
        "metrics": {},
        "versions": versions(),
        "data": {"digest": f"{suite}/{seed}"},
    }


def _asked(
    exam: Exam,
    table: Mapping[str, Group],
    chosen: Mapping[str, Group],
    folder: SuiteFolder | None,
    progress: Progress,
) -> dict[str, list[Outcome]]:
    """Every outcome by its group: those that the folder holds, and those of the chosen groups that it lacks."""
    outcomes: dict[str, list[Outcome]] = {}
    for name in table:
        found = [] if folder is None else folder.outcomes(name)
        size = chosen[name].size if name in chosen else 0
        if size:
            progress(name, min(len(found), size), size)
        if len(found) < size:
            for outcome in table[name].ask(replace(exam, begin=len(found)), size):
                if folder is not None:
                    folder.add(f"{name}/{len(found)}", outcome)
                found.append(outcome if name == PAINTED else replace(outcome, picture=None, shown=None))
                progress(name, len(found), size)
        if found:
            outcomes[name] = found
    return outcomes


def _named(name: str, table: Mapping[str, Any]) -> Any:
    if name not in table:
        raise ConfigError(f"no suite is called {name!r}: choose one of {', '.join(table)}")
    return table[name]


def _chosen(table: Mapping[str, Group], groups: Iterable[str] | None, limit: int | None) -> dict[str, Group]:
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


def _share(outcomes: Sequence[Outcome]) -> Share:
    return share(outcome.correct for outcome in outcomes)


def _exact(outcomes: Sequence[Outcome]) -> Share | None:
    """The share of what shows nothing but what was asked for; None where that is no question."""
    known = [outcome.exact for outcome in outcomes if outcome.exact is not None]
    return share(known) if known else None


def _both(value: Share, exact: Share | None) -> dict[str, Any]:
    return value.as_json() | ({} if exact is None else {"exact": exact.as_json()})


def _score(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return _both(_share(outcomes), _exact(outcomes))


def _metrics(outcomes: dict[str, list[Outcome]]) -> dict[str, Any]:
    """A share for each group, with its "exact" one where things are drawn; GenEval's tasks and, if all six are there,
    their mean under "generation"."""
    six = {name.split("/")[1]: found for name, found in outcomes.items() if "/" in name}
    metrics: dict[str, Any] = {name: _score(found) for name, found in outcomes.items() if "/" not in name}
    if six:
        values, exact = list(map(_share, six.values())), list(filter(None, map(_exact, six.values())))
        overall = {"overall": _both(mean(values), mean(exact))} if len(six) == len(TAGS) else {}
        metrics = {"generation": overall | {tag: _score(found) for tag, found in six.items()}} | metrics
    return metrics


def _details(outcomes: dict[str, list[Outcome]], exam: Exam) -> dict[str, Any]:
    """Every group by kind of question, and the Frechet distance of the drawn scenes."""
    details: dict[str, Any] = {}
    for name, found in outcomes.items():
        parts = sorted({outcome.part for outcome in found})
        if "/" not in name:
            details[name] = {part: _score([one for one in found if one.part == part]) for part in parts}
    painted = [outcome.picture for outcome in outcomes.get(PAINTED, ()) if outcome.picture is not None]
    distances = drawing.distances(exam, painted)
    return details if distances is None else details | {"frechet_distance": distances}
