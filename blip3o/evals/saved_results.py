"""Reads what evaluations have left in a folder (blip3o/evals/results.py), early versions and stopped runs among it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.evals.benchmark import Answer, Item, Record, Verdict

NEEDED: dict[str, type] = {"protocol": str, "model": dict, "metrics": dict, "data": dict}
"""What a result holds beside its benchmark's name."""


Line = dict[str, Any]
"""An item, its answer and what came of it."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose numbers these are: runs of other identities are never mixed."""

    benchmark: str
    protocol: str
    model: Mapping[str, Any]
    seed: int
    digest: str
    """Of the items: what is asked and what is right."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number within its 95 % interval; None is what cannot be computed."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """What one model left of one benchmark, or of a suite."""

    protocol: str
    model: str
    judge: str | None
    digest: str | None
    loaded: Mapping[str, Any]
    """How the model was loaded: device, dtype, rounding."""
    metrics: Mapping[str, Number]
    records: Mapping[str, Record]
    """Item -> what the model made of it."""
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False
    scored: bool = False
    n: int = 0
    of: int = 0


def identity_of(result: Mapping[str, Any]) -> Identity:
    """Whose numbers a result holds. Raises KeyError and TypeError for what is none."""
    return Identity(
        benchmark=result["benchmark"],
        protocol=result["protocol"],
        model=result["model"],
        seed=result["seed"],
        digest=result["data"]["digest"],
    )


def located(folder: Path) -> Path:
    """The folder inside that holds the results of a model, for `blip3o evaluate --output` writes one for each, or else
    the folder itself. Raises DataError for no folder, and where there are no results, or those of several models."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: name one that blip3o evaluate --output has written")
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    models = [path for path in inside if any(path.glob("*.samples*.jsonl"))]
    if len(models) == 1:
        return models[0]
    if _results(folder):
        return folder
    if models:
        names = ", ".join(path.name for path in models)
        raise DataError(f"{folder} holds results of {len(models)} models ({names}): name one, such as {models[0]}")
    files = sorted(path.name for path in folder.iterdir())
    there = f"only {', '.join(files[:3])}{' ...' if len(files) > 3 else ''}" if files else "it is empty"
    raise DataError(f"{folder} holds no results ({there}): name a folder that blip3o evaluate --output has written")


def results_in(folder: Path) -> dict[str, BenchmarkResult]:
    """Benchmark, or suite -> what the folder holds of it. Raises DataError for a broken file."""
    return {_name(result): _run(path, result) for path, result in _results(folder).items()}


def _results(folder: Path) -> dict[Path, Mapping[str, Any]]:
    contents = {path: tables.read_json(path) for path in sorted(folder.glob("*.json"))}
    return {path: value for path, value in contents.items() if isinstance(value, dict) and _name(value)}


def _name(result: Mapping[str, Any]) -> str:
    return str(result.get("benchmark") or result.get("suite") or "")


def numbers(metrics: Mapping[str, Any]) -> dict[str, Number]:
    """Metrics by their full names (`named`), each with its interval."""
    return {name: _number(value) for name, value in named(metrics)}


def named(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested metrics by their full names, as a result keeps them. In a group all but the `overall` one are parts; the
    number that counts only exact drawings stands beside each."""
    for name, value in metrics.items():
        if isinstance(value, dict) and "value" not in value:
            yield from named(value, f"{prefix}{name}/")
            continue
        full = prefix.removesuffix("/") if prefix and name == "overall" else prefix + name
        yield full, value
        if isinstance(value, dict) and "exact" in value:
            yield f"{full}, exact", value["exact"]


def _early(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the scores of a suite did not tell in 0.1.0."""
    if "suite" not in result or "data" in result:
        return {}
    counted = [number["n"] for name, number in named(result.get("metrics", {})) if name != "generation"]
    return {
        "protocol": "official",
        "data": {"digest": f"{result['suite']}/{result.get('seed')}"},
        "complete": result.get("limit") is None,
        "scored": True,
        "n": sum(counted),
        "of": sum(counted),
    }


def _run(path: Path, result: Mapping[str, Any]) -> BenchmarkResult:
    result = _early(result) | dict(result)
    missing = [key for key, kind in NEEDED.items() if not isinstance(result.get(key), kind)]
    if missing:
        raise DataError(
            f"{path} has no {', '.join(missing)}: it is no result of blip3o evaluate, or of another version"
        )
    judge, loaded = result.get("judge"), result["model"].get("loaded")
    lines = lines_of(path.with_name(f"{path.stem}.samples.jsonl"), strict=True)
    return BenchmarkResult(
        protocol=result["protocol"],
        model=str(result["model"].get("name", "")),
        judge=judge if isinstance(judge, str) else None,
        digest=result["data"].get("digest"),
        loaded=loaded if isinstance(loaded, dict) else {},
        metrics=numbers(result["metrics"]),
        **{key: result[key] for key in ("seed", "versions", "complete", "scored", "n", "of") if key in result},
        records={record.item.id: record for record in map(_record, lines)},
    )


def _number(metric: Any) -> Number:
    fields = metric if isinstance(metric, dict) else {"value": metric}
    return Number(**{key: finite(fields.get(key)) for key in ("value", "low", "high")})


def finite(value: Any) -> float | None:
    """The value, where it is a number that one can count with."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def lines_of(path: Path, *, strict: bool = False) -> list[Line]:
    """The lines of a file; none of one that is not there. A last line that was cut and spoiled ones are left out, for
    their items are asked again, or where this is `strict` they are a DataError.

    Only a line feed ends a line: an answer may hold the other ends of lines.
    """
    if not path.is_file():
        return []
    *texts, cut = path.read_text(encoding="utf-8", errors="replace").split("\n")
    lines = []
    for number, text in enumerate([*texts, cut] if strict else texts, start=1):
        try:
            lines += [_line(text, f"{path}, line {number},", strict)] if text.strip() else []
        except DataError:
            if strict:
                raise
    return lines


def answer_of(line: Line, folder: Path) -> Answer:
    """The answer that a line holds."""
    answer = line["answer"]
    if isinstance(answer, str):
        return answer
    return tuple(folder / part if isinstance(part, str) else str(part["text"]) for part in answer)


def record_of(item: Item, line: Line, folder: Path) -> Record:
    """The record of an item and its line."""
    scored = line["score"] is not None
    return Record(
        item=item if item.unit else replace(item, unit=item.id),
        answer=answer_of(line, folder),
        verdict=Verdict(score=line["score"], parsed=line["parsed"], details=line["details"]) if scored else None,
    )


def _record(line: Line) -> Record:
    """A line as it was left, its pictures as paths from the folder of results; b"" is one inside a file of data."""
    item = Item(
        id=str(line["id"]),
        prompt=str(line["prompt"]),
        pictures=tuple(b"" if path is None else Path(path) for path in line.get("pictures") or ()),
        category=str(line.get("category") or ""),
        facts=line.get("facts") or {},
        unit=str(line.get("unit") or line["id"]),
    )
    scored = {"parsed": line.get("parsed"), "score": finite(line["score"]), "details": line.get("details") or {}}
    return record_of(item, line | scored, Path())


def _line(text: str, where: str, strict: bool) -> Line:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where} is no JSON ({error}): evaluate again to mend it") from error
    keys = ("id", "prompt", "answer", "score") if strict else ("id",)
    missing = [key for key in keys if not isinstance(line, dict) or key not in line]
    if missing:
        raise DataError(f"{where} has no {', '.join(missing)}: it is no answer to an item")
    return line
