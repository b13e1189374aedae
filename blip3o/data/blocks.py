"""Samples that lie together in blocks, shuffled so that few blocks are read at a time: a pure function, too.

A stream cannot be sought sample by sample, but block by block it can. So blocks are shuffled, as many of them as hold
some number of samples make a window, and the samples of a window are shuffled among each other. What a buffer of that
size does to a stream (`datasets.IterableDataset.shuffle`) is the same in kind; but a buffer must be saved, or filled
anew, to go on after a stop, and this is known from the number of the sample alone.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

WINDOWS_KNOWN = 4
"""Windows whose order is held, so that it is not worked out for each of their samples."""


@dataclass(frozen=True)
class Blocks:
    """How samples lie: `lengths` of the blocks in order, and the least samples of a `window`."""

    lengths: Sequence[int]
    window: int

    @property
    def count(self) -> int:
        """Samples in all."""
        return sum(self.lengths)


class BlockShuffle:
    """Number, counted on through any epochs -> index of a sample; each comes once in an epoch."""

    def __init__(self, blocks: Blocks, seed: str) -> None:
        self.blocks, self.seed, self.count = blocks, seed, blocks.count
        self._starts = [0, *accumulate(blocks.lengths)]
        self._epoch = lru_cache(maxsize=2)(self._windows)
        self._window = lru_cache(maxsize=WINDOWS_KNOWN)(self._shuffled)

    def __getitem__(self, number: int) -> int:
        epoch, place = divmod(number, self.count)
        ends, _ = self._epoch(epoch)
        window = bisect_right(ends, place)
        return self._window(epoch, window)[place - (ends[window - 1] if window else 0)]

    def _windows(self, epoch: int) -> tuple[list[int], list[list[int]]]:
        """Where each window of an epoch ends, in samples, and its blocks."""
        order = list(range(len(self.blocks.lengths)))
        random.Random(f"{self.seed}/{epoch}").shuffle(order)
        ends, windows, held, total = [], [[]], 0, 0
        for block in order:
            windows[-1].append(block)
            held, total = held + self.blocks.lengths[block], total + self.blocks.lengths[block]
            if held >= self.blocks.window:
                ends.append(total)
                windows.append([])
                held = 0
        return (ends, windows[:-1]) if not windows[-1] else ([*ends, total], windows)

    def _shuffled(self, epoch: int, window: int) -> list[int]:
        """The samples of a window, in their order."""
        _, windows = self._epoch(epoch)
        samples = [index for block in windows[window] for index in range(self._starts[block], self._starts[block + 1])]
        random.Random(f"{self.seed}/{epoch}/{window}").shuffle(samples)
        return samples
