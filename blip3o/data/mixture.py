"""Mixtures of tasks: the conversation of each sample number, so that a resumed run sees what the unbroken one would."""

import random
from collections.abc import Mapping

from blip3o.data.order import Order
from blip3o.data.sources.source import Source
from blip3o.errors import ConfigError
from blip3o.processing.conversation import Conversation, Picture

TRIES = 200
"""A task that ends otherwise this often in a row never ends as it should."""


class Mixture:
    """Conversations by sample number; all end in a picture, or all in words."""

    def __init__(self, source: Source, weights: Mapping[str, float], seed: str, *, drawing: bool) -> None:
        """`weights`: the share of each task; `seed`: of the run and the stage."""
        self.source, self.seed, self.drawing = source, seed, drawing
        self.order = Order({task: source.length(task) for task in weights}, weights, seed)

    def __getitem__(self, number: int) -> Conversation:
        """The same whenever it is asked for. A task that may end either way (a dialogue) is made anew until it ends as
        it should. Raises SampleError for a sample that cannot be trained on, ConfigError for a task that never ends so.
        """
        task, index = self.order[number]
        rng = random.Random(f"{self.seed}/{number}")
        for _ in range(TRIES):
            conversation = self.source.conversation(task, index, rng)
            if isinstance(conversation[-1].content[-1], Picture) == self.drawing:
                return conversation
        ending = "a picture" if self.drawing else "words"
        raise ConfigError(f"task {task!r} never ends in {ending}: list it on the other side")

    def place(self, number: int) -> tuple[str, str]:
        """Task and address of a sample, for messages of what only its reader finds wrong with it."""
        task, index = self.order[number]
        return task, f"{task}[{index}]"
