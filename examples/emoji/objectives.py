"""The objective that the emoji need beside those of the package: a vision tower that knows names."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from blip3o.data.address import StepAddresses
from blip3o.model.loss import WeightedLoss
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.objectives.objective import LoadedStep, NamedLosses, Objective, ObjectiveConfig, PictureBatch
from examples.emoji.source import EmojiSource, balanced

TEMPERATURE = 0.05
"""Of the cosines between pictures and names."""
STYLE_WEIGHT = 0.3
SMOOTHING = 0.05
"""Share of the other names in what is to be said."""


@dataclass(frozen=True, kw_only=True)
class NameTowerConfig(ObjectiveConfig):
    """A vision tower by itself."""

    kind: Literal["examples.emoji.objectives:NameTower"] = "examples.emoji.objectives:NameTower"


class NameTower(Objective):
    """The backbone's vision tower alone, before a language model listens to it: the tokens of a picture point, in their
    mean, where the name points, the mean of its tokens' embeddings, against all other names; and, a little, where its
    style points. Of names alone the tower would learn to look past the style.

    Source: the contrastive loss of CLIP, arXiv 2103.00020, with all names in place of those of the batch.
    """

    names = ("contrast", "style")
    config: NameTowerConfig
    source: EmojiSource
    ids: Tensor
    style_ids: Tensor

    def __init__(self, config: NameTowerConfig, pipeline: Pipeline, source: EmojiSource) -> None:
        super().__init__(config, pipeline, source)
        self.called = sorted({record.called for record in source.records})
        self.styles = sorted({record.style for record in source.records})
        self.register_buffer("ids", self.tokens(self.called))
        self.register_buffer("style_ids", self.tokens(self.styles))

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

    def seen(self, batch: PictureBatch) -> PictureBatch:
        """The batch with pictures of cells in place of those of its indices."""
        numbers = [balanced(self.source.cells, index) for index in batch.indices]
        rngs = map(random.Random, batch.addresses)
        return replace(batch, indices=numbers, pictures=[*map(self.source.seen, numbers, rngs)])

    def losses(self, batch: PictureBatch) -> NamedLosses:
        """Cross-entropy of names and of styles."""
        backbone, numbers = self.pipeline.unified.backbone, batch.indices
        pixel_values, image_grid_thw = self.pipeline.template.pixel_values([*batch.pictures])
        tokens = backbone.encode_images(pixel_values.to(self.device), image_grid_thw.to(self.device))
        shown = F.normalize(tokens.unflatten(0, (len(numbers), -1)).float().mean(1), dim=-1)
        records = [self.source.records[number] for number in numbers]
        names = [self.called.index(record.called) for record in records]
        styles = [self.styles.index(record.style) for record in records]
        return {
            "contrast": self.contrast(shown, self.ids, names),
            "style": self.contrast(shown, self.style_ids, styles),
        }

    def contrast(
        self, shown: Float[Tensor, "batch hidden"], ids: Int[Tensor, "text token"], right: Sequence[int]
    ) -> WeightedLoss:
        """Cross-entropy of the right text of each row among all, by the cosines with their mean embeddings."""
        embeddings = self.pipeline.unified.backbone.embed(ids.clamp(min=0)).float() * (ids >= 0)[..., None]
        logits = shown @ F.normalize(embeddings.sum(1), dim=-1).T / TEMPERATURE
        wanted = torch.tensor(right).to(self.device)
        return WeightedLoss.of_rows(F.cross_entropy(logits, wanted, reduction="none", label_smoothing=SMOOTHING))
