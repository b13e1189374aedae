"""The decoder alone, on features computed once."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from blip3o.config import check
from blip3o.data.sources.source import Source
from blip3o.flow.noise import draw_noise
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train.features import encode_once
from blip3o.train.objectives.objective import NamedLosses, Objective, ObjectiveConfig, PictureBatch


@dataclass(frozen=True, kw_only=True)
class DecoderObjectiveConfig(ObjectiveConfig):
    """Pictures from their noised features."""

    kind: Literal["decoder"] = "decoder"
    feature_noise: float = 0.0
    """Deviation of the noise laid on features before they are decoded: generated features need not be perfect, then."""

    def __post_init__(self) -> None:
        check((self.feature_noise >= 0, f"feature_noise is {self.feature_noise}, expected 0 or more"))


class DecoderObjective(Objective):
    """The decoder's own loss."""

    names = ("paint",)
    config: DecoderObjectiveConfig

    def __init__(self, config: DecoderObjectiveConfig, pipeline: Pipeline, source: Source) -> None:
        super().__init__(config, pipeline, source)
        encode_once(pipeline, source)

    def losses(self, batch: PictureBatch) -> NamedLosses:
        """The decoder's loss on noised features [batch, channel, rows, columns]; its name is that in older journals."""
        known = np.stack([picture.features for picture in batch.pictures])  # pyright: ignore[reportCallIssue, reportArgumentType]
        features, rngs = torch.from_numpy(known).float(), batch.rngs
        noised = features + self.config.feature_noise * draw_noise(features.shape[1:], rngs)
        return {"paint": self.pipeline.space.decoder(noised.to(self.device), batch.pixels, rngs)}
