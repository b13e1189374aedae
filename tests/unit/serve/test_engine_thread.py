"""The thread behind the server: requests join and leave, wait in turn, are cancelled, and fail alone."""

import threading
import time

import pytest

from blip3o.pipeline.engine import Engine
from blip3o.serve.engine_thread import BusyError, ClosedError, EngineThread
from blip3o.serve.metrics import ServerMetrics

WAIT_S = 20


@pytest.fixture
def steps(monkeypatch):
    """Counts the engine's steps, which do nothing; each waits for `go`, and fails where a name in `bad` is at work."""

    class Steps:
        count, go, bad, at_work = 0, threading.Event(), set(), set()

    def step(engine):
        Steps.go.wait(WAIT_S)
        Steps.count += 1
        if Steps.bad & Steps.at_work:
            raise RuntimeError("out of memory")
        time.sleep(0.001)

    Steps.go = threading.Event()
    Steps.go.set()
    Steps.count, Steps.bad, Steps.at_work = 0, set(), set()
    monkeypatch.setattr(Engine, "step", step)
    return Steps


@pytest.fixture
def thread(pipeline, steps):
    """Makes a thread, which is closed at the end."""
    made = []

    def of(**how):
        made.append(EngineThread(pipeline, ServerMetrics(), **how))
        return made[-1]

    yield of
    steps.go.set()
    for one in made:
        one.close()


def work(name, length, steps, seen=None):
    """A request of so many steps, which leaves its name when it begins and when it ends."""

    def begin(engine):
        if seen is not None:
            seen.append(name)
        steps.at_work.add(name)
        try:
            for _ in range(length):
                yield
        finally:
            steps.at_work.discard(name)
        return name

    return begin


def test_requests_are_worked_on_together_and_each_gets_its_own_result(thread, steps):
    one = thread(capacity=4)
    jobs = one.submit([work(name, length, steps) for name, length in (("a", 5), ("b", 2), ("c", 9))])
    assert [job.future.result(WAIT_S) for job in jobs] == ["a", "b", "c"]
    assert steps.count <= 10


@pytest.mark.parametrize(("much", "little"), [(("a", "x"), ("b", "x")), (("a", "x"), ("a", "y"))])
def test_keys_and_users_take_turns_however_much_one_of_them_asks(thread, steps, much, little):
    one, seen = thread(capacity=1), []
    steps.go.clear()
    jobs = one.submit([work(f"much {n}", 1, steps, seen) for n in range(4)], much)
    jobs += one.submit([work("little", 1, steps, seen)], little)
    steps.go.set()
    for job in jobs:
        job.future.result(WAIT_S)
    assert seen.index("little") <= 2
    assert [name for name in seen if name != "little"] == [f"much {n}" for n in range(4)]


def test_a_key_gets_no_more_turns_by_inventing_users(thread, steps):
    one, seen = thread(capacity=1), []
    steps.go.clear()
    [first] = one.submit([work("first", 1, steps)], ("greedy", "0"))
    while one.queued:
        time.sleep(0.001)
    jobs = [job for n in range(6) for job in one.submit([work(f"greedy {n}", 1, steps, seen)], ("greedy", str(n)))]
    jobs += one.submit([work(f"fair {n}", 1, steps, seen) for n in range(3)], ("fair", "x"))
    steps.go.set()
    for job in (first, *jobs):
        job.future.result(WAIT_S)
    assert [name.partition(" ")[0] for name in seen[:6]] == ["greedy", "fair"] * 3


def test_a_request_counts_by_its_candidates(thread, steps):
    one, most = thread(capacity=4), []

    def counting(engine):
        for _ in range(5):
            most.append(len(one.active))
            yield

    heavy = one.submit([counting] * 4, weight=2)
    for job in heavy:
        job.future.result(WAIT_S)
    assert max(most) == 2
    [alone] = one.submit([counting], weight=64)  # more than there is room for: it runs by itself
    alone.future.result(WAIT_S)


def test_a_line_that_is_full_says_when_to_come_again(thread, steps):
    one = thread(capacity=1, queue=2)
    steps.go.clear()
    [first] = one.submit([work("first", 1, steps)])
    while one.queued:
        time.sleep(0.001)
    one.submit([work("second", 1, steps), work("third", 1, steps)])
    with pytest.raises(BusyError, match=r"the line is full: try again in \d+ s") as refused:
        one.submit([work("fourth", 1, steps)])
    assert refused.value.retry_after >= 1
    steps.go.set()
    assert first.future.result(WAIT_S) == "first"


def test_several_at_once_are_taken_all_or_none(thread, steps):
    one = thread(capacity=1, queue=2)
    steps.go.clear()
    with pytest.raises(BusyError):
        one.submit([work("x", 1, steps)] * 4)
    assert one.queued == 0


def test_without_a_line_only_who_need_not_wait_are_taken(thread, steps):
    one = thread(capacity=2, queue=0)
    steps.go.clear()
    first, second = one.submit([work("first", 1, steps), work("second", 1, steps)])
    with pytest.raises(BusyError):
        one.submit([work("third", 1, steps)])
    steps.go.set()
    assert [job.future.result(WAIT_S) for job in (first, second)] == ["first", "second"]


def test_one_that_is_cancelled_leaves_before_the_next_step_and_the_others_go_on(thread, steps):
    one = thread(capacity=4)
    endless, short = one.submit([work("endless", 10**9, steps), work("short", 20, steps)])
    while "endless" not in steps.at_work:
        time.sleep(0.001)
    endless.cancel()
    with pytest.raises(ClosedError):
        endless.future.result(WAIT_S)
    assert "endless" not in steps.at_work
    assert short.future.result(WAIT_S) == "short"


def test_one_that_waits_may_be_cancelled_too(thread, steps):
    one, seen = thread(capacity=1), []
    steps.go.clear()
    [_, waiting] = one.submit([work("first", 2, steps, seen), work("waiting", 1, steps, seen)])
    waiting.cancel()
    steps.go.set()
    with pytest.raises(ClosedError):
        waiting.future.result(WAIT_S)
    assert seen == ["first"]


def test_one_that_fails_by_itself_harms_nobody(thread, steps):
    one = thread(capacity=4)

    def broken(engine):
        yield
        raise ValueError("no such word")

    bad, good = one.submit([broken, work("good", 5, steps)])
    with pytest.raises(ValueError, match="no such word"):
        bad.future.result(WAIT_S)
    assert good.future.result(WAIT_S) == "good"


def test_where_a_step_fails_only_the_one_at_fault_does(thread, steps):
    one, seen = thread(capacity=4), []
    steps.bad.add("bad")
    names = ("a", "bad", "b")
    jobs = dict(zip(names, one.submit([work(name, 5, steps, seen) for name in names]), strict=True))
    with pytest.raises(RuntimeError, match="out of memory"):
        jobs["bad"].future.result(WAIT_S)
    assert [jobs[name].future.result(WAIT_S) for name in ("a", "b")] == ["a", "b"]
    assert seen.count("bad") <= 2
    [later] = one.submit([work("later", 2, steps)])
    assert later.future.result(WAIT_S) == "later"


def test_when_it_closes_what_is_there_is_finished_and_nothing_new_is_taken(thread, steps):
    one = thread(capacity=1)
    jobs = one.submit([work("a", 3, steps), work("b", 3, steps)])
    one.close(float(WAIT_S))
    assert [job.future.result(0) for job in jobs] == ["a", "b"]
    with pytest.raises(ClosedError):
        one.submit([work("c", 1, steps)])


def test_when_its_time_is_up_the_rest_is_refused(thread, steps):
    one = thread(capacity=1)
    endless, waiting = one.submit([work("endless", 10**9, steps), work("waiting", 1, steps)])
    one.close(0.05)
    for job in (endless, waiting):
        with pytest.raises(ClosedError):
            job.future.result(0)
    assert not one.thread.is_alive()
