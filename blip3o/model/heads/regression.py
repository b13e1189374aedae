"""The regression head: learned queries whose hidden states are mapped straight to features.

Source: BLIP3-o, arXiv 2505.09568, section 3.2 (CLIP + MSE). It answers with the mean of all images a prompt allows: no
noise enters, so every seed gives the same image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from blip3o.config import check, sizes
from blip3o.flow.sampler import start
from blip3o.model.heads.head import Head, HeadSizes, HeadState, Prompts, Reference, SlotInputs
from blip3o.model.layers.sampling import Sampling
from blip3o.model.loss import WeightedLoss


@dataclass(frozen=True, kw_only=True)
class RegressionHeadConfig(HeadSizes):
    """A position of the slot for each of the features."""

    kind: Literal["regression"] = "regression"
    with_reference: bool = True
    """Whether the picture of an edit is added to the features; where not, the map for it is there and unused."""

    def __post_init__(self) -> None:
        length, filled = self.slot_length, self.side**2
        check(
            *sizes(self),
            (length == filled, f"slot is {length} positions but the head fills {filled}: set slot_length={filled}"),
        )


class RegressionHead(Head):
    """Learned queries fill the slot; one linear map turns their hidden states, each into a feature."""

    def __init__(self, config: RegressionHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.queries = nn.Parameter(torch.randn(config.slot_length, config.width) * 0.02)
        self.project = nn.Linear(config.width, config.channels)
        self.refer = nn.Linear(config.channels, config.channels)

    def fill(
        self,
        data: Float[Tensor, "batch channel height width"],
        reference: Reference | None,
        rngs: Sequence[Generator],
    ) -> SlotInputs:
        """The queries; nothing is drawn."""
        keep = torch.ones(len(data), dtype=torch.bool, device=data.device)
        return SlotInputs(slot=self.queries.expand(len(data), -1, -1), data=data, reference=reference, keep=keep)

    def features(
        self, hidden: Float[Tensor, "batch slot hidden"], reference: Reference | None
    ) -> Float[Tensor, "batch channel height width"]:
        """The features that the hidden states stand for."""
        side = self.config.side
        features = self.project(hidden)
        if reference is not None and self.config.with_reference:
            features = features + self.refer(
                reference.features.flatten(2).mT.to(features.dtype)
            ) * reference.present.view(-1, 1, 1)
        return features.mT.unflatten(-1, (side, side))

    def forward(self, hidden: Float[Tensor, "batch slot hidden"], inputs: SlotInputs) -> WeightedLoss:
        """Mean squared error of the features."""
        guess = self.features(hidden, inputs.reference).float()
        return WeightedLoss.of_rows((guess - inputs.data).square().flatten(1).mean(1))

    def start(
        self,
        prompts: Prompts,
        reference: Reference | None,
        rngs: Sequence[Generator],
        samplings: Sequence[Sampling],
    ) -> HeadState:
        """The features, with no step to take; `samplings` change nothing."""
        features = self.features(prompts(self.queries.expand(len(rngs), -1, -1)), reference)
        arrived = start(features, [torch.ones(1)] * len(rngs))
        return HeadState(sampler=arrived, samplings=tuple(samplings))

    def step(self, state: HeadState) -> HeadState:
        """Nothing remains to be done."""
        return state
