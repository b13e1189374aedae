"""The engine: rows of reading, writing and drawing that join and leave between steps.

    engine = Engine(pipeline)
    row = engine.draw(template.ask(conversation, draw=True), seed, sampling)
    while not row.done:
        engine.step()

A row depends on what it is asked and on its seed, not on its company, and can be cancelled at any step. An engine is
driven by one thread; several threads may each have one on the same pipeline.

Work on many items is a series of tasks: each submits its rows, and yields until they are done.
"""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from blip3o.flow.noise import generators
from blip3o.pipeline.drawing import Drawer, DrawingRow
from blip3o.pipeline.pipeline import Pipeline
from blip3o.pipeline.sampling import SamplingConfig
from blip3o.pipeline.writing import Writer, WritingOptions, WritingRow
from blip3o.processing.chat_template import TokenizedSample

TaskResult = TypeVar("TaskResult")
EngineTask = Generator[None, None, TaskResult]
"""Work on one item: it submits rows, yields whenever it has to wait for them, and returns its result."""


class Engine:
    """Takes rows at any time; each `step` is one token and one solver step of all that are under way.

    At most `capacity` answers are written, and tasks carried out, at a time.
    """

    def __init__(self, pipeline: Pipeline, *, capacity: int = 16) -> None:
        self.pipeline = pipeline
        self.capacity = capacity
        self.drawer = Drawer(pipeline)
        self.writer = Writer(pipeline, capacity)
        self.random: torch.Generator | None = None
        """Where the random numbers of `compatible` images come from."""

    def write(self, sample: TokenizedSample, options: WritingOptions) -> WritingRow:
        """A row that reads a conversation and writes on."""
        row = WritingRow(sample, options)
        self.writer.waiting.append(row)
        return row

    def draw(self, sample: TokenizedSample, seed: int, sampling: SamplingConfig) -> DrawingRow:
        """A row that draws into the slot of a conversation."""
        rng = generators([seed])[0]
        if sampling.compatible:
            rng = self.random = self.random or torch.Generator(self.pipeline.device).manual_seed(seed)
        row = DrawingRow(sample, rng, sampling)
        self.drawer.waiting.append(row)
        return row

    def step(self) -> None:
        """Take a step in every row."""
        with torch.inference_mode():
            self.drawer.step()
            self.writer.step()

    def remaining(self, row: DrawingRow) -> int | None:
        """Solver steps that a row under way has to take; None where it waits, or is done."""
        return self.drawer.remaining(row)

    def preview(self, row: DrawingRow) -> Float[Tensor, "3 height width"] | None:
        """A cheap image, in [-1, 1], of what a row under way may become. None before its first step."""
        with torch.inference_mode():
            return self.drawer.preview(row)

    def run(self, tasks: Iterable[EngineTask[TaskResult]]) -> Iterator[TaskResult]:
        """The results of all tasks, in their order, each as soon as those before it are there too.

        A task is taken from `tasks` when it begins, so what it opens is not held before, nor after its end. Those that
        begin take the places of half of the others at once: their prompts are read together, which costs less than one
        by one.
        """
        coming, active, results, due = enumerate(tasks), dict[int, EngineTask[TaskResult]](), dict[int, TaskResult](), 0
        while True:
            if len(active) <= self.capacity // 2:
                active.update(islice(coming, self.capacity - len(active)))
            if not active:
                return
            for index, task in list(active.items()):
                try:
                    next(task)
                except StopIteration as end:
                    results[index] = end.value
                    del active[index]
            while due in results:
                yield results.pop(due)
                due += 1
            if active:
                self._step_apart()

    def _step_apart(self) -> None:
        """A token of every answer, or where all are written a solver step of every image: where parts of the model
        take turns on the device, they would change places at every step of both."""
        with torch.inference_mode():
            (self.writer if self.writer.busy else self.drawer).step()
