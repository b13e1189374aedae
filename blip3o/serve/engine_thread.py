"""One thread that drives an engine for many who ask: requests join and leave between its steps.

What is asked waits in a line of bounded length, a queue for each user, and the queues take turns. A request that is
cancelled leaves before the next step. Where a step fails, its requests begin anew, one after the other, so that only
the one at fault fails: each depends on what it is asked and on its seed, and not on its company.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from blip3o.pipeline.engine import Engine, EngineTask
from blip3o.pipeline.pipeline import Pipeline
from blip3o.serve.metrics import ServerMetrics

Begin = Callable[[Engine], EngineTask[Any]]
"""Begins the work of a request, anew each time that it is called."""
FIRST_GUESS_S = 1.0
"""What a request is thought to take before one is done."""
log = logging.getLogger("blip3o.serve")


class BusyError(Exception):
    """The line is full; `retry_after` seconds from now there may be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the line is full: try again in {retry_after} s")
        self.retry_after = retry_after


class ClosedError(Exception):
    """The server is going down."""


class Job:
    """One request, as the thread sees it."""

    def __init__(self, begin: Begin, user: tuple[str, str], weight: int) -> None:
        self.begin = begin
        self.user = user
        self.weight = weight
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # from now on the thread alone ends it
        self.task: EngineTask[Any] | None = None
        self.cancelled = False
        self.alone = False
        """Whether it runs by itself, after a step that failed."""
        self.asked = self.begun = time.monotonic()

    def cancel(self) -> None:
        """Have it leave before the next step."""
        self.cancelled = True


class EngineThread:
    """Drives an engine until it is closed."""

    def __init__(self, pipeline: Pipeline, metrics: ServerMetrics, *, capacity: int = 16, queue: int = 64) -> None:
        """`capacity` requests are worked on at a time, and `queue` wait at most."""
        self.pipeline, self.metrics = pipeline, metrics
        self.capacity, self.most_waiting = capacity, queue
        self.engine = Engine(pipeline, capacity=capacity)
        self.waiting: OrderedDict[str, OrderedDict[str, deque[Job]]] = OrderedDict()
        """Key -> its user -> what they asked: keys take turns, and so do the users of each."""
        self.active: list[Job] = []
        self.mean_s = FIRST_GUESS_S
        self.closing = self.refusing = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.thread.start()

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return sum(len(line) for lines in self.waiting.values() for line in lines.values())

    @property
    def works(self) -> bool:
        """Whether requests are answered."""
        return self.thread.is_alive()

    @property
    def room(self) -> int:
        """Requests that may come now: as many as the line takes, and those that need not wait."""
        return self.most_waiting - self.queued + max(0, self.capacity - sum(job.weight for job in self.active))

    def require_room(self, count: int) -> None:
        """Raise BusyError, ClosedError where so many requests would not be taken."""
        if self.closing:
            raise ClosedError
        if count > self.room:
            raise BusyError(self.wait_s())

    def submit(self, begins: Sequence[Begin], user: tuple[str, str] = ("", ""), weight: int = 1) -> list[Job]:
        """Have work done, all of it or none, for a key and one of its users; each counts as `weight` of those that are
        worked on at a time. Raises BusyError, ClosedError."""
        with self.changed:
            self.require_room(len(begins))
            jobs = [Job(begin, user, weight) for begin in begins]
            for job in jobs:
                self._line(job.user).append(job)
            self.changed.notify()
        return jobs

    def _line(self, user: tuple[str, str]) -> deque[Job]:
        return self.waiting.setdefault(user[0], OrderedDict()).setdefault(user[1], deque())

    def wait_s(self) -> int:
        """Seconds after which the line should be shorter by as many as are worked on at once."""
        return max(1, round(self.mean_s * (1 + self.queued / self.capacity)))

    def close(self, deadline_s: float = 0.0) -> None:
        """Take nothing more, finish what is there for so long, and refuse the rest."""
        with self.changed:
            self.closing = True
            self.changed.notify()
        self.thread.join(deadline_s)
        with self.changed:
            self.refusing = True
            self.changed.notify()
        self.thread.join()

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self.changed:
                while not (self.closing or self.active or self.queued):
                    self.changed.wait()
                if not (self.active or self.queued):
                    return
                if self.refusing:
                    self._refuse()
                self._admit()
            self._advance()
            if self.active:
                self._step()

    def _admit(self) -> None:
        """Let those who wait in, one of each user in turn; one that runs alone waits for the others to end."""
        for line in [line for lines in self.waiting.values() for line in lines.values()]:
            for job in [job for job in line if job.cancelled]:
                line.remove(job)
                job.future.set_exception(ClosedError())
        self._forget_empty_lines()
        while self.waiting and not any(job.alone for job in self.active):
            key, lines = next(iter(self.waiting.items()))
            user, line = next(iter(lines.items()))
            at_work = sum(job.weight for job in self.active)
            if self.active and (line[0].alone or at_work + line[0].weight > self.capacity):
                return
            job = line.popleft()
            lines.move_to_end(user)
            self.waiting.move_to_end(key)
            self._forget_empty_lines()
            job.begun = time.monotonic()
            self.active.append(job)

    def _forget_empty_lines(self) -> None:
        for key, lines in list(self.waiting.items()):
            for user in [user for user, line in lines.items() if not line]:
                del lines[user]
            if not lines:
                del self.waiting[key]

    def _refuse(self) -> None:
        """The time is up: all that is there leaves."""
        for job in (*self.active, *(job for lines in self.waiting.values() for line in lines.values() for job in line)):
            job.cancel()

    def _advance(self) -> None:
        """Let every task look at its rows; those that are done, or cancelled, leave."""
        for job in list(self.active):
            if job.cancelled:
                self._leave(job)
                job.future.set_exception(ClosedError())
                continue
            try:
                job.task = job.task or job.begin(self.engine)
                next(job.task)
            except StopIteration as end:
                self._leave(job)
                job.future.set_result(end.value)
                took = time.monotonic() - job.begun
                self.mean_s += 0.2 * (took - self.mean_s)
                self.metrics.finished(waited=job.begun - job.asked, took=took)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is of this request alone
                self._leave(job)
                job.future.set_exception(error)

    def _leave(self, job: Job) -> None:
        self.active.remove(job)
        if job.task is not None:
            job.task.close()

    def _step(self) -> None:
        self.metrics.stepped(len(self.active))
        try:
            self.engine.step()
        except Exception as error:
            log.exception("a step failed")
            self._begin_anew(error)

    def _begin_anew(self, error: Exception) -> None:
        """After a step that failed: a request that was by itself is at fault, of several each has to show."""
        failed, self.active = self.active, []
        self.engine = Engine(self.pipeline, capacity=self.capacity)
        for job in failed:
            if job.task is not None:
                job.task.close()
        if len(failed) == 1:
            failed[0].future.set_exception(error)
            return
        with self.changed:
            for job in reversed(failed):
                job.task, job.alone = None, True
                self._line(job.user).appendleft(job)
