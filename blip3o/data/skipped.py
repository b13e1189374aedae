"""Samples that training passed over: counted by reason and shard, listed in a file, and never too many."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from blip3o.data.sample import SampleError
from blip3o.errors import DataError
from blip3o.files import append

LISTED = "samples_skipped.jsonl"
LEAST = 1000
"""Fewer samples than this say nothing about a share."""


class SkippedSamples:
    """The skipped samples of a run; each is listed once, however often its turn comes."""

    def __init__(self, folder: Path, limit: float) -> None:
        """`limit`: the share of the samples that may be skipped, 0 to 1."""
        self.path, self.limit = folder / LISTED, limit
        self.seen = self.count = 0
        self.by_reason: Counter[tuple[str, str]] = Counter()
        self.listed = set(_addresses(self.path))

    def add(self, seen: int, errors: Iterable[SampleError]) -> None:
        """Count `seen` samples, of which these were skipped. Raises DataError where too many are."""
        self.seen += seen
        for error in errors:
            self.count += 1
            self.by_reason[error.reason, error.shard] += 1
            if error.address not in self.listed:
                self.listed.add(error.address)
                facts = {key: getattr(error, key) for key in ("address", "reason", "shard", "detail")}
                append(self.path, json.dumps(facts) + "\n")
        if self.count > self.limit * max(self.seen, LEAST):
            raise DataError(
                f"{self.count} of {self.seen} samples were skipped, more than {self.limit:.1%}: {self.report()}; "
                f"{self.path} lists them: mend the data, or raise skip_limit"
            )

    def reasons(self) -> dict[str, int]:
        """Reason -> samples skipped for it, the most frequent first."""
        counts: Counter[str] = Counter()
        for (reason, _), count in self.by_reason.items():
            counts[reason] += count
        return dict(counts.most_common())

    def report(self) -> str:
        """The most frequent reasons and where they are found."""
        frequent = self.by_reason.most_common(4)
        return ", ".join(f"{count} x {reason} in {shard}" for (reason, shard), count in frequent)


def _addresses(path: Path) -> Iterator[str]:
    """The addresses in a list of skipped samples; a line that a kill has cut is passed over."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with suppress(ValueError):
            yield json.loads(line)["address"]
