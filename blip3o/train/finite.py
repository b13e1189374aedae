"""Whether a run is still sound: found on the device at every step, and read from there seldom."""

import torch
from torch import Tensor

from blip3o.errors import TrainingError


class FiniteCheck:
    """Whether all losses and gradients since the last look were finite; before it they were, or it has raised."""

    def __init__(self, stage: str, learning_rate: float) -> None:
        self.stage, self.learning_rate = stage, learning_rate
        self.sound: Tensor | None = None
        self.since = 0

    def add(self, *values: Tensor) -> None:
        """Scalars of one step: no value is read."""
        finite = torch.stack([value.detach().isfinite() for value in values]).all()
        self.sound = finite if self.sound is None else self.sound & finite

    def require(self, done: int) -> None:
        """Raise TrainingError where one was not, `done` steps being done: such weights must not be kept."""
        first, self.since = self.since + 1, done
        if self.sound is not None and not self.sound:
            steps = f"step {done}" if first == done else f"steps {first} to {done}"
            raise TrainingError(
                f"a loss or gradient of stage {self.stage} was not finite in {steps}: lower its learning_rate "
                f"({self.learning_rate:g}); the state last saved is kept"
            )
        self.sound = None
