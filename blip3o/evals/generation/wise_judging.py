"""What WISE's judge is told: read from the user's own copy of WISE, which has no licence to be copied from.

The words stand in its script as the messages that `build_evaluation_messages` returns, with the fields of an item put
in. The script is read, never run.
"""

import ast
from pathlib import Path

from blip3o.errors import DataError
from blip3o.evals import tables

FUNCTION = "build_evaluation_messages"


def read_messages(path: Path) -> dict[str, str]:
    """The messages of WISE's script, "system" and "user", as templates: {Name} stands where a field of the item goes.

    Raises DataError where it holds none that can be understood.
    """
    templates: dict[str, str] = {}
    for function in ast.walk(tables.read_python(path, "script of WISE")):
        if isinstance(function, ast.FunctionDef) and function.name == FUNCTION:
            templates = {role: _template(message, path) for message in ast.walk(function) for role in _roles(message)}
    if not {"system", "user"} <= templates.keys():
        raise DataError(f"{path} has no {FUNCTION} with words of system and user: expected the script of WISE")
    return templates


def _roles(node: ast.AST) -> list[str]:
    role = _entry(node, "role")
    return [str(role.value)] if isinstance(role, ast.Constant) else []


def _entry(node: ast.AST, name: str) -> ast.AST | None:
    """The value of a literal dictionary under a name."""
    if not isinstance(node, ast.Dict):
        return None
    entries = zip(node.keys, node.values, strict=True)
    return next((value for key, value in entries if isinstance(key, ast.Constant) and key.value == name), None)


def _template(message: ast.AST, path: Path) -> str:
    """The words of a message: the only text of its content, or the content itself."""
    inner = (_entry(node, "text") for node in ast.walk(message))
    text = next((node for node in inner if node is not None), _entry(message, "content"))
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(_part(part, path) for part in parts)


def _part(node: ast.AST | None, path: Path) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value).replace("{", "{{").replace("}", "}}")
    place = node.value if isinstance(node, ast.FormattedValue) else None
    if isinstance(place, ast.Subscript) and isinstance(place.slice, ast.Constant):
        return f"{{{place.slice.value}}}"
    raise DataError(
        f"{path} builds its messages in a way that is not understood: expected a text with fields of an item"
    )
