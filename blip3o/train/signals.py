"""Ctrl-C and SIGTERM: handled while a run lasts, and never in the middle of a step."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def answered(numbers: Iterable[int], answer: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Handle these signals by `answer` inside of this context; in other threads than the main one nothing changes,
    because Python delivers signals to the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, answer) for number in numbers}
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)


@contextmanager
def undivided() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the end of this context, so that no step is half in the state; then they are
    answered as they were to be before."""
    waiting: list[int] = []
    with answered((signal.SIGINT, signal.SIGTERM), lambda number, _: waiting.append(number)):
        yield
    for number in waiting[:1]:
        answer = signal.getsignal(number)
        if not callable(answer):
            raise KeyboardInterrupt
        answer(number, None)
