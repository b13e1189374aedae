"""The log of a run: progress for its observer, and one JSON line per event in a file."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from blip3o.files import append


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """A training step, or a step of preparing the samples. Rates and means are of the steps since the last report."""

    stage: str
    step: int
    steps: int
    losses: dict[str, float] = field(default_factory=dict)
    samples_per_s: float = 0.0
    left_s: float = 0.0
    """Estimated seconds to the end of the stage."""
    run_left_s: float = 0.0
    """The same to the end of the run, as if the samples of later stages took as long as those of this one."""
    waiting: float = 0.0
    """Share of the time in which the networks had to wait for data, 0 to 1."""
    learning_rate: float = 0.0
    """Of the last step."""
    gradient_norm: float = 0.0
    """Mean length of the gradients before they were clipped."""
    memory_bytes: int = 0
    """What the process holds in memory."""
    device_memory_bytes: int = 0
    """The most that the run has held on its GPU; 0 where it has none."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Reason -> samples that the run has skipped for it since it was started."""


Observer = Callable[[TrainingProgress], None]
Event = Mapping[str, Any]
"""A line of the log: `event` says which kind, `time` when (seconds since 1970)."""
NO_LOSSES = frozenset(
    {
        *("event", "time", "stage", "step", "samples_per_s", "waiting", "learning_rate", "gradient_norm"),
        *("left_s", "memory_mb", "device_memory_mb", "skipped"),
    }
)
"""What a line about a step has beside its losses."""


class Journal:
    """The run's log.jsonl: append only, a line per event, each with the time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"
        self.listeners: list[Callable[[Event], None]] = []
        """Who hears of every event after it was written."""

    def write(self, event: str, **facts: object) -> None:
        """Append one event. Raises OutputError where that is not possible."""
        line = {"event": event, "time": round(time.time(), 1), **facts}
        append(self.path, json.dumps(line) + "\n")
        for listener in self.listeners:
            listener(line)

    def step(self, progress: TrainingProgress) -> None:
        """Append what is known of a step."""
        facts: dict[str, object] = {
            "left_s": round(progress.run_left_s),
            "waiting": round(progress.waiting, 4),
            "learning_rate": float(f"{progress.learning_rate:.6g}"),
            "gradient_norm": round(progress.gradient_norm, 5),
            "memory_mb": round(progress.memory_bytes / 1e6),
        }
        if progress.device_memory_bytes:
            facts["device_memory_mb"] = round(progress.device_memory_bytes / 1e6)
        if progress.skipped:
            facts["skipped"] = progress.skipped
        losses = {name: round(value, 5) for name, value in progress.losses.items()}
        speed = round(progress.samples_per_s, 1)
        self.write("step", stage=progress.stage, step=progress.step, samples_per_s=speed, **losses, **facts)

    def holds(self, **facts: object) -> bool:
        """Whether the file has an event with these facts."""
        return any(facts.items() <= event.items() for event in self.events())

    def events(self) -> list[Event]:
        """All events so far, in their order; the last line of a killed run may be cut and is left out."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        return [event for event in map(_read, lines) if event]


def _read(line: str) -> dict[str, Any]:
    """An event; an empty one for the last line of a killed run, which may be cut."""
    try:
        return json.loads(line)
    except ValueError:
        return {}


class Meter:
    """Speed, and means of what steps tell, since the last report."""

    def __init__(self, steps: int, samples_per_step: int) -> None:
        self.steps = steps
        self.samples = samples_per_step
        self.learning_rate = 0.0
        self._start()

    def _start(self) -> None:
        self.since = time.perf_counter()
        self.count, self.waited_s = 0, 0.0
        self.sums: dict[str, float | Tensor] = {}
        self.norms: float | Tensor = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for data."""
        since = time.perf_counter()
        try:
            yield
        finally:
            self.waited_s += time.perf_counter() - since

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the time inside out of all speeds: it is spent on scores, not on steps."""
        since = time.perf_counter()
        try:
            yield
        finally:
            self.since += time.perf_counter() - since

    def add(
        self, losses: Mapping[str, float | Tensor], gradient_norm: float | Tensor = 0.0, learning_rate: float = 0.0
    ) -> None:
        """Add one step. Tensors stay on their device until the next look, so that no step waits for them."""
        self.count += 1
        self.learning_rate = learning_rate
        self.norms = self.norms + gradient_norm
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def look(self, stage: str, step: int) -> TrainingProgress:
        """Means and speed since the last call, after `step` steps of the stage."""
        count = max(self.count, 1)
        means = {name: float(total) / count for name, total in self.sums.items()}
        norm = float(self.norms) / count
        took = max(time.perf_counter() - self.since, 1e-9)  # after the tensors, which may have to be waited for
        progress = TrainingProgress(
            stage=stage,
            step=step,
            steps=self.steps,
            losses=means,
            samples_per_s=self.count * self.samples / took,
            left_s=(self.steps - step) * took / count,
            waiting=min(self.waited_s / took, 1.0),
            gradient_norm=norm,
            learning_rate=self.learning_rate,
        )
        self._start()
        return progress


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
