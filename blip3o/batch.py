"""Batch: the one type that crosses from data to model."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

IGNORED = -100
"""The label of a token that no loss is taken at."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Conversations as tensors. Either every row ends in a slot (an image to generate) or none does."""

    tokens: Int[Tensor, "batch seq"]
    """Token ids; placeholders at padding, at picture tokens and in the slot."""
    mask: Bool[Tensor, "batch seq"]
    """True at every position but padding."""
    labels: Int[Tensor, "batch seq"]
    """The token itself where the model is to write it, else IGNORED."""
    image_mask: Bool[Tensor, "batch seq"]
    """True where a token of a read picture stands, in the order of `patches`."""
    slot: Bool[Tensor, "batch seq"]
    """True where the slot stands: the same number of positions in every row, or none."""
    pixel_values: Float[Tensor, "patch dim"] | None = None
    """All read pictures of the batch as patches, in the order of the backbone's image processor."""
    image_grid_thw: Int[Tensor, "picture 3"] | None = None
    """Frames, rows and columns of patches of each read picture."""
    target: Float[Tensor, "batch channel height width"] | None = None
    """Features of the image to generate."""
    reference: Float[Tensor, "batch channel height width"] | None = None
    """Features of the newest picture before the slot; zeros where a row has none."""
    referenced: Bool[Tensor, " batch"] | None = None
    """Whether the row has such a picture."""
    segments: Int[Tensor, "batch seq"] | None = None
    """Where a row holds several conversations that do not see each other: a number for each, -1 at padding."""

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        moved = {
            field.name: value.to(device) for field in fields(self) if (value := getattr(self, field.name)) is not None
        }
        return replace(self, **moved)
