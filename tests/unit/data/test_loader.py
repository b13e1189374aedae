"""Steps that are loaded ahead: in their order, by as many threads as asked for, and no more of them than needed."""

import threading
import time

import pytest

from blip3o.data.loader import AHEAD, StepLoader
from blip3o.data.sample import SampleError

WAIT_S = 20


class Steps:
    """Loads steps of four samples, and remembers what was begun and by whom."""

    def __init__(self, read=lambda number: number, fails_at=None):
        self.read, self.fails_at = read, fails_at
        self.begun, self.threads = [], set()
        self.each = map

    def one(self, number):
        self.threads.add(threading.current_thread().name)
        return self.read(number)

    def __call__(self, step):
        self.begun.append(step)
        if step == self.fails_at:
            raise SampleError("broken shard", "a.tar", "a.tar/7")
        return list(self.each(self.one, range(4 * step, 4 * step + 4)))


@pytest.fixture
def loading():
    """Gives a loader, which is closed at the end."""
    loaders = []

    def loader(steps, first, end, workers):
        loaders.append(StepLoader(steps, first, end, workers))
        steps.each = loaders[-1].each
        return loaders[-1]

    yield loader
    for one in loaders:
        one.close()


def late_first(number):
    """The earlier a sample is asked for, the later it is there."""
    time.sleep(0.002 * (8 - number % 8))
    return number


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_steps_come_in_their_order_however_long_each_takes(loading, workers):
    loader = loading(Steps(late_first), 3, 9, workers)
    assert [next(loader) for _ in range(6)] == [list(range(4 * step, 4 * step + 4)) for step in range(3, 9)]


def test_without_workers_a_step_is_loaded_when_it_is_asked_for_in_the_same_thread(loading):
    steps = Steps()
    loader = loading(steps, 0, 5, 0)
    assert steps.begun == []
    next(loader)
    assert (steps.begun, steps.threads) == ([0], {threading.current_thread().name})


def test_as_many_samples_are_read_at_a_time_as_there_are_workers(loading):
    together = threading.Barrier(3)

    def met(number):
        if number < 3:
            together.wait(WAIT_S)  # broken, unless three read at the same time
        return number

    steps = Steps(met)
    assert next(loading(steps, 0, 1, 3)) == [0, 1, 2, 3]
    assert len(steps.threads) == 3


def test_no_more_steps_are_begun_than_are_needed_next(loading):
    steps = Steps()
    loader = loading(steps, 0, 100, 8)
    for _ in range(5):
        next(loader)
    time.sleep(0.2)
    assert max(steps.begun) < 5 + AHEAD


@pytest.mark.parametrize("workers", [0, 2])
def test_what_goes_wrong_in_a_step_is_raised_as_it_is_and_when_its_turn_has_come(loading, workers):
    loader = loading(Steps(fails_at=2), 0, 5, workers)
    assert [next(loader)[0] for _ in range(2)] == [0, 4]
    with pytest.raises(SampleError) as raised:
        next(loader)
    assert str(raised.value) == "a.tar/7: broken shard"


def test_a_closed_loader_leaves_no_thread_behind(loading):
    before = set(threading.enumerate())
    loader = loading(Steps(), 0, 50, 4)
    next(loader)
    assert set(threading.enumerate()) - before
    loader.close()
    waited = time.monotonic() + WAIT_S
    while set(threading.enumerate()) - before:
        assert time.monotonic() < waited
        time.sleep(0.01)
    loader.close()
