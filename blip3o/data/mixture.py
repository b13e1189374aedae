"""Which tasks a batch holds: addressed by seed and step, so that a resumed run sees what the unbroken one would."""

import random
from collections.abc import Mapping

from blip3o.data.picturebook.book import PictureBook
from blip3o.prompt.conversation import Conversation, Picture


def draw_conversations(
    book: PictureBook, weights: Mapping[str, float], count: int, address: str, *, drawing: bool
) -> list[Conversation]:
    """`count` conversations whose tasks are drawn by weight, all of them ending in a picture, or in words.

    The same for the same `address`. Every task of `weights` must be able to end that way; one that may end either way
    (a dialogue) is made anew until it does.
    """
    rng = random.Random(address)
    made: list[Conversation] = []
    for task in rng.choices(list(weights), list(weights.values()), k=count):
        conversation = book.conversation(task, rng)
        while isinstance(conversation[-1].content[-1], Picture) != drawing:
            conversation = book.conversation(task, rng)
        made.append(conversation)
    return made
