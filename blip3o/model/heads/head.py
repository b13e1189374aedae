"""The slot's protocol: an image to be generated is a run of positions, and only the head knows what stands there."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from blip3o.config import check, sizes
from blip3o.model.layers.condition import Condition
from blip3o.model.layers.sampling import Sampling
from blip3o.model.loss import WeightedLoss

Think = Callable[[Tensor], Tensor]
"""The backbone as a function of the slot, its prompt kept: embeddings [batch, slot, hidden] -> hidden states alike."""


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Which head, and its sizes."""

    kind: str
    """A key of HEADS."""
    slot_length: int
    """Positions of the slot."""
    width: int
    """Width of the backbone's hidden states."""
    channels: int
    """Channels of the features."""
    side: int
    """Rows and columns of the features."""
    shift: float = 1.0
    """Shift of training and solver times towards noise (flow/time.py)."""
    dropout: float = 0.1
    """Share of training thoughts set to zero, so that guidance has a null to start from."""
    null_scale: float = 0.0
    """What guidance leaves of the thought on its null side: 0 forgets the prompt, more only makes it faint."""
    time_parts: int = 0
    """Parts of the time that the denoiser can tell apart when it imagines (flow/time.py, `cut`); 0 is all."""
    draws: int = 1
    """Noise draws per thought in one training step; thoughts cost more than draws."""

    def __post_init__(self) -> None:
        check(
            *sizes(self, "time_parts"),
            (self.time_parts >= 0, f"time_parts is {self.time_parts}, expected 0 or more"),
            (self.shift > 0, f"shift is {self.shift}, expected more than 0"),
            (0 <= self.dropout <= 1, f"dropout is {self.dropout}, expected 0 to 1"),
            (0 <= self.null_scale < 1, f"null_scale is {self.null_scale}, expected 0 or more and less than 1"),
        )


@runtime_checkable
class Denoiser(Protocol):
    """What a flow head asks of its diffusion transformer."""

    def condition(self, hidden: Float[Tensor, "batch slot hidden"]) -> Condition:
        """What the hidden states of the slot are to the denoiser."""
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
    """False where the condition is dropped."""
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
