"""The steps of one stage, and all that they need to go on after a stop."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from blip3o.data.address import StepAddresses
from blip3o.data.sample import SampleError
from blip3o.errors import CheckpointError, TrainingError
from blip3o.train import sample_dropout
from blip3o.train.ema import Average
from blip3o.train.log import Meter
from blip3o.train.objectives.objective import Objective
from blip3o.train.optim import Optimizer, learning_rate, linear_weights
from blip3o.train.recipe import Recipe, Stage
from blip3o.train.signals import undivided
from blip3o.weights import checkpoint

MOMENTS = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")
"""The state of AdamW and Muon for a parameter, by the names torch gives it."""


class StageSteps:
    """The state of one stage: parameters, optimizer, average, steps done."""

    def __init__(
        self, recipe: Recipe, stage: Stage, objective: Objective, parameters: dict[str, nn.Parameter], path: Path
    ) -> None:
        self.recipe, self.stage, self.objective, self.parameters = recipe, stage, objective, parameters
        self.optimizer = Optimizer(parameters, linear_weights(objective.pipeline, objective), stage)
        self.average = Average(parameters, stage.ema)
        self.meter = Meter(stage.steps, stage.objective.samples(stage.batch_size))
        self.done = 0
        self.path = path

    def step(self) -> Sequence[SampleError]:
        """One step of the optimizer; gives the samples that it had to skip."""
        # the address of a sample depends on seed, stage and number alone, so a resumed step draws the same
        run = f"train/{self.recipe.seed}/{self.stage.name}"
        loaded = self.objective.load(StepAddresses(run, self.done, self.stage.batch_size), self.stage.micro_batch_size)
        if loaded.batches:  # else every sample was skipped
            losses = self.backward(loaded.batches)
            nn.utils.clip_grad_norm_(self.parameters.values(), self.stage.clip, foreach=True)
            self.optimizer.step(learning_rate(self.stage, self.done))
            self.average.update(self.parameters, self.done)
            self.meter.add({name: loss.item() for name, loss in losses.items()})
        self.done += 1
        return loaded.skipped

    def backward(self, batches: Sequence[Any]) -> dict[str, Tensor]:
        """Add up the gradients of micro-batches; gives the step's losses, `total` first.

        A loss is divided by its weight in the whole step, which is known before: so each micro-batch may forget its
        activations before the next.
        """
        objective, factors = self.objective, self.objective.factors
        weights = {name: sum(one.get(name, 0.0) for one in map(objective.weights, batches)) for name in objective.names}
        sums: dict[str, Tensor] = {}
        for batch in batches:
            if self.stage.adapter:
                sample_dropout.address(objective.pipeline, batch.addresses)
            with arithmetic(self.recipe.precision, objective.device):
                losses = {
                    name: loss.sum / weights[name]
                    for name, loss in objective.losses(batch.to(objective.device)).items()
                }
                total = torch.stack([factors.get(name, 1.0) * loss for name, loss in losses.items()]).sum()
            if total.requires_grad:  # nothing that learns may stand behind the losses of one kind of batch
                total.backward()
            for name, loss in {"total": total, **losses}.items():
                sums[name] = sums[name] + loss.detach() if name in sums else loss.detach()
        if not sums["total"].isfinite():
            raise TrainingError(
                f"the loss of stage {self.stage.name} is {sums['total'].item()} at step {self.done + 1}: lower its "
                f"learning_rate ({self.stage.learning_rate:g}); the state last saved is kept"
            )
        return sums

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model with the average of its weights, for as long as this lasts."""
        # an interrupt in the middle of a swap would leave a mixture of two sets of weights
        try:
            with undivided():
                self.average.swap(self.parameters)
            yield
        finally:
            with undivided():
                self.average.swap(self.parameters)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The whole state as named tensors."""
        held = {f"average/{name}": tensor for name, tensor in self.average.tensors.items()}
        for name, parameter in self.parameters.items():
            held[f"weight/{name}"] = parameter.detach()
            held |= {f"{key}/{name}": value for key, value in self.optimizer.state(parameter).items()}
        return held

    def save(self) -> None:
        """Write the state, whole or not at all."""
        checkpoint.write_tensors(self.path, self.tensors(), {"stage": self.stage.name, "done": self.done})

    @torch.no_grad()
    def resume(self) -> None:
        """Go on from the folder's state where it is of this stage."""
        if not self.path.is_file():
            return
        tensors, about = checkpoint.read_tensors(self.path)
        if about.get("stage") != self.stage.name:
            return
        self.check(tensors)
        self.done = int(str(about["done"]))
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[f"weight/{name}"])
            self.average.tensors[name].copy_(tensors[f"average/{name}"])
            moments = {
                key: tensors[f"{key}/{name}"].to(parameter.device, copy=True)
                for key in MOMENTS
                if f"{key}/{name}" in tensors
            }
            if moments:  # a parameter that no batch has used yet has none
                self.optimizer.remember(parameter, moments)

    def check(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Raise CheckpointError for a saved state that is not of these parameters."""
        shapes = {f"{kind}/{name}": p.shape for kind in ("weight", "average") for name, p in self.parameters.items()}
        strange = [key for key, shape in shapes.items() if key not in tensors or tensors[key].shape != shape]
        if strange:
            raise CheckpointError(
                f"{self.path} was written by another recipe ({strange[0]} does not fit): train into another folder"
            )


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in this precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()
