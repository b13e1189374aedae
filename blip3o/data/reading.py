"""All samples of a source read once, on several processes where there are many, and what a check keeps of each."""

import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from blip3o.data.languages import language_of
from blip3o.data.sample import Sample, SampleError
from blip3o.data.sources.source import Source
from blip3o.processing.fingerprint import Fingerprint, fingerprint

AT_ONCE = 64
"""Samples that a process reads before it tells."""
FEW = 1000
"""Fewer samples than this are read before other processes would have started."""


@dataclass(frozen=True, kw_only=True)
class SampleFacts:
    """What is kept of a sample once it was read: no pixels, no texts."""

    address: str
    fault: tuple[str, str, str] | None = None
    """Reason, shard and message where it cannot be trained on; then nothing else is known."""
    is_conversation: bool = False
    sizes: tuple[tuple[int, int], ...] = ()
    """Width and height of its pictures, in px."""
    caption_lengths: tuple[int, ...] = ()
    """Characters."""
    languages: tuple[str, ...] = ()
    """Of its captions, or of all that is said in its conversation."""
    first_picture: Fingerprint | None = None


def facts_of(source: Source, index: int) -> SampleFacts:
    """Read one sample."""
    try:
        sample = source[index]
    except SampleError as error:
        return SampleFacts(address=error.address, fault=(error.reason, error.shard, str(error)))
    pictures = sample.pictures
    return SampleFacts(
        address=sample.address or str(index),
        is_conversation=bool(sample.conversation),
        sizes=tuple((picture.pixels.shape[1], picture.pixels.shape[0]) for picture in pictures),
        caption_lengths=tuple(map(len, sample.captions)),
        languages=tuple(map(language_of, sample.captions or _said(sample))),
        first_picture=fingerprint(pictures[0]) if pictures else None,
    )


def read_all(source: Source, processes: int = 1) -> Iterator[SampleFacts]:
    """The facts of all samples, in order. Only so many are on their way at a time, so that memory does not grow."""
    if processes == 1 or len(source) < FEW:
        yield from (facts_of(source, index) for index in range(len(source)))
        return
    # no fork: torch and the progress bar have threads, whose locks a forked process would wait for
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (source,))
    waiting: deque[Future[list[SampleFacts]]] = deque()
    try:
        for start in range(0, len(source), AT_ONCE):
            waiting.append(pool.submit(_read, start, min(start + AT_ONCE, len(source))))
            if len(waiting) > 2 * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


_SOURCE: list[Source] = []
"""Of a process that reads for another one."""


def _begin(source: Source) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the process that waits
    _SOURCE[:] = [source]


def _read(start: int, stop: int) -> list[SampleFacts]:
    return [facts_of(_SOURCE[0], index) for index in range(start, stop)]


def _said(sample: Sample) -> list[str]:
    texts = [part for turn in sample.conversation for part in turn.content if isinstance(part, str)]
    return [" ".join(texts)] if texts else []
