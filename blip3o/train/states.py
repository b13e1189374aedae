"""The saved states of a run: `states/<stage>-<step>/`, each there whole or not at all, and told from a damaged one.

A state is a folder of any files; `digest.json` in it holds their sizes and checksums. What kill -9 leaves of one that
was being written bears a name that is never read, and goes with the next one that is written.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from blip3o.config import check
from blip3o.errors import CheckpointError, OutputError
from blip3o.files import make_folder
from blip3o.weights.digest import checksum
from blip3o.weights.folders import read_json, write_json

FOLDER, DIGEST = "states", "digest.json"
DAMAGED = ".damaged"
"""What a state that was found damaged ends with; it stays, and is never read again."""
Tell = Callable[[str], None]
"""Gets what the user should know, in one line."""


@dataclass(frozen=True, kw_only=True)
class KeptConfig:
    """What a run keeps of what it was on the way."""

    last: int = 2
    """Newest states of the stage that trains: were one damaged, the run would go on from the one before."""
    best: int = 0
    """Checkpoints of the best models by a score, in `best/`; 0 is none."""
    by: str = ""
    """The score by which they are the best, by its name in log.jsonl, such as `overall`."""
    lowest: bool = False
    """Whether the best score is the lowest one (an error, a distance), not the highest."""

    def __post_init__(self) -> None:
        check(
            (self.last >= 1, f"last is {self.last}, expected 1 or more"),
            (self.best >= 0, f"best is {self.best}, expected 0 or more"),
            (bool(self.by) == bool(self.best), f"best is {self.best} and by is {self.by!r}: give both or neither"),
            (not self.lowest or bool(self.best), "lowest says which score is the best: give best and by, too"),
        )


class States:
    """The states in the folder of a run."""

    def __init__(self, run: Path, last: int, tell: Tell) -> None:
        """`last`: how many states of a stage are kept; `tell` gets a line on each that is damaged."""
        self.folder, self.last, self.tell = run / FOLDER, last, tell

    @contextmanager
    def writing(self, stage: str, step: int) -> Iterator[Path]:
        """A folder to fill with the files of a state, which takes its place when all are there; older ones then make
        room. Raises OutputError where the disk is full, say; the older ones stay, then."""
        place = self.folder / f"{stage}-{step:06d}"
        temporary = self.temporary(stage, step)
        try:
            self.clear()
            make_folder(temporary)
            yield temporary
            files = {path.name: [path.stat().st_size, checksum(path)] for path in sorted(temporary.iterdir())}
            write_json(temporary / DIGEST, {"stage": stage, "step": step, "files": files})
            rmtree(place, ignore_errors=True)
            temporary.rename(place)
        except (OSError, OutputError) as error:
            raise OutputError(
                f"cannot save {place} ({_why(error)}): make room, then give the same command: {self._newest(stage)}"
            ) from error
        finally:
            rmtree(temporary, ignore_errors=True)
        for old in self.of(stage)[self.last :]:
            rmtree(old, ignore_errors=True)

    def temporary(self, stage: str, step: int) -> Path:
        """Where the files of a state are written: the same place in all processes of a run."""
        return self.folder / f".{stage}-{step:06d}"

    def of(self, stage: str) -> list[Path]:
        """The states of a stage, newest first, damaged ones among them."""
        steps = {
            int(match[1]): path
            for path in self.folder.glob("*")
            if (match := re.fullmatch(rf"{re.escape(stage)}-(\d+)", path.name))
        }
        return [steps[step] for step in sorted(steps, reverse=True)]

    def newest(self, stage: str) -> Path | None:
        """The newest whole state of a stage, None where it has no state; all bytes are read for it.

        Newer ones that are damaged are put aside, with a line on each. Raises CheckpointError where all are damaged.
        """
        faults: dict[Path, str] = {}
        for folder in self.of(stage):
            if not (fault := fault_of(folder)):
                for damaged, reason in faults.items():
                    self._put_aside(damaged)
                    self.tell(f"{damaged} is damaged ({reason}): going on from {folder.name}")
                return folder
            faults[folder] = fault
        if faults:
            raise CheckpointError(
                f"no state of stage {stage} is whole in {self.folder} "
                f"({'; '.join(f'{folder.name}: {fault}' for folder, fault in faults.items())}): delete that folder to "
                "train the stage from its beginning"
            )
        return None

    def drop(self, stage: str) -> None:
        """Remove the states of a stage that is done, and the folder where it holds nothing else."""
        for folder in self.of(stage):
            rmtree(folder, ignore_errors=True)
        self.clear()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def clear(self) -> None:
        """Remove what a process that was killed left of a state that it wrote."""
        for left in self.folder.glob(".*"):
            rmtree(left, ignore_errors=True)

    def _put_aside(self, damaged: Path) -> None:
        aside = damaged.with_name(damaged.name + DAMAGED)
        rmtree(aside, ignore_errors=True)
        damaged.rename(aside)

    def _newest(self, stage: str) -> str:
        older = self.of(stage)
        return f"it goes on from {older[0].name}" if older else f"it begins stage {stage} anew"


def fault_of(folder: Path) -> str:
    """What is wrong with a state, in few words: a file is missing, shorter than it was, or holds other bytes; "" where
    it is whole."""
    try:
        files = read_json(folder / DIGEST)["files"]
        for name, (size, known) in files.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != size:
                return f"{name} has {path.stat().st_size} of {size} bytes"
            if checksum(path) != known:
                return f"{name} holds other bytes than were written"
    except (CheckpointError, KeyError, TypeError, ValueError, AttributeError):
        return f"{DIGEST} is missing or damaged"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return ""


def _why(error: Exception) -> str:
    """The system's words for a failure, also where an error of ours tells them."""
    cause = error.__cause__ or error
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
