"""Batch: the one type that crosses from data to model."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

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
    condition: Float[Tensor, "batch slot hidden"] | None = None
    """Hidden states of the slot, where they were computed before: for networks in front of the denoiser that are
    frozen. Nothing runs in front of it then, so that tokens, labels and pictures count for nothing."""
    segments: Int[Tensor, "batch seq"] | None = None
    """Where a row holds several conversations that do not see each other: a number for each, -1 at padding."""

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device, but for the grid, which is read on the host."""
        moved = {
            field.name: value.to(device, non_blocking=True)
            for field in fields(self)
            if field.name != "image_grid_thw" and (value := getattr(self, field.name)) is not None
        }
        return replace(self, **moved)


@dataclass(frozen=True, kw_only=True)
class LabelledAnswers:
    """The unbroken runs of labelled tokens in a batch."""

    rows: Int[Tensor, " labelled"]
    places: Int[Tensor, " labelled"]
    """Where the token before each labelled one stands: its row, and its position there."""
    tokens: Int[Tensor, " labelled"]
    """The labelled tokens themselves."""
    answer: Int[Tensor, " labelled"]
    """The answer that each belongs to, counted through the batch."""
    weights: Float[Tensor, " answer"]
    """The root of the length of each."""

    @classmethod
    def of(cls, labels: Int[Tensor, "batch seq"]) -> "LabelledAnswers":
        """Those of a batch's labels; reads them, for which a device would be waited for."""
        padded = F.pad(labels[:, 1:] != IGNORED, (1, 0))
        starts = (padded[:, 1:] & ~padded[:, :-1]).flatten().cumsum(0)  # answers that start up to each token
        rows, places = padded[:, 1:].nonzero(as_tuple=True)
        answer = starts.view(len(labels), -1)[rows, places] - 1
        weights = answer.bincount().sqrt()
        return cls(rows=rows, places=places, tokens=labels[rows, places + 1], answer=answer, weights=weights)


@dataclass(frozen=True, kw_only=True)
class BatchPlaces:
    """Where in a batch that a network learns from stands what: found before the batch is moved to its device, for which
    no step waits, then."""

    answers: LabelledAnswers
    seen: Int[Tensor, " seen"]
    """The tokens of read pictures, in order, counted through all positions of the batch."""
    slots: Int[Tensor, " slots"]
    """The positions of the slots, counted alike."""
    slot_length: int
    """Of a row; 0 where there is no slot."""
    ends_in_slot: bool
    """Whether every row ends in its slot, without padding behind it."""
    is_padded: bool

    @classmethod
    def of(cls, batch: Batch) -> "BatchPlaces":
        """Those of a batch."""
        slots = batch.slot.flatten().nonzero()[:, 0]
        length = len(slots) // len(batch.slot)
        return cls(
            answers=LabelledAnswers.of(batch.labels),
            seen=batch.image_mask.flatten().nonzero()[:, 0],
            slots=slots,
            slot_length=length,
            ends_in_slot=length > 0 and bool(batch.slot[:, -length:].all()),
            is_padded=not batch.mask.all(),
        )

    def to(self, device: torch.device | str) -> "BatchPlaces":
        """The same on another device."""
        answers = {name: value.to(device, non_blocking=True) for name, value in vars(self.answers).items()}
        seen, slots = (value.to(device, non_blocking=True) for value in (self.seen, self.slots))
        return replace(self, answers=LabelledAnswers(**answers), seen=seen, slots=slots)
