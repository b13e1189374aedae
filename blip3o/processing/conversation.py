"""A conversation: turns of text and pictures, the form in which both data and users speak to the model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor
else:  # a conversation is put together without torch
    Tensor = object

THINK = "Think before you draw."
"""The system turn that asks for reasoning before the picture."""

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it was given, upright, uint8 [height, width, 3]; each network that looks at it resizes this one.

    Its features in the target space stand beside it where those are known.
    """

    pixels: np.ndarray
    features: np.ndarray | Tensor | None = None
    """[channel, rows, columns], normalised; a tensor may lie on any device."""


@dataclass(frozen=True)
class Turn:
    """What one side says.

    A picture that ends the assistant's last turn is the image to generate; every other picture is read.
    """

    role: Role
    content: tuple[str | Picture, ...]


Conversation = tuple[Turn, ...]
