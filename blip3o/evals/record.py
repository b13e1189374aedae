"""What an evaluation has left in a folder, read back without the code that made it (blip3o/evals/results.py)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from blip3o.errors import DataError
from blip3o.evals import tables

NEEDED: dict[str, type] = {"protocol": str, "model": dict, "metrics": dict, "data": dict}
"""What a result holds beside its benchmark's name."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number within its 95 % interval; None is what cannot be computed."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one model left of one benchmark, or of a suite."""

    protocol: str
    kind: str
    model: str
    judge: str | None
    digest: str | None
    seed: int | None
    versions: Mapping[str, str]
    loaded: Mapping[str, Any]
    """How the model was loaded: device, dtype, rounding."""
    complete: bool
    scored: bool
    n: int
    of: int
    metrics: Mapping[str, Number]
    lines: Mapping[str, Mapping[str, Any]]
    """Item -> its line."""


def located(folder: Path) -> Path:
    """The folder itself where it holds results, or the one inside that does: `blip3o evaluate --output` writes a folder
    for each model. Raises DataError for no folder, and where there are no results, or those of several models."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: name one that blip3o evaluate --output has written")
    if _results(folder):
        return folder
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    models = [path for path in inside if any(path.glob("*.samples*.jsonl"))]
    if len(models) == 1:
        return models[0]
    if models:
        names = ", ".join(path.name for path in models)
        raise DataError(f"{folder} holds results of {len(models)} models ({names}): name one, such as {models[0]}")
    files = sorted(path.name for path in folder.iterdir())
    there = f"only {', '.join(files[:3])}{' ...' if len(files) > 3 else ''}" if files else "it is empty"
    raise DataError(f"{folder} holds no results ({there}): name a folder that blip3o evaluate --output has written")


def runs(folder: Path) -> dict[str, Run]:
    """Benchmark, or suite -> what the folder holds of it. Raises DataError for a broken file."""
    return {_name(result): _run(path, result) for path, result in _results(folder).items()}


def _results(folder: Path) -> dict[Path, Mapping[str, Any]]:
    found = {path: tables.read_json(path) for path in sorted(folder.glob("*.json"))}
    return {path: value for path, value in found.items() if isinstance(value, dict) and _name(value)}


def _name(result: Mapping[str, Any]) -> str:
    return str(result.get("benchmark") or result.get("suite") or "")


def _numbers(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Metrics by their full names. In a group of a suite all but the `overall` one are parts; the number that counts
    only exact drawings stands beside each."""
    for name, value in metrics.items():
        if isinstance(value, dict) and "value" not in value:
            yield from _numbers(value, f"{prefix}{name}/")
            continue
        told = prefix.removesuffix("/") if prefix and name == "overall" else prefix + name
        yield told, value
        if isinstance(value, dict) and "exact" in value:
            yield f"{told}, exact", value["exact"]


def _early(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the scores of a suite did not tell in 0.1.0."""
    if "suite" not in result or "data" in result:
        return {}
    counted = [number["n"] for name, number in _numbers(result.get("metrics", {})) if name != "generation"]
    return {
        "protocol": "official",
        "data": {"digest": f"{result['suite']}/{result.get('seed')}"},
        "complete": result.get("limit") is None,
        "scored": True,
        "n": sum(counted),
        "of": sum(counted),
    }


def _run(path: Path, result: Mapping[str, Any]) -> Run:
    result = _early(result) | dict(result)
    lacking = [key for key, kind in NEEDED.items() if not isinstance(result.get(key), kind)]
    if lacking:
        raise DataError(
            f"{path} has no {', '.join(lacking)}: it is no result of blip3o evaluate, or of another version"
        )
    judge, loaded = result.get("judge"), result["model"].get("loaded")
    return Run(
        protocol=result["protocol"],
        kind=result.get("kind", ""),
        model=str(result["model"].get("name", "")),
        judge=judge if isinstance(judge, str) else None,
        digest=result["data"].get("digest"),
        seed=result.get("seed"),
        versions=result.get("versions", {}),
        loaded=loaded if isinstance(loaded, dict) else {},
        complete=result.get("complete", False),
        scored=result.get("scored", False),
        n=result.get("n", 0),
        of=result.get("of", 0),
        metrics={name: _number(value) for name, value in _numbers(result["metrics"])},
        lines=_lines(path.with_name(f"{path.stem}.samples.jsonl")),
    )


def _number(found: Any) -> Number:
    told = found if isinstance(found, dict) else {"value": found}
    return Number(**{key: finite(told.get(key)) for key in ("value", "low", "high")})


def finite(value: Any) -> float | None:
    """The value, where it is a number that one can count with."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def _lines(path: Path) -> dict[str, Mapping[str, Any]]:
    """The newest line of each item. Only a line feed ends a line: an answer may hold the other ends of lines."""
    found: dict[str, Mapping[str, Any]] = {}
    if not path.is_file():
        return found
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n"), start=1):
        if text.strip():
            line = _object(text, path, number)
            found[str(line["id"])] = line
    return found


def _object(text: str, path: Path, number: int) -> Mapping[str, Any]:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}, line {number}, is no JSON ({error}): evaluate again to mend it") from error
    keys = ("id", "prompt", "answer", "score")
    lacking = [key for key in keys if not isinstance(line, dict) or key not in line]
    if lacking:
        raise DataError(f"{path}, line {number}, has no {', '.join(lacking)}: it is no answer to an item")
    return line
