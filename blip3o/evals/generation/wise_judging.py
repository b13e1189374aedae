"""What WISE's judge is told: read from the user's own copy of WISE, which has no licence to be copied from.

The words stand in its script as the messages that `build_evaluation_messages` returns, with the fields of an item put
in. The script is read, never run.
"""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from blip3o.errors import DataError
from blip3o.evals import tables

FUNCTION = "build_evaluation_messages"


class Field(NamedTuple):
    """A place where a field of the item goes."""

    name: str


Words = Sequence[str | Field]


class Judging(NamedTuple):
    """The two messages to a judge."""

    system: Words
    user: Words

    def messages(self, fields: Mapping[str, str]) -> tuple[str, str]:
        """The words for one item, of the system and of the user. Raises DataError for a field that it has not."""
        missing = {part.name for part in (*self.system, *self.user) if isinstance(part, Field)} - fields.keys()
        if missing:
            raise DataError(
                f"the judge of WISE is told {min(missing)!r} of an item, which has only {', '.join(fields)}"
            )
        system, user = (
            "".join(fields[part.name] if isinstance(part, Field) else part for part in words) for words in self
        )
        return system, user


def read_judging(path: Path) -> Judging:
    """The messages of WISE's script. Raises DataError where it holds none that can be understood."""
    found: dict[str, Words] = {}
    for function in ast.walk(tables.read_python(path, "script of WISE")):
        if isinstance(function, ast.FunctionDef) and function.name == FUNCTION:
            found = {role: _text(message, path) for message in ast.walk(function) for role in _roles(message)}
    if not {"system", "user"} <= found.keys():
        raise DataError(f"{path} has no {FUNCTION} with words of system and user: expected the script of WISE")
    return Judging(found["system"], found["user"])


def _roles(node: ast.AST) -> list[str]:
    role = _entry(node, "role")
    return [str(role.value)] if isinstance(role, ast.Constant) else []


def _entry(node: ast.AST, name: str) -> ast.AST | None:
    """The value of a literal dictionary under a name."""
    if not isinstance(node, ast.Dict):
        return None
    entries = zip(node.keys, node.values, strict=True)
    return next((value for key, value in entries if isinstance(key, ast.Constant) and key.value == name), None)


def _text(message: ast.AST, path: Path) -> Words:
    """The words of a message: the only text of its content, or the content itself."""
    inner = (_entry(node, "text") for node in ast.walk(message))
    text = next((node for node in inner if node is not None), _entry(message, "content"))
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return [_part(part, path) for part in parts]


def _part(node: ast.AST | None, path: Path) -> str | Field:
    if isinstance(node, ast.Constant):
        return str(node.value)
    place = node.value if isinstance(node, ast.FormattedValue) else None
    if isinstance(place, ast.Subscript) and isinstance(place.slice, ast.Constant):
        return Field(str(place.slice.value))
    raise DataError(
        f"{path} builds its messages in a way that is not understood: expected a text with fields of an item"
    )
