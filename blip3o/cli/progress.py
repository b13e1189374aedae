"""What is shown while something takes time: a bar on stderr, nothing where that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import blip3o.api

Tell = Callable[[int, int], None]
"""(items done, items in all)"""
TellMore = Callable[[str, int, int], None]
"""(what is done, items done, items in all)"""


@contextmanager
def working(what: str) -> Iterator[Tell]:
    """A bar, gone at the end, that moves whenever it is told how much is done."""
    with working_on_many(what) as tell:
        yield lambda done, total: tell(what, done, total)


@contextmanager
def working_on_many(what: str) -> Iterator[TellMore]:
    """A bar for several things after each other, each told by its name."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    def told(named: str, done: int, total: int) -> None:
        bar.update(task, description=named, completed=done, total=total, count=f"{done}/{total}")

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[count]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, count="")
        yield told


def open_model(name: str, device: str = "auto", **loading: Any) -> "blip3o.api.BLIP3o":
    """A model, ready to use; shows that it takes a moment. `loading` as for `BLIP3o.load`."""
    with working(f"opening {name}"):
        from blip3o.cli.lean import open_transformers

        open_transformers()
        from blip3o.api import BLIP3o

        return BLIP3o.load(name, device=device, **loading)
