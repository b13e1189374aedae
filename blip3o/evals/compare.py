"""Two models on the same benchmarks, answer by answer: which is ahead, by how much, and how sure that is.

Both were asked the same items, so that differences are taken item by item, always B - A. Their intervals come from a
paired bootstrap: units of items are drawn anew, each with the answers of both (Koehn 2004, "Statistical significance
tests for machine translation evaluation"). Only the files of results are read, and no model.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from blip3o.errors import DataError
from blip3o.evals.benchmark import Item, Record
from blip3o.evals.saved_results import BenchmarkResult, Number, located, results_in

RESAMPLES = 2000
"""Data sets drawn for an interval."""
SEED = 0
AT_ONCE = 2_000_000
"""Numbers drawn at a time, which bounds the memory."""

Outcome = Literal["A better", "B better", "neither right", "not scored", "both right"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number of the benchmark; None where a run lacks it."""

    name: str
    a: Number | None
    b: Number | None
    difference: float | None
    """None where the two must not be subtracted."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Items by who is right."""

    a_only: int
    b_only: int
    both: int
    neither: int


@dataclass(frozen=True, kw_only=True)
class MeanScores:
    """The mean scores of the items that both have scored."""

    n: int
    units: int
    a: float
    b: float
    difference: Number
    """Without limits where all items are of one unit, which tells nothing of others."""
    counts: Counts | None
    """None where scores are not just 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An item that both have answered."""

    item: Item
    """As A's results tell it."""
    a: Record
    b: Record
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Match:
    """Both models on one benchmark."""

    name: str
    a: BenchmarkResult
    b: BenchmarkResult
    refusals: tuple[str, ...]
    """Why the two must not be compared; with one, nothing is subtracted and no item is paired."""
    notes: tuple[str, ...]
    """What to know before believing a difference."""
    metrics: tuple[Metric, ...]
    scores: MeanScores | None
    categories: Mapping[str, MeanScores]
    """Empty where all items are of one category."""
    pairs: tuple[Pair, ...]
    """In the order of A's data set."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two folders of results."""

    name: str
    """Of its model, or models."""
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two folders of results beside each other."""

    a: Side
    b: Side
    matches: tuple[Match, ...]
    only_a: tuple[str, ...]
    """Benchmarks that the other lacks."""
    only_b: tuple[str, ...]


def compare(a: Path, b: Path) -> Comparison:
    """Compare two folders of results on every benchmark that both hold.

    Raises DataError for a folder without results, for two that share no benchmark, and for a broken file.
    """
    a, b = located(a), located(b)
    first, second = results_in(a), results_in(b)
    shared = [name for name in first if name in second]
    if not shared:
        contents = f"{a} holds {', '.join(first)}; {b} holds {', '.join(second)}"
        raise DataError(f"no benchmark is in both folders ({contents}): evaluate both models on one of them")
    return Comparison(
        a=_side(a, first),
        b=_side(b, second),
        matches=tuple(_match(name, first[name], second[name]) for name in shared),
        only_a=tuple(name for name in first if name not in second),
        only_b=tuple(name for name in second if name not in first),
    )


def facts(comparison: Comparison) -> dict[str, Any]:
    """What came of a comparison, ready for JSON: all of it but the items."""
    return {
        "a": {"name": comparison.a.name, "folder": str(comparison.a.folder)},
        "b": {"name": comparison.b.name, "folder": str(comparison.b.folder)},
        "only_a": list(comparison.only_a),
        "only_b": list(comparison.only_b),
        "benchmarks": {match.name: _facts(match) for match in comparison.matches},
    }


def _facts(match: Match) -> dict[str, Any]:
    return {
        "n": {"a": match.a.n, "b": match.b.n},
        "refusals": list(match.refusals),
        "notes": list(match.notes),
        "metrics": {metric.name: asdict(metric) for metric in match.metrics},
        "scores": None if match.scores is None else asdict(match.scores),
        "categories": {name: asdict(scores) for name, scores in match.categories.items()},
    }


def paired(differences: Sequence[float], units: Sequence[str]) -> Number:
    """The mean of differences, one an item, with an interval from drawing their units again and again.

    Units that weigh the same are drawn as one kind with its number, which is the same distribution and quick. Kinds
    stand in the order of their first unit, so that turning all signs turns the interval and nothing else.
    """
    place = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    index = np.array([place[unit] for unit in units])
    weights = np.stack([np.bincount(index, np.array(differences)), np.bincount(index)], axis=1)
    mean = float(np.mean(differences))
    if len(weights) == 1:  # one unit says nothing of how much units differ
        return Number(value=mean)
    kinds, begins, numbers = np.unique(weights, axis=0, return_index=True, return_counts=True)
    order = np.argsort(begins)
    kinds, shares = kinds[order], numbers[order] / len(weights)
    rng, size = np.random.default_rng(SEED), max(1, AT_ONCE // len(kinds))
    drawn = [
        rng.multinomial(len(weights), shares, size=min(size, RESAMPLES - begin)) @ kinds
        for begin in range(0, RESAMPLES, size)
    ]
    sums = np.concatenate(drawn)  # of differences and of items: units of many items weigh more
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return Number(value=mean, low=float(low), high=float(high))


def _side(folder: Path, runs: Mapping[str, BenchmarkResult]) -> Side:
    names = dict.fromkeys(run.model for run in runs.values() if run.model)
    return Side(name=", ".join(names) or folder.name, folder=folder)


# --- one benchmark ----------------------------------------------------------------------------------------------------


def _match(name: str, a: BenchmarkResult, b: BenchmarkResult) -> Match:
    refusals = tuple(_refusals(a, b))
    pairs = () if refusals else tuple(_pairs(a, b))
    scores, categories = _scores(pairs), _by_category(pairs)
    same = not refusals and ((a.complete and b.complete) or _scored(a) == _scored(b) != set())
    return Match(
        name=name,
        a=a,
        b=b,
        refusals=refusals,
        notes=tuple(_notes(a, b, same or bool(refusals))),
        metrics=tuple(_metric(key, a, b, subtract=same) for key in dict.fromkeys((*a.metrics, *b.metrics))),
        scores=scores,
        categories=categories,
        pairs=pairs,
    )


def _refusals(a: BenchmarkResult, b: BenchmarkResult) -> Iterator[str]:
    fields = {
        "protocols": (a.protocol, b.protocol),
        "judges": (a.judge, b.judge),
        "data": (a.digest, b.digest),
    }
    for what, (first, second) in fields.items():
        if first != second:
            yield f"not compared, their {what} differ: {first or 'none'} in A, {second or 'none'} in B"
    shared = a.records.keys() & b.records.keys()
    other = sorted(name for name in shared if a.records[name].item.prompt != b.records[name].item.prompt)
    if other:
        yield f"not compared, {len(other)} of their items of one name are asked in other words, {other[0]} first"


def _notes(a: BenchmarkResult, b: BenchmarkResult, same: bool) -> Iterator[str]:
    for side, run in (("A", a), ("B", b)):
        if not run.complete:
            yield f"{side} is not complete: {run.n} of {run.of} items are scored"
        if not run.scored:
            yield f"{side} has answers that are not scored: a judge is missing or has failed"
        if not run.records:
            yield f"{side} keeps no answers: only its numbers are shown"
    if not same:
        yield "metrics are not subtracted, for they are of different items; scores are of the items of both"
    if a.seed != b.seed:
        yield f"seeds differ: {a.seed} in A, {b.seed} in B"
    for what, first, second in (("ways of loading", a.loaded, b.loaded), ("versions", a.versions, b.versions)):
        unlike = [name for name in dict.fromkeys((*first, *second)) if first.get(name) != second.get(name)]
        if unlike and first and second:  # early results do not tell
            differences = (f"{name} {first.get(name, 'none')} in A, {second.get(name, 'none')} in B" for name in unlike)
            yield f"{what} differ: {'; '.join(differences)}"


def _scored(run: BenchmarkResult) -> set[str]:
    return {name for name, record in run.records.items() if record.verdict is not None}


def _metric(name: str, a: BenchmarkResult, b: BenchmarkResult, *, subtract: bool) -> Metric:
    first, second = a.metrics.get(name), b.metrics.get(name)
    values = (first and first.value, second and second.value)
    difference = None if not subtract or values[0] is None or values[1] is None else values[1] - values[0]
    return Metric(name=name, a=first, b=second, difference=difference)


def _pairs(a: BenchmarkResult, b: BenchmarkResult) -> list[Pair]:
    shared = [(record, b.records[name]) for name, record in a.records.items() if name in b.records]
    scores = [record.verdict.score for records in shared for record in records if record.verdict is not None]
    full = max([1.0, *scores])
    return [
        Pair(item=first.item, a=first, b=second, outcome=_outcome(first.score, second.score, full))
        for first, second in shared
    ]


def _outcome(a: float | None, b: float | None, full: float) -> Outcome:
    """`full` is the highest score of the benchmark: what is equal and below it neither has right."""
    if a is None or b is None:
        return "not scored"
    if a != b:
        return "A better" if a > b else "B better"
    return "both right" if a >= full else "neither right"


def _scores(pairs: Sequence[Pair]) -> MeanScores | None:
    scored = [
        (pair.item.unit, pair.a.score, pair.b.score)
        for pair in pairs
        if pair.a.score is not None and pair.b.score is not None
    ]
    if not scored:
        return None
    units, first, second = zip(*scored, strict=True)
    both = list(zip(first, second, strict=True))
    binary = {*first, *second} <= {0.0, 1.0}
    return MeanScores(
        n=len(scored),
        units=len(set(units)),
        a=float(np.mean(first)),
        b=float(np.mean(second)),
        difference=paired([later - earlier for earlier, later in both], units),
        counts=Counts(
            a_only=both.count((1, 0)), b_only=both.count((0, 1)), both=both.count((1, 1)), neither=both.count((0, 0))
        )
        if binary
        else None,
    )


def _by_category(pairs: Sequence[Pair]) -> dict[str, MeanScores]:
    parts: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        parts[pair.item.category].append(pair)
    categories = {name: _scores(part) for name, part in sorted(parts.items())} if len(parts) > 1 else {}
    return {name: scores for name, scores in categories.items() if scores is not None}
