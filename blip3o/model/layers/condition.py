"""What a denoiser keeps of the hidden states that condition it: computed once for an image, used at every time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from blip3o.model.layers.rope import Angles


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Of every row: one vector that all blocks hear, and for each block the keys and values that it reads."""

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
