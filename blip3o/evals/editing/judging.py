"""What the judges of edits are asked and shown: the prompts of the user's checkout, the picture before and after."""

import ast
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from blip3o.errors import DataError
from blip3o.evals import tables
from blip3o.prompt.pictures import open_picture, to_rgb

TEMPERATURE = 1.0
"""The official scripts name none, which to an OpenAI-compatible server means 1."""


def strings(path: Path) -> dict[str, str]:
    """The strings that a Python file gives names to, at its top level; the file is read, never run.

    Raises DataError for a file that is no Python.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is no Python ({error}): copy it again") from error
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def checkout_prompts(folder: Path, what: str, names: Sequence[str], *patterns: str) -> Mapping[str, str]:
    """The prompts of these names, of the first Python file below a folder that matches. Raises DataError."""
    path = tables.need(folder, f"{what}'s judge prompts (of its repository)", *patterns)
    found = strings(path)
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


def opened(picture: Path | bytes) -> Image.Image:
    """A picture in RGB. Raises PictureError or DataError for a damaged one."""
    if isinstance(picture, Path):
        return open_picture(picture)
    try:
        return to_rgb(Image.open(BytesIO(picture)))
    except OSError as error:
        raise DataError(f"a picture inside the data is damaged ({error}): copy the file again") from error
