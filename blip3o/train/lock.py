"""One process at a time works in a folder: a lock that the system lets go of when its process ends, however it ends."""

import os
import sys
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


class FolderLock:
    """Ownership of a folder for the length of a `with`; who holds it may enter it again.

    The folder is made where it is missing. Raises OutputError where it belongs to another process or to another lock
    of this one, or cannot be locked.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.depth = 0
        """How many `with` statements are inside one another."""

    def __enter__(self) -> None:
        if self.depth == 0:
            self.file = self.open_file()
            try:
                self.acquire()
            except BaseException:
                self.file.close()
                raise
        self.depth += 1

    def __exit__(self, *error: object) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.file.close()  # which unlocks it

    def open_file(self) -> BinaryIO:
        """The lock's file, made where it is missing."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return (self.folder / LOCK).open("a+b")
        except OSError as error:
            raise OutputError(
                f"cannot write to {self.folder} ({error.strerror}): name another folder with --output"
            ) from error

    def acquire(self) -> None:
        """Lock the file and write the number of this process into it."""
        try:
            _lock(self.file)
        except (BlockingIOError, PermissionError):  # the errors of POSIX and of Windows
            self.file.seek(0)
            pid = self.file.read().decode(errors="replace") or "another"
            raise OutputError(
                f"{self.folder} is in use by process {pid}: wait for it or stop it, or name another folder with "
                "--output"
            ) from None
        except OSError as error:
            raise OutputError(
                f"cannot lock {self.folder} ({error.strerror}): name a folder on another disk with --output"
            ) from error
        self.file.truncate(0)
        self.file.write(str(os.getpid()).encode())
        self.file.flush()
