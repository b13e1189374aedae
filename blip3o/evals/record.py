"""What an evaluation has left in a folder, read back without the code that made it (blip3o/evals/results.py)."""

import json
from collections.abc import Mapping
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
    """What one model left of one benchmark."""

    protocol: str
    kind: str
    model: str
    judge: str | None
    digest: str | None
    seed: int | None
    versions: Mapping[str, str]
    complete: bool
    scored: bool
    n: int
    of: int
    metrics: Mapping[str, Number]
    lines: Mapping[str, Mapping[str, Any]]
    """Item -> its line."""


def runs(folder: Path) -> dict[str, Run]:
    """Benchmark -> what the folder holds of it.

    Raises DataError for no folder, one without results, and a broken file.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: name one that blip3o evaluate --output has written")
    found = {path.stem: tables.read_json(path) for path in sorted(folder.glob("*.json"))}
    results = {name: value for name, value in found.items() if isinstance(value, dict) and "benchmark" in value}
    if not results:
        raise DataError(f"{folder} holds no results: name a folder that blip3o evaluate --output has written")
    return {name: _run(folder / f"{name}.json", value) for name, value in results.items()}


def _run(path: Path, result: Mapping[str, Any]) -> Run:
    lacking = [key for key, kind in NEEDED.items() if not isinstance(result.get(key), kind)]
    if lacking:
        raise DataError(
            f"{path} has no {', '.join(lacking)}: it is no result of blip3o evaluate, or of another version"
        )
    return Run(
        protocol=result["protocol"],
        kind=result.get("kind", ""),
        model=str(result["model"].get("name", "")),
        judge=result.get("judge"),
        digest=result["data"].get("digest"),
        seed=result.get("seed"),
        versions=result.get("versions", {}),
        complete=result.get("complete", False),
        scored=result.get("scored", False),
        n=result.get("n", 0),
        of=result.get("of", 0),
        metrics={name: _number(value) for name, value in result["metrics"].items()},
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
