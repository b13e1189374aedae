"""What is shown while something takes time: a bar on stderr, nothing where that is no terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blip3o.api import BLIP3o, Progress


@contextmanager
def working(title: str) -> Iterator["Progress"]:
    """A bar, gone at the end, that moves whenever it hears how much is done."""
    with working_on_many(title) as update:
        yield lambda done, total: update(title, done, total)


@contextmanager
def working_on_many(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for several things after each other; it hears (what is done, items done, items in all)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    def update(name: str, done: int, total: int) -> None:
        bar.update(task, description=name, completed=done, total=total, count=f"{done}/{total}")

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[count]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, count="")
        yield update


@contextmanager
def counting(title: str) -> Iterator["Progress"]:
    """A bar for long work on many things of like size: how many are done, how fast, and how long the rest takes."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    began = time.monotonic()

    def update(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - began, 1e-3)
        bar.update(task, completed=done, total=total, count=f"{done}/{total}, {rate:,.0f}/s")

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(20),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, count="")
        yield update


def open_model(name: str, device: str = "auto", **loading: Any) -> "BLIP3o":
    """A model, ready to use; shows that it takes a moment. `loading` as for `BLIP3o.load`."""
    with working(f"opening {name}"):
        from blip3o.cli.lean import open_transformers

        open_transformers()
        from blip3o.api import BLIP3o

        return BLIP3o.load(name, device=device, **loading)
