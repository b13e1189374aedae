"""What every backbone offers: a causal language model that also reads pictures."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import Cache


class Backbone(nn.Module, ABC):
    """Vectors in, hidden states out; it does not know what stands at which position."""

    width: int
    """Width of embeddings and hidden states."""

    @abstractmethod
    def embed(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq hidden"]:
        """Embeddings of token ids."""

    @abstractmethod
    def read(self, patches: Float[Tensor, "patch dim"], grid: Int[Tensor, "picture 3"]) -> Float[Tensor, "seen hidden"]:
        """Embeddings of pictures, one after the other, given as the patches of the backbone's image processor."""

    @abstractmethod
    def think(
        self,
        embeddings: Float[Tensor, "batch seq hidden"],
        mask: Bool[Tensor, "batch past_and_seq"],
        cache: Cache | None = None,
        positions: Int[Tensor, "axis batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq hidden"]:
        """Hidden states after the last normalisation, causal.

        `mask` is False at padding, on either side; it covers what the cache already holds, too. A cache is extended in
        place. Without `positions` tokens that are no padding are counted.
        """

    def positions(
        self,
        mask: Bool[Tensor, "batch seq"],
        pictured: Bool[Tensor, "batch seq"],
        grid: Int[Tensor, "picture 3"] | None,
    ) -> Int[Tensor, "axis batch seq"] | None:
        """Where tokens stand for a backbone that does not just count them; `grid` tells the sizes of the pictures whose
        tokens are `pictured`. None where `think` is to count."""
        return None

    @abstractmethod
    def logits(self, hidden: Float[Tensor, "*any hidden"]) -> Float[Tensor, "*any vocabulary"]:
        """Scores of the next token."""

    @abstractmethod
    def branch(self, cache: Cache, rows: Sequence[int]) -> Cache:
        """A cache of its own for going on from these rows of another, which stays as it is."""

    @abstractmethod
    def new_cache(self) -> Cache:
        """An empty cache for `think`."""
