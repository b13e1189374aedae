"""A conversation: turns of text and pictures, the form in which both data and users speak to the model."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

THINK = "Think before you draw."
"""The system turn that asks for reasoning before the picture."""

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as uint8 [height, width, 3], with its features in the target space where those are known."""

    pixels: np.ndarray
    features: np.ndarray | None = None
    """[channel, rows, columns], normalised."""


@dataclass(frozen=True)
class Turn:
    """What one side says.

    A picture that ends the assistant's last turn is the image to imagine; every other picture is read.
    """

    role: Role
    content: tuple[str | Picture, ...]


Conversation = tuple[Turn, ...]
