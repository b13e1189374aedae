"""The objective that the emoji need beside those of the package: a vision tower that knows names."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from blip3o.data.address import StepAddresses
from blip3o.model.loss import WeightedLoss
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.conversation import Picture
from blip3o.train.objectives.objective import LoadedStep, NamedLosses, Objective, ObjectiveConfig, PictureBatch
from examples.emoji.source import EmojiSource, balanced

TEMPERATURE = 0.05
"""Of the cosines between pictures and names."""
STYLE_WEIGHT = 0.3
SMOOTHING = 0.05
"""Share of the other names in what is to be said."""
MIXING = 0.4
"""Both parameters of the beta distribution of the share that each of two pictures has in one."""


@dataclass(frozen=True, kw_only=True)
class NameTowerConfig(ObjectiveConfig):
    """A vision tower by itself."""

    kind: Literal["examples.emoji.objectives:NameTower"] = "examples.emoji.objectives:NameTower"


class NameTower(Objective):
    """The backbone's vision tower alone, before a language model listens to it: the tokens of a picture point, in their
    mean, where the name points, the mean of its tokens' embeddings, against all other names; and, a little, where its
    style points. Of names alone the tower would learn to look past the style.

    Each picture has some of another in it, all over or in a band, and points to the names of both by their shares: what
    so few pictures look like by themselves is soon known by heart.

    Source: the contrastive loss of CLIP, arXiv 2103.00020, with all names in place of those of the batch; mixup,
    arXiv 1710.09412, eq. 1, and CutMix, arXiv 1905.04899, eq. 1.
    """

    names = ("contrast", "style")
    config: NameTowerConfig
    source: EmojiSource
    ids: Tensor
    style_ids: Tensor
    name_of: Tensor
    style_of: Tensor

    def __init__(self, config: NameTowerConfig, pipeline: Pipeline, source: EmojiSource) -> None:
        super().__init__(config, pipeline, source)
        self.called = sorted({record.called for record in source.records})
        self.styles = sorted({record.style for record in source.records})
        self.register_buffer("ids", self.tokens(self.called))
        self.register_buffer("style_ids", self.tokens(self.styles))
        self.register_buffer("name_of", torch.tensor([self.called.index(one.called) for one in source.records]))
        self.register_buffer("style_of", torch.tensor([self.styles.index(one.style) for one in source.records]))

    def tokens(self, texts: Sequence[str]) -> Int[Tensor, "text token"]:
        """The tokens of each text, -1 after its end."""
        tokens = [self.pipeline.template.words.encode(text) for text in texts]
        longest = max(map(len, tokens))
        return torch.tensor([[*row, *[-1] * (longest - len(row))] for row in tokens])

    @property
    def factors(self) -> Mapping[str, float]:
        """Names are many, styles few."""
        return {"style": STYLE_WEIGHT}

    def load(self, step: StepAddresses, rows: int = 0) -> LoadedStep:
        """Pictures of all cells alike, changed as they are where they are read; that takes as long as the tower, so the
        threads that load do it."""
        loaded = super().load(step, rows)
        return replace(loaded, batches=[self.seen(batch) for batch in loaded.batches])

    def seen(self, batch: PictureBatch) -> "MixedBatch":
        """The batch with pictures of cells in place of those of its indices, in each of which is some of another."""
        mixed = [self.mixed(*one) for one in zip(batch.indices, batch.addresses, strict=True)]
        pictures, names, shares = zip(*mixed, strict=True)
        return MixedBatch(
            addresses=batch.addresses,
            indices=batch.indices,
            pictures=pictures,
            images=batch.images,
            numbers=torch.tensor(names),
            shares=torch.tensor(shares),
        )

    def mixed(self, index: int, address: str) -> tuple[Picture, tuple[int, int], float]:
        """The picture of a cell with some of another's, the numbers of both, and the share of the first."""
        rng = random.Random(address)
        own = balanced(self.source.cells, index)
        other = self.source.cells[rng.randrange(len(self.source.cells))][0]
        pixels, share = mix(self.source.seen(own, rng).pixels, self.source.pixels[other], rng)
        return Picture(pixels), (own, other), share

    def losses(self, batch: "MixedBatch") -> NamedLosses:
        """Cross-entropy of names and of styles."""
        backbone = self.pipeline.unified.backbone
        pixel_values, image_grid_thw = self.pipeline.template.pixel_values([*batch.pictures])
        tokens = backbone.encode_images(pixel_values.to(self.device), image_grid_thw.to(self.device))
        shown = F.normalize(tokens.unflatten(0, (len(batch.pictures), -1)).float().mean(1), dim=-1)
        return {
            "contrast": self.contrast(shown, self.ids, self.name_of[batch.numbers], batch.shares),
            "style": self.contrast(shown, self.style_ids, self.style_of[batch.numbers], batch.shares),
        }

    def contrast(
        self,
        shown: Float[Tensor, "batch hidden"],
        ids: Int[Tensor, "text token"],
        right: Int[Tensor, "batch 2"],
        shares: Float[Tensor, " batch"],
    ) -> WeightedLoss:
        """Cross-entropy, by the cosines with the mean embeddings of all texts, of the two right ones of each row: the
        first by its share, the second by the rest."""
        embeddings = self.pipeline.unified.backbone.embed(ids.clamp(min=0)).float() * (ids >= 0)[..., None]
        logits = shown @ F.normalize(embeddings.sum(1), dim=-1).T / TEMPERATURE
        wanted = (F.one_hot(right, len(ids)) * torch.stack([shares, 1 - shares], 1)[..., None]).sum(1)
        return WeightedLoss.of_rows(F.cross_entropy(logits, wanted, reduction="none", label_smoothing=SMOOTHING))


@dataclass(frozen=True, kw_only=True)
class MixedBatch(PictureBatch):
    """Pictures in each of which is something of another."""

    numbers: Int[Tensor, "batch 2"]
    """In the source, of the picture itself and of the other."""
    shares: Float[Tensor, " batch"]
    """Of a picture that is its own, 0.5 to 1."""

    def to(self, device: torch.device) -> "MixedBatch":
        """The same with its tensors on another device."""
        moved = {"numbers": self.numbers.to(device), "shares": self.shares.to(device)}
        return replace(self, images=self.images.to(device, non_blocking=True), **moved)


def mix(
    picture: UInt8[np.ndarray, "height width 3"], other: UInt8[np.ndarray, "height width 3"], rng: random.Random
) -> tuple[UInt8[np.ndarray, "height width 3"], float]:
    """A picture with another blended into it or, half the time, with a band of its columns; and what is its own."""
    share = rng.betavariate(MIXING, MIXING)
    share, width = max(share, 1 - share), picture.shape[1]
    if rng.random() < 0.5:
        return (share * picture + (1 - share) * other).round().astype(np.uint8), share
    columns = round((1 - share) * width)
    left, mixed = rng.randint(0, width - columns), picture.copy()
    mixed[:, left : left + columns] = other[:, left : left + columns]
    return mixed, 1 - columns / width
