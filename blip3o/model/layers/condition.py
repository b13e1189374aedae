"""What a denoiser keeps of the hidden states that condition it: computed once for an image, used at every time."""

from collections.abc import Callable
from dataclasses import dataclass, replace

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
        return self._rows(lambda x: x.repeat(times, *[1] * (x.ndim - 1)))

    def first(self, rows: int) -> "Condition":
        """The condition of the first rows."""
        return self._rows(lambda x: x[:rows])

    def _rows(self, of: Callable[[Tensor], Tensor]) -> "Condition":
        keys, values = ([of(one) for one in many] for many in (self.keys, self.values))
        return replace(self, pooled=of(self.pooled), keys=keys, values=values)
