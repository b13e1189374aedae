"""Trackers: programs beside the journal that hear of a run's losses and scores, each imported only where it is asked
for. They count the steps of all stages as one row."""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from blip3o.errors import ConfigError
from blip3o.train.log import Event

PROJECT = "blip3o"


class Tracker(ABC):
    """What a run is told to. Made when the first numbers are there, so that it knows at which step it goes on."""

    module: str
    """What is imported, and in the first part of its name the package that is installed."""

    @abstractmethod
    def __init__(self, folder: Path, name: str, config: Mapping[str, Any], step: int) -> None:
        """`name` is that of the run, the same whenever it goes on; `step` the first step that will be told."""

    @abstractmethod
    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take numbers by their names."""

    @abstractmethod
    def close(self, failed: bool) -> None:
        """Write what is left."""


class TensorBoard(Tracker):
    """Event files in the run's folder, `tensorboard/`; `tensorboard --logdir` shows them."""

    module = "torch.utils.tensorboard"

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any], step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
        self.writer.add_text("recipe", f"```\n{json.dumps(config, indent=2)}\n```", step)

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def close(self, failed: bool) -> None:
        self.writer.close()


class WeightsAndBiases(Tracker):
    """wandb; without a network set WANDB_MODE=offline, and `wandb sync` sends later what it kept."""

    module = "wandb"

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any], step: int) -> None:
        import wandb  # pyright: ignore[reportMissingImports]

        self.run: Any = wandb.init(
            project=PROJECT, name=name, id=name, resume="allow", dir=str(folder), config=dict(config)
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.run.log(dict(values), step=step)

    def close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))


class Trackio(Tracker):
    """trackio, which keeps runs on this machine; `trackio show` is its page."""

    module = "trackio"

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any], step: int) -> None:
        import trackio  # pyright: ignore[reportMissingImports]

        with redirect_stdout(sys.stderr):  # it talks, and a command's output is its result
            self.run: Any = trackio.init(project=PROJECT, name=name, config=dict(config), resume="allow", embed=False)

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.run.log(dict(values), step=step)

    def close(self, failed: bool) -> None:
        with redirect_stdout(sys.stderr):
            self.run.finish()


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "trackio": Trackio}


class TrackedRun:
    """Passes the numbers of a run's events on to its trackers."""

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        config: Mapping[str, Any],
        steps: Mapping[str, int],
        events: Iterable[Event],
    ) -> None:
        """`steps`: of each stage, in their order; `events`: what the journal has of before. Raises ConfigError for a
        tracker that is not installed."""
        self.kinds = [_installed(name) for name in names]
        self.folder, self.config, self.steps = folder, config, steps
        self.begun: float | None = next((event["time"] for event in events), None)
        self.trackers: list[Tracker] = []

    def hear(self, event: Event) -> None:
        """Take the next event."""
        self.begun = event["time"] if self.begun is None else self.begun
        if event["event"] == "end":
            for tracker in self.trackers:
                tracker.close(event["how"] == "failed")
            self.trackers = []
        if event["event"] not in ("step", "validation", "scores"):
            return
        stage, step = event["stage"], self._step(event["stage"], event["step"])
        if not self.trackers:
            name = f"{self.folder.absolute().name}-{self.begun:.0f}"
            self.trackers = [kind(self.folder, name, self.config, step) for kind in self.kinds]
        values = {f"{stage}/{name}": value for name, value in numbers(event).items()}
        for tracker in self.trackers:
            tracker.log(values, step)

    def _step(self, stage: str, step: int) -> int:
        """The step of a stage, counted from the beginning of the run."""
        names = list(self.steps)
        return sum(self.steps[name] for name in names[: names.index(stage)]) + step


def numbers(event: Event) -> dict[str, float]:
    """The numbers of an event by name; of skipped samples how many there are."""
    told = {name: value for name, value in event.items() if name not in ("event", "time", "stage", "step")}
    if "skipped" in told:
        told["skipped"] = sum(told["skipped"].values())
    return told


def _installed(name: str) -> type[Tracker]:
    kind = TRACKERS[name]
    try:
        import_module(kind.module)
    except ImportError:
        raise ConfigError(f"tracker {name!r} is not installed: pip install {name}") from None
    return kind
