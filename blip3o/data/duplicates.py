"""Which of many pictures are the same, and which look alike, by their fingerprints."""

from collections.abc import Iterator, Sequence

import numpy as np

from blip3o.processing.fingerprint import COLOR_BYTES

MOST_BITS = 4
"""Bits of the difference hash in which two pictures that look alike may differ (Hamming distance)."""
MOST_COLOR = 12
"""Levels by which the mean colours of their fields may differ.

Of 300 scenes of the picture book no two look alike with these two; 98 % are found again at half their size, and 99 %
as JPEG of quality 40 (tests/unit/data/test_check.py)."""
BANDS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))
"""First bit and number of bits of five parts of the hash: where at most four bits differ, one part is the same."""
ROWS_AT_ONCE = 16
SET_BITS = np.array([byte.bit_count() for byte in range(256)], np.uint8)


class Fingerprints:
    """The fingerprints of many pictures as arrays: 132 bytes and the number of its sample for each."""

    def __init__(
        self, samples: Sequence[int], digests: bytes | bytearray, bits: Sequence[int], colors: bytes | bytearray
    ) -> None:
        """`digests` and `colors` one after the other, 16 and `COLOR_BYTES` each."""
        self.samples = np.array(samples, np.int64)
        self.digests = np.frombuffer(digests, "S16")
        self.bits = np.array(bits, np.uint64)
        self.colors = np.frombuffer(colors, np.uint8).reshape(-1, COLOR_BYTES)

    def same(self) -> list[tuple[int, int]]:
        """Each picture that is the same to the last pixel as an earlier one, and that earlier one: their samples."""
        _, first, which = np.unique(self.digests, return_index=True, return_inverse=True)
        earlier = first[which]
        later = np.flatnonzero(earlier != np.arange(len(earlier)))
        return [(int(self.samples[one]), int(self.samples[earlier[one]])) for one in later]

    def alike(self) -> list[list[int]]:
        """Groups of different pictures that look alike, as samples in their order, of the same ones the first."""
        different = np.sort(np.unique(self.digests, return_index=True)[1])
        leaders = {int(row): int(row) for row in different}

        def leader(row: int) -> int:
            while leaders[row] != row:
                leaders[row] = row = leaders[leaders[row]]
            return row

        for one, other in self._pairs(different):
            low, high = sorted((leader(one), leader(other)))
            leaders[high] = low
        groups: dict[int, list[int]] = {}
        for row in leaders:
            groups.setdefault(leader(row), []).append(int(self.samples[row]))
        return [group for group in groups.values() if len(group) > 1]

    def _pairs(self, rows: np.ndarray) -> Iterator[tuple[int, int]]:
        """Rows that look alike, not all pairs but enough to join every group."""
        both = np.concatenate([self.bits[rows].view(np.uint8).reshape(-1, 8), self.colors[rows]], axis=1)
        _, first, which = np.unique(both, axis=0, return_index=True, return_inverse=True)
        yield from zip(rows.tolist(), rows[first[which.ravel()]].tolist(), strict=True)
        rows = rows[first]
        for start, length in BANDS:  # only those that share a part of the hash are compared
            part = (self.bits[rows] >> np.uint64(start)) & np.uint64(2**length - 1)
            sizes = np.unique(part, return_counts=True)[1]
            for bucket in np.split(rows[np.argsort(part, kind="stable")], np.cumsum(sizes)[:-1]):
                if len(bucket) > 1:
                    yield from self._compared(bucket)

    def _compared(self, bucket: np.ndarray) -> Iterator[tuple[int, int]]:
        bits, colors = self.bits[bucket], self.colors[bucket].astype(np.int16)
        for start in range(0, len(bucket), ROWS_AT_ONCE):
            differing = bits[start : start + ROWS_AT_ONCE, None] ^ bits[None]
            distance = SET_BITS[differing.view(np.uint8).reshape(*differing.shape, 8)].sum(-1)
            one, other = np.nonzero(distance <= MOST_BITS)
            one, other = one[start + one < other] + start, other[start + one < other]
            near = np.abs(colors[one] - colors[other]).max(-1, initial=0) <= MOST_COLOR
            yield from zip(bucket[one[near]].tolist(), bucket[other[near]].tolist(), strict=True)
