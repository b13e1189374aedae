"""The learning rate over a stage, and the optimizer that takes it: what is chosen of both, as values.

With x the share of the stage's steps that are done, f the floor and d the share of the decay, the learning rate that a
stage names is multiplied by

    (1)  cosine               f + (1 - f) (1 + cos(pi x)) / 2
    (2)  constant             1
    (3)  warmup_stable_decay  1 - (1 - f) max(0, x - (1 - d)) / d

and by the linear rise of its warmup. Sources: (1) arXiv 1608.03983, eq. 5; (3) arXiv 2404.06395, section 4.2, with the
linear decay of arXiv 2405.18392.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from blip3o.config import check


@dataclass(frozen=True, kw_only=True)
class CosineScheduleConfig:
    """Equation (1): it falls from the first step on."""

    kind: Literal["cosine"] = "cosine"
    floor: float = 0.02
    """Share of the learning rate that is left at the end."""

    def __post_init__(self) -> None:
        check((0 <= self.floor <= 1, f"schedule.floor is {self.floor}, expected 0 to 1"))

    def share(self, done: float) -> float:
        """Of the learning rate, when this share of the steps is `done`."""
        return self.floor + (1 - self.floor) * (0.5 + 0.5 * math.cos(math.pi * done))


@dataclass(frozen=True, kw_only=True)
class ConstantScheduleConfig:
    """Equation (2): it never falls."""

    kind: Literal["constant"] = "constant"

    def share(self, done: float) -> float:
        """All of it."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class WarmupStableDecayScheduleConfig:
    """Equation (3): it stays, then falls to its floor in a straight line. A run may go on from any step before that."""

    kind: Literal["warmup_stable_decay"] = "warmup_stable_decay"
    floor: float = 0.0
    """Share of the learning rate that is left at the end."""
    decay: float = 0.2
    """Share of the steps over which it falls."""

    def __post_init__(self) -> None:
        check(
            (0 <= self.floor <= 1, f"schedule.floor is {self.floor}, expected 0 to 1"),
            (0 < self.decay <= 1, f"schedule.decay is {self.decay}, expected more than 0 and at most 1"),
        )

    def share(self, done: float) -> float:
        """Of the learning rate, when this share of the steps is `done`."""
        return 1 - (1 - self.floor) * max(0.0, done - (1 - self.decay)) / self.decay


ScheduleConfig = CosineScheduleConfig | ConstantScheduleConfig | WarmupStableDecayScheduleConfig
"""How the learning rate goes."""


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """What turns gradients into steps."""

    kind: Literal["muon", "adamw"] = "muon"
    """Muon for the weights of linear layers and AdamW for all else, or AdamW for everything."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay per step of AdamW's averages of gradients and of their squares."""
    learning_rates: dict[str, float] = field(default_factory=dict)
    """Beginnings of parameters' names -> their learning rate in place of the stage's; of two the longer counts."""

    def __post_init__(self) -> None:
        check(
            *(
                (0 <= beta < 1, f"optimizer.betas has {beta}, expected 0 or more and less than 1")
                for beta in self.betas
            ),
            *(
                (rate > 0, f"optimizer.learning_rates.{part} is {rate}, expected more than 0")
                for part, rate in self.learning_rates.items()
            ),
        )
