"""The model under evaluation, as the evals see it: the calls of the public API that they make, and nothing inside."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from PIL import Image

from blip3o.processing.conversation import Conversation

if TYPE_CHECKING:
    from blip3o.api import Reply


@runtime_checkable
class Candidate(Protocol):
    """`blip3o.api.BLIP3o`, or anything that answers like it. Lists come back in the order of what was asked."""

    def generate(
        self, prompts: Sequence[str], *, seed: Sequence[int], think: bool | None = None, batch_size: int = 16
    ) -> list[Image.Image]:
        """Draws one picture for each prompt."""
        ...

    def edit(
        self,
        images: Sequence[Image.Image | Sequence[Image.Image]],
        instructions: Sequence[str],
        *,
        seed: Sequence[int],
        batch_size: int = 16,
    ) -> list[Image.Image]:
        """Changes each picture, or several together, as its instruction says."""
        ...

    def understand(
        self,
        images: Sequence[Image.Image | Sequence[Image.Image]],
        questions: Sequence[str],
        *,
        max_tokens: int = 64,
        batch_size: int = 16,
    ) -> list[str]:
        """Answers a question about each picture, or about several together."""
        ...

    def caption(self, images: Sequence[Image.Image], *, batch_size: int = 16) -> list[str]:
        """Describes each picture in short."""
        ...

    def reply(
        self, conversations: Sequence[Conversation], *, seed: Sequence[int], batch_size: int = 16
    ) -> "Sequence[Reply]":
        """Continues each conversation by words or a picture, as it sees fit."""
        ...

    def features(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "images features"]:
        """The pictures in the target space, one row each."""
        ...

    def info(self) -> dict[str, Any]:
        """Name, commit, sizes."""
        ...
