"""A conversation: turns of text and pictures, the form in which both data and users speak to the model."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

THINK = "Think before you draw."
"""The system turn that asks for reasoning before the picture."""
DESCRIBE = "describe this picture."
DESCRIBE_IN_DETAIL = "describe this picture in detail."
WHAT_IS_THIS = "what is this?"
"""What asks for a caption, for the place of every object, and for a label."""

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it was given, upright; each network that looks at it resizes this one.

    Its features in the target space stand beside it where those are known.
    """

    original: Any
    """uint8 [height, width, 3], or an image of Pillow in RGB (which is not named: only files that open pictures do),
    for to copy a photograph into an array takes half as long as to decode it, and mostly a small one is made of it."""
    features: Any = None
    """[channel, rows, columns], normalised: an array, or a tensor on any device (which is not named: no torch here)."""

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 [height, width, 3]."""
        return np.asarray(self.original)

    @property
    def height(self) -> int:
        """In px."""
        return self.original.shape[0] if isinstance(self.original, np.ndarray) else self.original.height

    @property
    def width(self) -> int:
        """In px."""
        return self.original.shape[1] if isinstance(self.original, np.ndarray) else self.original.width


@dataclass(frozen=True)
class Turn:
    """What one side says.

    A picture that ends the assistant's last turn is the image to generate; every other picture is read.
    """

    role: Role
    content: tuple[str | Picture, ...]


Conversation = tuple[Turn, ...]
