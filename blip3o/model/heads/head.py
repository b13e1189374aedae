"""The slot's protocol: an image to be imagined is a run of positions, and only the head knows what stands there."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from blip3o.model.layers.sampling import Sampling
from blip3o.model.loss import WeightedLoss

Think = Callable[[Tensor], Tensor]
"""The backbone as a function of the slot, its prompt kept: embeddings [batch, slot, hidden] -> hidden states alike."""


@dataclass(frozen=True, kw_only=True)
class HeadSizes:
    """The slot and the features, of which every head knows the sizes."""

    denoises: ClassVar[bool] = False
    """Whether it works through a denoiser, whose config then stands beside its own."""
    slot_length: int
    """Positions of the slot."""
    width: int
    """Width of the backbone's hidden states."""
    channels: int
    """Channels of the features."""
    side: int
    """Rows and columns of the features."""


@runtime_checkable
class Condition(Protocol):
    """What a denoiser keeps of a thought: computed once, used at every time."""

    def repeat(self, times: int) -> "Condition":
        """The condition for `times` copies of the batch, one after the other."""
        ...

    def first(self, rows: int) -> "Condition":
        """The condition of the first rows."""
        ...


@runtime_checkable
class Denoiser(Protocol):
    """What a flow head asks of its diffusion transformer."""

    def condition(self, thought: Float[Tensor, "batch slot hidden"]) -> Condition:
        """Take in the thought."""
        ...

    def __call__(
        self,
        x: Float[Tensor, "batch channel height width"],
        time: Float[Tensor, " batch"],
        condition: Condition,
        reference: Float[Tensor, "batch channel height width"] | None = None,
        referenced: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch channel height width"]:
        """Velocity of `x` at `time` (0 noise, 1 data)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The newest picture before the slot, which an edit starts from."""

    features: Float[Tensor, "batch channel height width"]
    given: Bool[Tensor, " batch"]
    """Whether the row has one."""


@dataclass(frozen=True, kw_only=True)
class SlotInputs:
    """What entered the slot, and what to grade its hidden states against."""

    slot: Float[Tensor, "batch slot hidden"]
    data: Float[Tensor, "batch channel height width"]
    reference: Reference | None
    keep: Bool[Tensor, " batch"]
    """False where the thought is dropped."""
    noise: Float[Tensor, "noised channel height width"] | None = None
    time: Float[Tensor, " noised"] | None = None


class Head(nn.Module, ABC):
    """Imagines features in a slot."""

    options: frozenset[str] = frozenset()
    """The fields of `Sampling` that change what it imagines."""
    causal: bool
    """Whether the slot's positions attend only to those before them."""

    @abstractmethod
    def fill(
        self,
        data: Float[Tensor, "batch channel height width"],
        reference: Reference | None,
        rngs: Sequence[Generator],
    ) -> SlotInputs:
        """What enters the slot for these features, in training; what is drawn for row k comes from generator k."""

    @abstractmethod
    def loss(self, hidden: Float[Tensor, "batch slot hidden"], inputs: SlotInputs) -> WeightedLoss:
        """Grade what came out of the slot; a row weighs 1."""

    @abstractmethod
    def sample(
        self,
        think: Think,
        reference: Reference | None,
        rngs: Sequence[Generator],
        sampling: Sampling,
    ) -> Float[Tensor, "batch channel height width"]:
        """Imagine features, row k with generator k."""
