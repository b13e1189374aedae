"""The protocol of a denoiser, and what it computes of its condition: once for an image, for every time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from blip3o.model.layers.rope import Angles


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Of every row: one vector that modulates all blocks, and the keys and values of each block's cross-attention."""

    pooled: Float[Tensor, "batch condition"]
    keys: list[Float[Tensor, "batch head slot head_dim"]]
    values: list[Float[Tensor, "batch head slot head_dim"]]
    angles: Angles
    """Of the feature grid: the same for all rows."""

    def repeat(self, times: int) -> "Condition":
        """The condition for `times` copies of the batch, one after the other."""
        keys, values = ([x.repeat(times, 1, 1, 1) for x in many] for many in (self.keys, self.values))
        return replace(self, pooled=self.pooled.repeat(times, 1), keys=keys, values=values)

    def select(self, rows: slice | Sequence[int]) -> "Condition":
        """The condition of these rows."""
        return self._each(lambda x: x[rows])

    def join(self, other: "Condition") -> "Condition":
        """The rows of both, those of `other` last."""
        return self._each(lambda x, y: torch.cat([x, y]), other)

    def _each(self, of: Callable[..., Tensor], *others: "Condition") -> "Condition":
        """What becomes of each tensor. Keys and values keep their order in memory, on which the last bits depend."""

        def kept(*tensors: Float[Tensor, "_ head slot head_dim"]) -> Float[Tensor, "_ head slot head_dim"]:
            return of(*[tensor.transpose(1, 2) for tensor in tensors]).transpose(1, 2)

        both = (self, *others)
        keys = [kept(*many) for many in zip(*[one.keys for one in both], strict=True)]
        values = [kept(*many) for many in zip(*[one.values for one in both], strict=True)]
        return replace(self, pooled=of(*[one.pooled for one in both]), keys=keys, values=values)


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
        condition: Condition | Float[Tensor, "conditions slot hidden"],
        reference: Float[Tensor, "batch channel height width"] | None = None,
        referenced: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch channel height width"]:
        """Velocity of `x` at `time` (0 noise, 1 data). In training, hidden states stand in place of their condition:
        all of the denoiser's work is in this call then. Each row of them serves every len(hidden)-th row of `x`."""
        ...
