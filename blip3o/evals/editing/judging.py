"""What the judges of edits are asked: the prompts of the user's checkout, and the tables of edits."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables

TEMPERATURE = 1.0
"""The official scripts name none, which to an OpenAI-compatible server means 1."""


def checkout_prompts(folder: Path, what: str, names: Sequence[str], *patterns: str) -> Mapping[str, str]:
    """The prompts of these names, of the first Python file below a folder that matches. Raises DataError."""
    path = tables.need(folder, f"{what}'s judge prompts (of its repository)", *patterns)
    found = tables.read_strings(path)
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path} has no {', '.join(missing)}: is it the file of {what}'s repository?")
    return found


def keyed_rows(path: Path) -> dict[str, tables.Row]:
    """A JSON table of edits by key. Raises DataError for another thing."""
    rows = tables.read_json(path)
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise DataError(f"{path} is no table of edits by key: is it of another data set?")
    return rows
