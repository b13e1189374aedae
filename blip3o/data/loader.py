"""Steps in their order, loaded ahead of the networks that learn from them.

`workers` threads read the samples of a step: Pillow lets other threads run while it decodes and resizes, and so does
torch while it computes. Up to `AHEAD` steps are in work at a time, which keeps the threads busy at the end of a step:
how much memory the loader takes does not depend on how many workers it has. What comes out does not, either.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from blip3o.data.order import require_grain

AHEAD = 2
"""Steps that are loaded while the networks learn from another."""
Loaded = TypeVar("Loaded")
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Calls a function with each of some values, and gives the results in their order, as `map` does."""


class StepLoader(Generic[Loaded]):
    """What `load` gives for the steps from `first` to `end` (excluded), one after the other."""

    def __init__(self, load: Callable[[int], Loaded], first: int, end: int, workers: int) -> None:
        """`load` deals the samples of a step out by `each`. Without `workers` a step is loaded when it is asked for, in
        the thread that asks."""
        self.pool = ThreadPoolExecutor(workers, "samples") if workers else None
        self.steps = _ahead(load, first, end) if workers else map(load, range(first, end))

    @property
    def each(self) -> Each:
        """Calls a function with the samples of a step, in the threads of the loader."""
        return self.pool.map if self.pool else map

    def __next__(self) -> Loaded:
        """The next step. Raises what `load` raised for it, and no sooner than its turn has come."""
        return next(self.steps)

    def close(self) -> None:
        """End the threads; steps that nobody will ask for are not begun. Once is enough."""
        if self.pool:
            self.steps.close()  # pyright: ignore[reportAttributeAccessIssue]
            self.pool.shutdown(wait=False, cancel_futures=True)


def _ahead(load: Callable[[int], Loaded], first: int, end: int) -> Iterator[Loaded]:
    grain = require_grain()
    options = grain.ReadOptions(num_threads=AHEAD, prefetch_buffer_size=AHEAD)
    return iter(grain.MapDataset.range(first, end).map(load).to_iter_dataset(options))
