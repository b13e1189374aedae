"""Files appear whole or not at all: the one writer that everything goes through which another run may read."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blip3o.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A file to write in place of `path`, which appears there only when it is complete.

    It lies beside `path` under a name of its own meanwhile, and is gone where writing fails. Raises OutputError where
    it cannot be made, filled or put in place.
    """
    make_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror or error}): choose another place") from error


def write_text(path: Path, text: str) -> Path:
    """Write a text in UTF-8, where halves of a character become its escape; gives the path. Raises OutputError."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def append(path: Path, text: str) -> None:
    """Add a text, in UTF-8 alike, to the end of a file. Raises OutputError."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror}): make room, then go on") from error


def make_folder(folder: Path) -> None:
    """The folder and those it lies in, where they are not there yet. Raises OutputError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder} ({error.strerror}): choose a folder you may write to") from error
