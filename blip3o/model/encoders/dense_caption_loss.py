"""The words' side of image-text training: an encoder's features learn what stands where; then it is dropped.

A phrase that names a place in the picture ("top left") looks at the features and answers with the words for that
place ("red dog"). Words that belong to places teach an encoder more per picture than one caption for the whole.

    (1)  loss = -mean over places of mean over the answer's words of log p(word | place, features)

Source: in the spirit of LocCa, arXiv 2403.19596 (location-aware captioning), with bags of words in place of sequences.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blip3o.model.loss import WeightedLoss


@dataclass(frozen=True, kw_only=True)
class DenseCaptionConfig:
    """Sizes: words of the answers, places to describe, and channels and positions of the features."""

    vocabulary: int
    places: int
    channels: int
    positions: int
    width: int = 128


class DenseCaptionLoss(nn.Module):
    """Image features -> log-probabilities of the words for each place -> the loss of equation (1)."""

    def __init__(self, config: DenseCaptionConfig) -> None:
        super().__init__()
        width = config.width
        self.place = nn.Parameter(torch.randn(config.places, width))
        self.position = nn.Parameter(torch.randn(config.positions, width) * 0.5)
        self.project = nn.Linear(config.channels, width)
        self.look = nn.MultiheadAttention(width, 4, batch_first=True)
        self.answer = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, config.vocabulary)
        )

    def forward(
        self,
        features: Float[Tensor, "batch channel height width"],
        shares: Float[Tensor, "batch place vocabulary"],
    ) -> WeightedLoss:
        """The loss; `shares` of each word in the answer for a place sum to 1; a row weighs 1."""
        seen = self.project(features.flatten(2).mT)
        places = self.place.expand(len(features), -1, -1)
        answers, _ = self.look(places, seen + self.position, seen, need_weights=False)
        logs = self.answer(answers).float().log_softmax(-1)
        return WeightedLoss.of_rows(-(shares * logs).sum(-1).mean(-1))
