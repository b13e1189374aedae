"""The slot's protocol: an image to be generated is a run of positions, and only the head knows what stands there."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from blip3o.flow.guidance import guided
from blip3o.flow.sampler import SOLVERS, SamplerState
from blip3o.model.layers.denoiser import Condition
from blip3o.model.layers.sampling import Sampling
from blip3o.model.loss import WeightedLoss

VelocityOf = Callable[[Tensor, Tensor], Tensor]
"""(x [batch, channel, height, width], time [batch]) -> velocity: of the prompts, or of both sides, theirs first."""


@runtime_checkable
class Prompts(Protocol):
    """Prompts that the backbone has read, one for each image: its slots may follow as often as a head asks."""

    def __call__(
        self, slot: Float[Tensor, "image slot hidden"], *, unasked: bool = False
    ) -> Float[Tensor, "image slot hidden"]:
        """The hidden states of what fills the slots; `unasked`, they do not see their prompts, which is for heads whose
        slots see themselves on both sides alone."""
        ...

    def select(self, rows: Sequence[int]) -> "Prompts":
        """The prompts of these images; one may be taken more than once."""
        ...

    def join(self, other: "Prompts") -> "Prompts":
        """Those of both, those of `other` last."""
        ...


@dataclass(frozen=True, kw_only=True)
class HeadSizes:
    """The slot and the features, of which every head knows the sizes."""

    denoises: ClassVar[bool] = False
    """Whether it works through a denoiser, whose config then stands beside its own."""
    repeats: ClassVar[bool] = False
    """Whether the backbone runs in every solver step, for the slot holds what the step begins with."""
    slot_length: int
    """Positions of the slot."""
    width: int
    """Width of the backbone's hidden states."""
    channels: int
    """Channels of the features."""
    side: int
    """Rows and columns of the features."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The newest picture before the slot, which an edit starts from."""

    features: Float[Tensor, "batch channel height width"]
    present: Bool[Tensor, " batch"]
    """Whether the row has one."""

    def select(self, rows: Sequence[int]) -> "Reference":
        """The references of these rows."""
        return Reference(features=self.features[list(rows)], present=self.present[list(rows)])

    def join(self, other: "Reference") -> "Reference":
        """The rows of both, those of `other` last."""
        features, present = (self.features, other.features), (self.present, other.present)
        return Reference(features=torch.cat(features), present=torch.cat(present))

    def none(self, rows: int) -> "Reference":
        """Of as many rows that have none."""
        blank = self.features.new_zeros(rows, *self.features.shape[1:])
        return Reference(features=blank, present=self.present.new_zeros(rows))


@dataclass(frozen=True, kw_only=True)
class SlotInputs:
    """What entered the slot, and what to grade its hidden states against."""

    slot: Float[Tensor, "batch slot hidden"]
    data: Float[Tensor, "batch channel height width"]
    reference: Reference | None
    keep: Bool[Tensor, " batch"]
    """False where the condition is dropped: the head drops the hidden states, or, where it `repeats`, the slot does not
    see its prompt."""
    noise: Float[Tensor, "noised channel height width"] | None = None
    time: Float[Tensor, " noised"] | None = None


@dataclass(frozen=True, kw_only=True)
class HeadState:
    """Images on their way to their features, between two steps."""

    sampler: SamplerState
    samplings: tuple[Sampling, ...]
    """How each row is sampled."""
    condition: Condition | None = None
    """Of all rows, and after these, where there are two `sides`, of what guidance leads away from."""
    sides: int = 1
    reference: Reference | None = None
    prompts: Prompts | None = None
    """Of the rows, for a head that `repeats`."""

    @property
    def remaining(self) -> list[int]:
        """Steps that each row has to take."""
        return self.sampler.remaining

    def select(self, rows: Sequence[int]) -> "HeadState":
        """The state of these rows; one may be taken more than once."""
        count = len(self.samplings)
        both = [side + row for side in range(0, self.sides * count, count) for row in rows]
        return HeadState(
            sampler=self.sampler.select(rows),
            samplings=tuple(self.samplings[row] for row in rows),
            condition=None if self.condition is None else self.condition.select(both),
            reference=None if self.reference is None else self.reference.select(rows),
            sides=self.sides,
            prompts=None if self.prompts is None else self.prompts.select(rows),
        )

    def join(self, other: "HeadState") -> "HeadState":
        """The rows of both, those of `other` last; both have one solver, and as many sides."""
        condition, count, more = self.condition, len(self.samplings), len(other.samplings)
        if condition is not None and other.condition is not None:
            ours, theirs = range(self.sides * count), range(self.sides * count, self.sides * (count + more))
            sides = range(self.sides)
            rows = [i for side in sides for i in (*ours[side * count :][:count], *theirs[side * more :][:more])]
            condition = condition.join(other.condition).select(rows)
        return HeadState(
            sampler=self.sampler.join(other.sampler),
            samplings=self.samplings + other.samplings,
            condition=condition,
            reference=_joined(self.reference, count, other.reference, more),
            sides=self.sides,
            prompts=None if self.prompts is None or other.prompts is None else self.prompts.join(other.prompts),
        )


class Head(nn.Module, ABC):
    """Generates features in a slot: `start`, then `step` until nothing remains: the sampler's `x`."""

    attention: Literal["causal", "bidirectional"] = "causal"
    """Whether a position of the slot sees those before it in the slot, or all of them."""
    options: frozenset[str] = frozenset()
    """The fields of `Sampling` that change what it generates."""

    @abstractmethod
    def fill(
        self,
        data: Float[Tensor, "batch channel height width"],
        reference: Reference | None,
        rngs: Sequence[Generator],
    ) -> SlotInputs:
        """What enters the slot for these features, in training; what is drawn for row k comes from generator k."""

    @abstractmethod
    def forward(self, hidden: Float[Tensor, "batch slot hidden"], inputs: SlotInputs) -> WeightedLoss:
        """The loss of what came out of the slot; a row weighs 1."""

    @abstractmethod
    def start(
        self,
        prompts: Prompts,
        reference: Reference | None,
        rngs: Sequence[Generator],
        samplings: Sequence[Sampling],
    ) -> HeadState:
        """What features start from, row k by `samplings[k]` and with the noise of generator k."""

    @abstractmethod
    def step(self, state: HeadState) -> HeadState:
        """Every row one step on."""


def _joined(one: Reference | None, rows: int, other: Reference | None, more: int) -> Reference | None:
    """The references of `rows` and `more` rows, where some have one."""
    if one is None:
        return None if other is None else other.none(rows).join(other)
    return one.join(one.none(more) if other is None else other)


def guided_step(state: HeadState, of_prompts: VelocityOf, of_both: VelocityOf) -> HeadState:
    """The state one step on; rows of one state have one solver, and each its own guidance, between its own times."""
    scale = torch.tensor([sampling.guidance for sampling in state.samplings])
    scale = scale.view(-1, 1, 1, 1).to(state.sampler.x.device, non_blocking=True)

    def field(
        x: Float[Tensor, "batch channel height width"], time: Float[Tensor, " batch"], now: Sequence[float]
    ) -> Float[Tensor, "batch channel height width"]:
        guides = [_guides(*row) for row in zip(state.samplings, now, strict=True)]
        if not any(guides):
            return of_prompts(x, time)
        prompt, null = of_both(x, time).chunk(2)
        away = guided(prompt, null, scale)
        if all(guides):
            return away
        there = torch.tensor(guides).view(-1, 1, 1, 1).to(x.device, non_blocking=True)
        return torch.where(there, away, of_prompts(x, time))  # in a pass of its own size

    return replace(state, sampler=SOLVERS[state.samplings[0].solver](state.sampler, field))


def _guides(sampling: Sampling, now: float) -> bool:
    """Whether there is guidance at this time."""
    return sampling.guidance != 1 and sampling.guided_from <= now <= sampling.guided_until
