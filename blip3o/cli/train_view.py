"""What a run shows in the terminal while it trains: how far it is, how its losses go, what it costs."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from blip3o.train.log import TrainingProgress
from blip3o.train.report import duration

WIDE = 120
"""Columns of a terminal from which on it shows every loss."""
BARS = "▁▂▃▄▅▆▇█"
TREND = 16
"""Characters of a loss's trend."""
MOST_REASONS = 3
"""Reasons named for which samples were skipped."""


class Watch:
    """Shows progress: a live view where stderr is a terminal; elsewhere a line on stdout every `every_s` seconds and
    at the end of a stage. `report` is the page that it tells of."""

    def __init__(self, every_s: float, report: Path | None = None) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.is_live = self.console.is_terminal and not self.console.is_dumb_terminal
        self.every_s, self.report = every_s, report
        self.last = -every_s
        self.progress: TrainingProgress | None = None
        self.losses: dict[str, list[float]] = {}
        self.spinner = Spinner("dots")
        self.live = Live(console=self.console, get_renderable=self.view, refresh_per_second=4)

    def __enter__(self) -> "Watch":
        if self.is_live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_live:
            self.live.stop()

    def see(self, progress: TrainingProgress) -> None:
        """Show a step."""
        if self.progress is None or self.progress.stage != progress.stage:
            self._begin()
        self.progress = progress
        for name, value in progress.losses.items():
            self.losses.setdefault(name, []).append(value)
        if self.is_live:
            return
        if progress.step == progress.steps or time.monotonic() - self.last >= self.every_s:
            self.last = time.monotonic()
            print(f"{progress.stage} {progress.step}/{progress.steps} {describe(progress)}".strip(), flush=True)

    def _begin(self) -> None:
        """A new stage: what was shown of the one before stays above."""
        if self.is_live and self.progress is not None:
            self.say(f"{self.progress.stage} {self.progress.step}/{self.progress.steps} {describe(self.progress)}")
        self.losses = {}

    def say(self, line: str) -> None:
        """Show a line above what is live."""
        if self.is_live:
            self.console.print(line, markup=False)
        else:
            print(line, flush=True)

    def view(self) -> Group:
        """What is shown now."""
        progress = self.progress
        if progress is None:
            return Group()
        bar = Table.grid(padding=(0, 1))
        share = ProgressBar(total=progress.steps, completed=progress.step, width=min(24, self.console.width // 4))
        count = f"{progress.step}/{progress.steps}"
        bar.add_row(self.spinner, Text(progress.stage, no_wrap=True), share, Text(count, no_wrap=True))
        lines = [*self._trends(), *flowed(facts(progress), self.console.width)] if progress.losses else []
        if self.report is not None and progress.losses:
            lines.append(f"  {self.report}")
        shown = [Text(line, no_wrap=True, overflow="ellipsis") for line in lines]
        return Group(bar, *shown)

    def _trends(self) -> Iterator[str]:
        """The losses with their trends; on a narrow terminal only what is minimised."""
        wide = self.console.width >= WIDE
        shown = {name: values for name, values in [*self.losses.items()] if wide or name == "total"}
        pieces = [f"{name} {values[-1]:.4f} {sparkline(values)}" for name, values in shown.items()]
        yield from flowed(pieces, self.console.width)


def facts(progress: TrainingProgress) -> list[str]:
    """Speed, what it waits for, memory, what was skipped, and time left, in words; what is not known is left out."""
    told = [f"{progress.samples_per_s:.0f} samples/s"]
    if progress.waiting >= 0.005:
        told.append(f"{progress.waiting:.0%} waiting for data")
    if progress.memory_bytes:
        told.append(f"{progress.memory_bytes / 1e9:.1f} GB")
    if progress.device_memory_bytes:
        told.append(f"GPU {progress.device_memory_bytes / 1e9:.1f} GB")
    if progress.skipped:
        told.append(f"skipped {skipped(progress)}")
    told.append(f"{clock(progress.left_s)} left")
    if progress.run_left_s > progress.left_s:
        told.append(f"about {duration(progress.run_left_s)} of the run")
    return told


def skipped(progress: TrainingProgress) -> str:
    """How many samples, and the most frequent reasons."""
    reasons = [f"{count} x {reason}" for reason, count in list(progress.skipped.items())[:MOST_REASONS]]
    more = ", ..." if len(progress.skipped) > MOST_REASONS else ""
    return f"{sum(progress.skipped.values())} ({', '.join(reasons)}{more})"


def describe(progress: TrainingProgress) -> str:
    """A step in one line; empty for one without losses."""
    if not progress.losses:
        return ""
    return "  ".join([*(f"{name} {value:.4f}" for name, value in progress.losses.items()), *facts(progress)])


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def flowed(pieces: Sequence[str], width: int) -> Iterator[str]:
    """Pieces in as few indented lines of this width as they need; none is divided."""
    line = ""
    for piece in pieces:
        if line and len(line) + 2 + len(piece) > width:
            yield line
            line = ""
        line += f"  {piece}"
    if line:
        yield line


def sparkline(values: Sequence[float], length: int = TREND) -> str:
    """Values as bars between the lowest and the highest of them; of many, the means of neighbours."""
    size = -(-len(values) // length)
    means = [sum(part) / len(part) for part in (values[start : start + size] for start in range(0, len(values), size))]
    low, high = min(means), max(means)
    if not high > low:  # equal, or no numbers
        return BARS[0] * len(means)
    return "".join(BARS[int((value - low) / (high - low) * (len(BARS) - 1) + 0.5)] for value in means)
