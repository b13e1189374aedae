"""The flow head of BLIP3-o: learned queries run once, and a diffusion transformer flows from noise to features.

Source: BLIP3-o, arXiv 2505.09568, section 3.2 (CLIP + flow matching).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from blip3o.config import check, sizes
from blip3o.flow.noise import draw_noise, draw_uniform
from blip3o.flow.path import point, velocity
from blip3o.flow.sampler import start
from blip3o.flow.time import cut, dimension_shift, draw_times, solver_times
from blip3o.model.heads.head import Head, HeadSizes, HeadState, Prompts, Reference, SlotInputs, guided_step
from blip3o.model.layers.denoiser import Denoiser
from blip3o.model.layers.sampling import Sampling
from blip3o.model.loss import WeightedLoss


@dataclass(frozen=True, kw_only=True)
class FlowHeadConfig(HeadSizes):
    """How it is trained, and what guidance turns away from."""

    kind: Literal["flow"] = "flow"
    denoises: ClassVar[bool] = True
    shift: float | Literal["auto"] = 1.0
    """Shift of training and solver times towards noise (flow/time.py); `auto` is what the size of the features asks for
    by its equation (2), at the published sizes 5.3."""
    dropout: float = 0.1
    """Proportion of training conditions set to zero, so that guidance has a null to start from."""
    null_scale: float = 0.0
    """What guidance leaves of the condition on its null side: 0 forgets the prompt, more only makes it faint."""
    time_parts: int = 0
    """Parts of the time that the denoiser distinguishes when it samples (flow/time.py, `cut`); 0 is all."""
    draws: int = 1
    """Noise draws per condition in one training step; conditions cost more than draws."""

    def __post_init__(self) -> None:
        check(
            *sizes(self, "time_parts"),
            (self.time_parts >= 0, f"time_parts is {self.time_parts}, expected 0 or more"),
            (self.shift == "auto" or self.shift > 0, f"shift is {self.shift}, expected more than 0"),
            (0 <= self.dropout <= 1, f"dropout is {self.dropout}, expected 0 to 1"),
            (0 <= self.null_scale < 1, f"null_scale is {self.null_scale}, expected 0 or more and less than 1"),
        )

    @property
    def time_shift(self) -> float:
        """The shift as a number."""
        return dimension_shift(self.channels * self.side**2) if self.shift == "auto" else self.shift


class FlowHead(Head):
    """Learned queries fill the slot; their hidden states condition the denoiser."""

    options = frozenset({"steps", "guidance", "solver", "guided_from", "guided_until"})

    def __init__(self, config: FlowHeadConfig, denoiser: Callable[[], Denoiser]) -> None:
        super().__init__()
        self.config = config
        self.queries = nn.Parameter(torch.randn(config.slot_length, config.width) * 0.02)
        self.denoiser = denoiser()

    def fill(
        self,
        data: Float[Tensor, "batch channel height width"],
        reference: Reference | None,
        rngs: Sequence[Generator],
    ) -> SlotInputs:
        """The queries, and `draws` noised versions of the features, one whole batch after the other."""
        draws, shift = range(self.config.draws), self.config.time_shift
        return SlotInputs(
            slot=self.queries.expand(len(data), -1, -1),
            data=data,
            reference=reference,
            keep=(draw_uniform(rngs) >= self.config.dropout).to(data.device),
            noise=torch.cat([draw_noise(data.shape[1:], rngs) for _ in draws]).to(data.device),
            time=torch.cat([draw_times(shift, rngs) for _ in draws]).to(data.device),
        )

    def forward(self, hidden: Float[Tensor, "batch slot hidden"], inputs: SlotInputs) -> WeightedLoss:
        """Mean squared error of the velocity, the mean over the draws."""
        assert inputs.noise is not None
        assert inputs.time is not None
        draws = len(inputs.noise) // len(inputs.data)
        data = inputs.data.repeat(draws, 1, 1, 1)
        reference = inputs.reference
        guess = self.denoiser(
            point(data, inputs.noise, inputs.time),
            inputs.time,
            hidden * inputs.keep.view(-1, 1, 1),
            None if reference is None else reference.features.repeat(draws, 1, 1, 1),
            None if reference is None else reference.present.repeat(draws),
        )
        error = (guess.float() - velocity(data, inputs.noise)).square().flatten(1).mean(1)
        return WeightedLoss.of_rows(error.view(draws, -1).mean(0))

    def start(
        self,
        prompts: Prompts,
        reference: Reference | None,
        rngs: Sequence[Generator],
        samplings: Sequence[Sampling],
    ) -> HeadState:
        """Run the backbone once and draw the noise; where there is guidance, its null side is conditioned as well."""
        hidden, config = prompts(self.queries.expand(len(rngs), -1, -1)), self.config
        sides = 1 if all(sampling.guidance == 1 for sampling in samplings) else 2
        times = [solver_times(sampling.steps, config.time_shift) for sampling in samplings]
        field_times = [cut(row, config.time_parts) for row in times] if config.time_parts else None
        noise = draw_noise((config.channels, config.side, config.side), rngs).to(hidden)
        return HeadState(
            sampler=start(noise, times, field_times),
            samplings=tuple(samplings),
            condition=self.denoiser.condition(torch.cat([hidden, hidden * config.null_scale][:sides])),
            reference=reference,
            sides=sides,
        )

    def step(self, state: HeadState) -> HeadState:
        """Follow the velocity; rows of one state have one solver."""
        return guided_step(
            state,
            lambda x, time: self._velocity(state, x, time),
            lambda x, time: self._velocity(state, x.repeat(2, 1, 1, 1), time.repeat(2)),
        )

    def _velocity(
        self, state: HeadState, x: Float[Tensor, "rows channel height width"], time: Float[Tensor, " rows"]
    ) -> Float[Tensor, "rows channel height width"]:
        """Of the prompts alone, or of the prompts and after them of the null sides."""
        assert state.condition is not None
        condition, reference = state.condition.select(slice(len(x))), state.reference
        if reference is None:
            return self.denoiser(x, time, condition)
        sides = len(x) // len(reference.present)
        features = reference.features.repeat(sides, 1, 1, 1)
        return self.denoiser(x, time, condition, features, reference.present.repeat(sides))
