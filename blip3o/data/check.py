"""Everything of a source read once: what can be trained on, what will be skipped and why, and how it is spread."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from blip3o.data.duplicates import Fingerprints
from blip3o.data.packed_texts import PackedTexts
from blip3o.data.reading import SampleFacts, read_all
from blip3o.data.sources.source import Source

EXAMPLES = 3
"""Skipped samples that are named for each reason."""
BINS = 24
WIDE_SPREAD = 20
"""Where the largest number is so many times the smallest, the bins of a histogram grow by a factor."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How large some numbers are."""

    least: int | float
    median: int | float
    most: int | float
    edges: list[float]
    """Of the bins of a histogram: one more than there are bins."""
    counts: list[int]


@dataclass(kw_only=True)
class DataReport:
    """What was read."""

    samples: int
    usable: int = 0
    conversations: int = 0
    """Samples that are conversations or edits; the others are pictures with captions."""
    skipped: dict[str, dict[str, int]] = field(default_factory=dict)
    """Reason -> shard -> how many."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """Reason -> the first samples of which it is true, as their messages."""
    example_samples: dict[str, list[int]] = field(default_factory=dict)
    """The same samples by their numbers."""
    languages: dict[str, int] = field(default_factory=dict)
    """Language -> captions (of a conversation, all that is said) in it, most first; `und` where none can be told."""
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    """Samples whose first picture is the same to the last pixel as that of an earlier one: address, earlier address."""
    duplicate_samples: list[tuple[int, int]] = field(default_factory=list)
    """The same by their numbers."""
    near_duplicates: list[list[str]] = field(default_factory=list)
    """Groups of samples whose first pictures look alike and are not the same: another size, encoding or brightness."""
    near_duplicate_samples: list[list[int]] = field(default_factory=list)
    """The same by their numbers."""
    width: Spread | None = None
    height: Spread | None = None
    aspect_ratio: Spread | None = None
    """Width by height."""
    caption: Spread | None = None
    """Characters of a caption."""


def check_source(
    source: Source, progress: Callable[[int, int], None] = lambda done, total: None, processes: int = 1
) -> DataReport:
    """Read every sample of a source once, on several `processes`, to which it is sent by pickling. `progress` gets how
    many of how many are read. Memory: some 300 bytes for a sample, beside those that are being read."""
    gathered = _Gathered(len(source))
    for index, facts in enumerate(read_all(source, processes)):
        gathered.add(index, facts)
        progress(index + 1, len(source))
    return gathered.report()


class _Gathered:
    """The facts of all samples so far, as small as they can be kept."""

    def __init__(self, samples: int) -> None:
        self.told = DataReport(samples=samples)
        self.skipped: Counter[tuple[str, str]] = Counter()
        self.languages: Counter[str] = Counter()
        self.widths, self.heights, self.lengths = array("i"), array("i"), array("i")
        self.addresses = PackedTexts()
        self.pictured, self.bits = array("q"), array("Q")
        self.digests, self.colors = bytearray(), bytearray()

    def add(self, index: int, facts: SampleFacts) -> None:
        if facts.fault is not None:
            self.add_fault(index, *facts.fault)
            return
        self.told.usable += 1
        self.told.conversations += facts.is_conversation
        self.languages.update(facts.languages)
        self.lengths.extend(facts.caption_lengths)
        self.widths.extend(width for width, _ in facts.sizes)
        self.heights.extend(height for _, height in facts.sizes)
        if facts.first_picture is not None:
            self.addresses.append(facts.address)
            self.pictured.append(index)
            self.bits.append(facts.first_picture.bits)
            self.digests += facts.first_picture.digest
            self.colors += facts.first_picture.colors

    def add_fault(self, index: int, reason: str, shard: str, message: str) -> None:
        self.skipped[reason, shard] += 1
        messages = self.told.examples.setdefault(reason, [])
        if len(messages) < EXAMPLES:
            messages.append(message)
            self.told.example_samples.setdefault(reason, []).append(index)

    def address(self, index: int) -> str:
        """Of a sample that has a picture."""
        return self.addresses[bisect_left(self.pictured, index)]

    def report(self) -> DataReport:
        told = self.told
        for (reason, shard), count in sorted(self.skipped.items()):
            told.skipped.setdefault(reason, {})[shard] = count
        told.languages = dict(sorted(self.languages.items(), key=lambda one: (-one[1], one[0])))
        prints = Fingerprints(self.pictured, self.digests, self.bits, self.colors)
        told.duplicate_samples, told.near_duplicate_samples = prints.same(), prints.alike()
        told.duplicates = [(self.address(one), self.address(earlier)) for one, earlier in told.duplicate_samples]
        told.near_duplicates = [list(map(self.address, group)) for group in told.near_duplicate_samples]
        widths, heights = np.array(self.widths), np.array(self.heights)
        told.width, told.height = _spread(widths), _spread(heights)
        told.aspect_ratio, told.caption = _spread(widths / heights), _spread(np.array(self.lengths))
        return told


def _spread(numbers: np.ndarray) -> Spread | None:
    if not len(numbers):
        return None
    ordered = np.sort(numbers)
    least, most = ordered[0].item(), ordered[-1].item()
    counts, edges = np.histogram(ordered, _edges(least, most, whole=ordered.dtype.kind == "i"))
    return Spread(
        least=least,
        median=ordered[len(ordered) // 2].item(),
        most=most,
        edges=edges.tolist(),
        counts=counts.tolist(),
    )


def _edges(least: int | float, most: int | float, *, whole: bool) -> np.ndarray:
    """The edges of the bins: of one number one bin, of few whole ones a bin each."""
    if least == most:
        return np.array([least, most + 1.0])
    if whole and most - least < BINS:
        return np.arange(least, most + 2.0)
    spaced = np.geomspace if least > 0 and most > WIDE_SPREAD * least else np.linspace
    edges = spaced(least, most, BINS + 1)
    edges[0], edges[-1] = least, most  # which geomspace misses by rounding
    return edges
