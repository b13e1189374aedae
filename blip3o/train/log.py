"""The log of a run: progress for its observer, and one JSON line per event in a file."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from blip3o.files import append


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """A training step, or a step of preparing the samples."""

    stage: str
    step: int
    steps: int
    losses: dict[str, float] = field(default_factory=dict)
    samples_per_s: float = 0.0
    left_s: float = 0.0
    """Estimated seconds to the end of the stage."""


Observer = Callable[[TrainingProgress], None]


class Journal:
    """The run's log.jsonl: append only, a line per event, each with the time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"

    def write(self, event: str, **facts: object) -> None:
        """Append one event. Raises OutputError where that is not possible."""
        line = json.dumps({"event": event, "time": round(time.time(), 1), **facts})
        append(self.path, line + "\n")

    def holds(self, **facts: object) -> bool:
        """Whether the file has an event with these facts."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        return any(facts.items() <= _read(line).items() for line in lines)


def _read(line: str) -> dict[str, object]:
    """An event; an empty one for the last line of a killed run, which may be cut."""
    try:
        return json.loads(line)
    except ValueError:
        return {}


class Meter:
    """Speed and mean losses since the last report."""

    def __init__(self, steps: int, samples_per_step: int) -> None:
        self.steps = steps
        self.samples = samples_per_step
        self.since = time.perf_counter()
        self.count = 0
        self.losses: dict[str, list[Tensor]] = {}

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add the losses of one step, which stay on their device until `look`."""
        self.count += 1
        for name, loss in losses.items():
            self.losses.setdefault(name, []).append(loss)

    def look(self, stage: str, step: int) -> TrainingProgress:
        """Mean losses and speed since the last call, after `step` steps of the stage."""
        took = max(time.perf_counter() - self.since, 1e-9)
        progress = TrainingProgress(
            stage=stage,
            step=step,
            steps=self.steps,
            losses={name: sum(_values(losses)) / self.count for name, losses in self.losses.items()},
            samples_per_s=self.count * self.samples / took,
            left_s=(self.steps - step) * took / max(self.count, 1),
        )
        self.since, self.count, self.losses = time.perf_counter(), 0, {}
        return progress


def _values(losses: list[Tensor]) -> list[float]:
    """Those of scalars, fetched from their device at once."""
    return torch.stack(losses).tolist()


def commit() -> str:
    """The commit that the code stands at, with a + where files differ from it; "unknown" outside our own checkout."""
    root = Path(__file__).parents[2]
    try:
        top, head, changes = (
            subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (
                ("rev-parse", "--show-toplevel"),
                ("rev-parse", "--short", "HEAD"),
                ("status", "--porcelain", "-uno"),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    if Path(top) != root:
        return "unknown"  # an installed package in the environment of somebody's repository
    return head + ("+" if changes else "")
