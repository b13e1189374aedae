"""Which tasks a batch holds: addressed by seed and step, so that a resumed run sees what the unbroken one would."""

import random
from collections.abc import Mapping

from blip3o.data.picturebook.book import PictureBook
from blip3o.errors import ConfigError
from blip3o.prompt.conversation import Conversation, Picture

TRIES = 200
"""A task that ends otherwise this often in a row never ends as asked."""


def draw_conversations(
    book: PictureBook, weights: Mapping[str, float], count: int, address: str, *, drawing: bool
) -> list[Conversation]:
    """`count` conversations whose tasks are drawn by weight, all of them ending in a picture, or in words.

    The same for the same `address`. A task that may end either way (a dialogue) is made anew until it ends as asked.
    Raises ConfigError for one that never does.
    """
    rng = random.Random(address)
    tasks = rng.choices(list(weights), list(weights.values()), k=count)
    return [_draw(book, task, rng, drawing=drawing) for task in tasks]


def _draw(book: PictureBook, task: str, rng: random.Random, *, drawing: bool) -> Conversation:
    for _ in range(TRIES):
        conversation = book.conversation(task, rng)
        if isinstance(conversation[-1].content[-1], Picture) == drawing:
            return conversation
    raise ConfigError(f"task {task!r} never ends in {'a picture' if drawing else 'words'}: list it on the other side")
