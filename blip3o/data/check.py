"""Everything of a source read once: what can be trained on, what will be skipped and why, and how it is spread."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from blip3o.data.sample import SampleError
from blip3o.data.sources.source import Source
from blip3o.processing.conversation import Picture

EXAMPLES = 3
"""Skipped samples that are named for each reason."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How large some numbers are."""

    least: int
    median: int
    most: int


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
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    """Samples whose first picture is the same to the last pixel as that of an earlier one: address, earlier address."""
    width: Spread | None = None
    height: Spread | None = None
    caption: Spread | None = None
    """Characters of a caption."""


def check_source(source: Source, progress: Callable[[int, int], None] = lambda done, total: None) -> DataReport:
    """Read every sample of a source once. `progress` gets how many of how many are read."""
    report, earlier = DataReport(samples=len(source)), {}
    widths, heights, lengths = [], [], []
    skipped: Counter[tuple[str, str]] = Counter()
    for index in range(len(source)):
        try:
            sample = source[index]
        except SampleError as error:
            skipped[error.reason, error.shard] += 1
            messages = report.examples.setdefault(error.reason, [])
            messages += [str(error)] if len(messages) < EXAMPLES else []
        else:
            report.usable += 1
            report.conversations += bool(sample.conversation)
            lengths += [len(caption) for caption in sample.captions]
            pictures = sample.pictures
            heights += [picture.pixels.shape[0] for picture in pictures]
            widths += [picture.pixels.shape[1] for picture in pictures]
            if pictures and (first := earlier.setdefault(_digest(pictures[0]), sample.address)) != sample.address:
                report.duplicates.append((sample.address, first))
        progress(index + 1, len(source))
    for (reason, shard), count in sorted(skipped.items()):
        report.skipped.setdefault(reason, {})[shard] = count
    report.width, report.height, report.caption = map(_spread, (widths, heights, lengths))
    return report


def _digest(picture: Picture) -> str:
    return hashlib.sha256(str(picture.pixels.shape).encode() + picture.pixels.tobytes()).hexdigest()


def _spread(numbers: Sequence[int]) -> Spread | None:
    if not numbers:
        return None
    ordered = sorted(numbers)
    return Spread(least=ordered[0], median=ordered[len(ordered) // 2], most=ordered[-1])
