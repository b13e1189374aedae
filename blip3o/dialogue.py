"""Talking with a model: a dialogue that keeps the turns before."""

from typing import TYPE_CHECKING

from blip3o.config import BOUNDS, whole
from blip3o.pipeline.generation import Reply
from blip3o.processing.conversation import Turn
from blip3o.processing.images import Picturelike

if TYPE_CHECKING:
    import blip3o.api


class Chat:
    """A dialogue that keeps the words and pictures of its earlier turns."""

    def __init__(self, model: "blip3o.api.BLIP3o", *, seed: int = 0, think: bool = False) -> None:
        self.model = model
        self.seed = whole("seed", seed)
        self.think = think
        self.turns: list[Turn] = []

    def send(self, text: str, image: Picturelike | None = None) -> Reply:
        """Say something, with a picture or without, and get the model's reply."""
        template = self.model.pipeline.template
        template.check(text)
        shown = () if image is None else (template.picture(image),)
        asked = Turn("user", (*shown, text))
        seed = (self.seed + len(self.turns) // 2) % (int(BOUNDS["seed"][1]) + 1)
        reply = self.model.reply([(*self.turns, asked)], seed=seed, think=self.think)[0]
        drawn = () if reply.image is None else (template.picture(reply.image),)
        self.turns += [asked, Turn("assistant", (reply.text, *drawn) if reply.text or not drawn else drawn)]
        return reply
