"""Prompts that the backbone has read once, to run the slots of images after them as often as a head asks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from blip3o.batch import Batch
from blip3o.model.backbones.backbone import Backbone, Cache, PromptStates, visible_pairs


class ReadBatch:
    """The prompts of a batch (padded on the left, so that all end in their slot), up to their slots."""

    def __init__(
        self, backbone: Backbone, batch: Batch, embeddings: Float[Tensor, "batch seq hidden"], *, both_sides: bool
    ) -> None:
        """`both_sides`: whether the positions of a slot see each other."""
        length = int(batch.slot[0].sum())
        assert batch.slot[:, -length:].all(), "every row must end in its slot"
        before = batch.mask.shape[1] - length
        self.backbone, self.batch, self.both_sides = backbone, batch, both_sides
        self.cache: Cache = backbone.new_cache()
        backbone(embeddings[:, :before], batch.mask[:, :before], self.cache)
        self._states: tuple[tuple[int, ...], PromptStates] | None = None

    def __call__(
        self, rows: Sequence[int], slot: Float[Tensor, "image slot hidden"], *, unasked: bool = False
    ) -> Float[Tensor, "image slot hidden"]:
        """The hidden states of the slots of these rows; `unasked`, they do not see their prompts."""
        mask, chosen = self.batch.mask, list(rows)
        if not self.both_sides:
            assert not unasked, "a slot that is read in order has no side without its prompt"
            return self.backbone(slot, mask[chosen], self.backbone.branch(self.cache, rows))
        alone = mask.new_full((len(chosen),), unasked)
        visible = visible_pairs(mask[chosen], slot.shape[1], self.batch.slot[chosen], alone=alone)
        return self.backbone(slot, mask[chosen], self._of(tuple(rows)), visible=visible, of_images=True)

    def _of(self, rows: tuple[int, ...]) -> PromptStates:
        """The prompts of these rows, kept for the next step of the same."""
        if self._states is None or self._states[0] != rows:
            self._states = (rows, PromptStates.of(self.cache, rows))
        return self._states[1]


@dataclass(frozen=True, kw_only=True)
class ReadPrompts:
    """The prompts of images: for each, the batch that it was read in, and its row there."""

    places: tuple[tuple[ReadBatch, int], ...]
    apart: bool = False
    """Whether each slot runs by itself, so that its company changes no bit of it; else those of a batch together."""

    def __call__(
        self, slot: Float[Tensor, "image slot hidden"], *, unasked: bool = False
    ) -> Float[Tensor, "image slot hidden"]:
        """As `Prompts` says."""
        done: dict[int, Tensor] = {}
        for images in self._groups():
            batch, rows = self.places[images[0]][0], [self.places[image][1] for image in images]
            hidden = batch(rows, slot[images], unasked=unasked)
            done |= dict(zip(images, hidden, strict=True))
        return torch.stack([done[image] for image in range(len(self.places))])

    def select(self, rows: Sequence[int]) -> "ReadPrompts":
        """The prompts of these images."""
        return replace(self, places=tuple(self.places[row] for row in rows))

    def join(self, other: "ReadPrompts") -> "ReadPrompts":
        """Those of both."""
        return replace(self, places=self.places + other.places)

    def _groups(self) -> list[list[int]]:
        """The images that run together."""
        if self.apart:
            return [[image] for image in range(len(self.places))]
        groups: dict[int, list[int]] = {}
        for image, (batch, _) in enumerate(self.places):
            groups.setdefault(id(batch), []).append(image)
        return [*groups.values()]
