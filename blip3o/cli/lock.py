"""One process at a time works in a folder: a lock that the system lets go of when its process ends, however it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from blip3o.errors import OutputError

LOCK = ".lock"
"""The file that is locked; it holds the number of the process and stays behind, which locks nothing."""

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(2**30)  # where nothing is written: what is locked cannot be read there
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, made where it is not there, is ours for as long as this lasts.

    Raises OutputError where it is another process's, or cannot be locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+b")
    except OSError as error:
        raise OutputError(f"cannot write to {folder} ({error.strerror}): name another folder with --output") from error
    with file:
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):  # as POSIX and as Windows say it
            file.seek(0)
            pid = file.read().decode(errors="replace") or "another"
            raise OutputError(
                f"{folder} is in use by process {pid}: wait for it or stop it, or name another folder with --output"
            ) from None
        except OSError as error:
            raise OutputError(
                f"cannot lock {folder} ({error.strerror}): name a folder on another disk with --output"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        yield
