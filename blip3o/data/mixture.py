"""Which tasks are trained: drawn by a sample's address, so that a resumed run sees what the unbroken one would."""

import random
from collections.abc import Mapping

from blip3o.data.sources.source import Source
from blip3o.errors import ConfigError
from blip3o.processing.conversation import Conversation, Picture

TRIES = 200
"""Draws of a task without the right ending, after which it is taken to have none."""


def draw_conversation(source: Source, weights: Mapping[str, float], address: str, *, drawing: bool) -> Conversation:
    """A conversation whose task is drawn by weight, ending in a picture, or in words.

    `drawing`: True for a picture. The same `address` gives the same conversation. A task that may end either way (a
    dialogue) is drawn again until its end is the right one. Raises ConfigError after TRIES draws without it.
    """
    rng = random.Random(address)
    [task] = rng.choices(list(weights), list(weights.values()))
    for _ in range(TRIES):
        conversation = source.conversation(task, rng)
        if isinstance(conversation[-1].content[-1], Picture) == drawing:
            return conversation
    raise ConfigError(f"task {task!r} never ends in {'a picture' if drawing else 'words'}: list it on the other side")
