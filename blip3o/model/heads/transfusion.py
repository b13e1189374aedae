"""The Transfusion head: the backbone itself denoises the features, which stand in its slot.

No queries and no diffusion transformer: a position of the slot holds one noised feature and the time, sees the prompt
and all of the slot, and its hidden state is mapped to the velocity. The prompt, which sees nothing of this, is read
once for all steps. With a backbone that has `image_experts` it is LMFusion: the slot then has copies of every layer's
weights of its own, and those of words may stay as they were.

Source: Transfusion, arXiv 2408.11039, sections 3.1 to 3.4; LMFusion, arXiv 2412.15188, section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from blip3o.config import check, sizes
from blip3o.flow.noise import draw_noise, draw_uniform
from blip3o.flow.path import point, velocity
from blip3o.flow.sampler import start
from blip3o.flow.time import dimension_shift, draw_times, solver_times
from blip3o.model.heads.head import Head, HeadSizes, HeadState, Prompts, Reference, SlotInputs, guided_step
from blip3o.model.layers.sampling import Sampling
from blip3o.model.layers.time_embedding import TimeEmbedding
from blip3o.model.loss import WeightedLoss

TIME_SCALE, WAVES = 1000.0, 256
"""What a time from 0 to 1 is multiplied by before it is embedded, and by how many waves it is."""


@dataclass(frozen=True, kw_only=True)
class TransfusionHeadConfig(HeadSizes):
    """How it is trained; a position of the slot for each of the features."""

    kind: Literal["transfusion"] = "transfusion"
    repeats: ClassVar[bool] = True
    shift: float | Literal["auto"] = 1.0
    """Shift of training and solver times towards noise (flow/time.py); `auto` is what the size of the features asks for
    by its equation (2)."""
    dropout: float = 0.1
    """Proportion of training slots that do not see their prompts, so that guidance has a null to start from."""
    with_reference: bool = True
    """Whether the picture of an edit is added to the features; where not, the map for it is there and unused."""

    def __post_init__(self) -> None:
        length, filled = self.slot_length, self.side**2
        check(
            *sizes(self),
            (length == filled, f"slot is {length} positions but the head fills {filled}: set slot_length={filled}"),
            (self.shift == "auto" or self.shift > 0, f"shift is {self.shift}, expected more than 0"),
            (0 <= self.dropout <= 1, f"dropout is {self.dropout}, expected 0 to 1"),
        )

    @property
    def time_shift(self) -> float:
        """The shift as a number."""
        return dimension_shift(self.channels * self.side**2) if self.shift == "auto" else self.shift


class TransfusionHead(Head):
    """Linear maps into the slot and out of it."""

    attention = "bidirectional"
    options = frozenset({"steps", "guidance", "solver", "guided_from", "guided_until"})

    def __init__(self, config: TransfusionHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Linear(config.channels, config.width)
        self.refer = nn.Linear(config.channels, config.width)
        self.places = nn.Parameter(torch.randn(config.slot_length, config.width) * 0.02)
        self.time = TimeEmbedding(WAVES, config.width)
        self.leave = nn.Linear(config.width, config.channels)

    def slot(
        self,
        x: Float[Tensor, "batch channel height width"],
        time: Float[Tensor, " batch"],
        reference: Reference | None,
    ) -> Float[Tensor, "batch slot hidden"]:
        """What fills the slots: noised features, their places, the time, and the picture of an edit."""
        slot = self.enter(x.flatten(2).mT) + self.places + self.time(TIME_SCALE * time)[:, None]
        if reference is None or not self.config.with_reference:
            return slot
        return slot + self.refer(reference.features.flatten(2).mT.to(slot.dtype)) * reference.present.view(-1, 1, 1)

    def velocity(self, hidden: Float[Tensor, "batch slot hidden"]) -> Float[Tensor, "batch channel height width"]:
        """The velocity that hidden states of the slot stand for."""
        return self.leave(hidden).mT.unflatten(-1, (self.config.side, self.config.side))

    def fill(
        self,
        data: Float[Tensor, "batch channel height width"],
        reference: Reference | None,
        rngs: Sequence[Generator],
    ) -> SlotInputs:
        """Noised features."""
        keep = (draw_uniform(rngs) >= self.config.dropout).to(data.device)
        noise = draw_noise(data.shape[1:], rngs).to(data.device)
        time = draw_times(self.config.time_shift, rngs).to(data.device)
        slot = self.slot(point(data, noise, time), time, reference)
        return SlotInputs(slot=slot, data=data, reference=reference, keep=keep, noise=noise, time=time)

    def forward(self, hidden: Float[Tensor, "batch slot hidden"], inputs: SlotInputs) -> WeightedLoss:
        """Mean squared error of the velocity."""
        assert inputs.noise is not None
        error = self.velocity(hidden).float() - velocity(inputs.data, inputs.noise)
        return WeightedLoss.of_rows(error.square().flatten(1).mean(1))

    def start(
        self,
        prompts: Prompts,
        reference: Reference | None,
        rngs: Sequence[Generator],
        samplings: Sequence[Sampling],
    ) -> HeadState:
        """The noise; nothing runs yet."""
        config = self.config
        times = [solver_times(sampling.steps, config.time_shift) for sampling in samplings]
        noise = draw_noise((config.channels, config.side, config.side), rngs).to(self.places)
        sides = 1 if all(sampling.guidance == 1 for sampling in samplings) else 2
        return HeadState(
            sampler=start(noise, times),
            samplings=tuple(samplings),
            reference=reference,
            sides=sides,
            prompts=prompts,
        )

    def step(self, state: HeadState) -> HeadState:
        """Follow the velocity, for which the backbone runs over the slots."""
        prompts = state.prompts
        assert prompts is not None

        def of_prompts(
            x: Float[Tensor, "batch channel height width"], time: Float[Tensor, " batch"]
        ) -> Float[Tensor, "batch channel height width"]:
            return self.velocity(prompts(self.slot(x, time, state.reference)))

        def of_both(
            x: Float[Tensor, "batch channel height width"], time: Float[Tensor, " batch"]
        ) -> Float[Tensor, "both channel height width"]:
            slot = self.slot(x, time, state.reference)
            return self.velocity(torch.cat([prompts(slot), prompts(slot, unasked=True)]))

        return guided_step(state, of_prompts, of_both)
