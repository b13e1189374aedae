"""A conversation: turns of text and pictures, the form in which both data and users speak to the model."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

THINK = "Think before you draw."
"""The system turn that asks for reasoning before the picture."""

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it was given, upright, uint8 [height, width, 3]; each network that looks at it resizes this one.

    Its features in the target space stand beside it where those are known.
    """

    pixels: np.ndarray
    features: Any = None
    """[channel, rows, columns], normalised: an array, or a tensor on any device (which is not named: no torch here)."""


@dataclass(frozen=True)
class Turn:
    """What one side says.

    A picture that ends the assistant's last turn is the image to generate; every other picture is read.
    """

    role: Role
    content: tuple[str | Picture, ...]


Conversation = tuple[Turn, ...]
