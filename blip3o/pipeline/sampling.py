"""How a model draws: its defaults, and what a user may change of them."""

from dataclasses import dataclass
from typing import TypedDict

from blip3o.config import check, within
from blip3o.model.layers.sampling import Sampling


@dataclass(frozen=True, kw_only=True)
class SamplingConfig(Sampling):
    """The defaults of a model: how features are sampled, and how pictures are decoded from them."""

    decoder_steps: int
    """Solver steps of the decoder."""
    size: int | None = None
    """Height and width of the pictures in px; None is the decoder's own."""
    rows: int = 0
    """Images that are sampled in one pass, always as many, each prompt run by itself; 0 draws a batch as it is.

    With a number of rows a matrix product changes the order in which it adds. With as many rows in every pass, an image
    is the same to the last bit in any batch.
    """
    compatible: bool = False
    """Draw as the published code does: one image after the other, all from one stream of random numbers, in which the
    null features of the decoder take part before the first."""
    best_of: int = 1
    """Candidates of each picture, of which the model keeps the one that it reads as what was asked (`self_check`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(
            within("decoder_steps", self.decoder_steps),
            within("best_of", self.best_of),
            (
                self.best_of == 1 or not self.compatible,
                f"best_of is {self.best_of}: with compatible all pictures come from one stream of random numbers, and "
                "candidates have seeds of their own; leave one of both out",
            ),
            within("rows", self.rows),
            *([] if self.size is None else [within("size", self.size)]),
        )


@dataclass(frozen=True, kw_only=True)
class ReasoningConfig:
    """How a model reasons in words before it draws."""

    always: bool = False
    """Whether it does where nobody says."""
    temperature: float = 0.0
    """0 takes the likeliest words. 1 draws by the model's own probabilities: what a prompt leaves open is another thing
    with each seed, then."""
    top_p: float = 1.0
    """The likeliest words that together are at least as probable are drawn from."""

    def __post_init__(self) -> None:
        check(
            (self.temperature >= 0, f"temperature is {self.temperature}, expected 0 or more"),
            (0 < self.top_p <= 1, f"top_p is {self.top_p}, expected more than 0 and at most 1"),
        )


class SamplingOptions(TypedDict, total=False):
    """Fields of `SamplingConfig` to change for one call; None leaves the model's own."""

    steps: int | None
    guidance: float | None
    solver: str | None
    guided_from: float | None
    guided_until: float | None
    decoder_steps: int | None
    size: int | None
    best_of: int | None


PUBLISHED = SamplingConfig(steps=30, guidance=3.0, decoder_steps=50)
"""Of the published models."""
