"""Which tasks a batch holds: addressed by seed and step, so that a resumed run sees what the unbroken one would have."""

import random
from collections.abc import Mapping

from blip3o.data.picturebook.book import PictureBook
from blip3o.prompt.conversation import Conversation


def draw_conversations(
    book: PictureBook, weights: Mapping[str, float], count: int, address: str
) -> list[Conversation]:
    """`count` conversations whose tasks are drawn by weight; the same for the same `address`."""
    rng = random.Random(address)
    tasks = rng.choices(list(weights), list(weights.values()), k=count)
    return [book.conversation(task, rng) for task in tasks]
