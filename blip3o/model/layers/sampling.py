"""How features are sampled: the choices of a sampler, without the networks that it needs."""

from dataclasses import dataclass
from typing import Literal, get_args

from blip3o.config import check, within

SolverName = Literal["euler", "heun", "multistep"]
SOLVER_NAMES: tuple[str, ...] = get_args(SolverName)
"""The keys of SOLVERS in flow/sampler.py, which opens torch."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How features are sampled."""

    steps: int
    """Solver steps."""
    guidance: float = 1.0
    """1 is none."""
    solver: str = "euler"
    """One of SOLVER_NAMES."""
    guided_from: float = 0.0
    guided_until: float = 1.0
    """The times between which there is guidance (arXiv 2404.07724); outside of them the denoiser works half as much."""

    def __post_init__(self) -> None:
        check(
            within("steps", self.steps),
            within("guidance", self.guidance),
            (
                self.solver in SOLVER_NAMES,
                f"solver is {self.solver!r}: choose one of {', '.join(SOLVER_NAMES)}",
            ),
            (
                0 <= self.guided_from < self.guided_until <= 1,
                f"guided_from is {self.guided_from} and guided_until {self.guided_until}, expected 0 to 1 in order",
            ),
        )
