"""The steps of one stage, and all that they need to go on after a stop."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from blip3o.config import to_dict
from blip3o.data.address import StepAddresses
from blip3o.data.loader import StepLoader
from blip3o.data.sample import SampleError
from blip3o.errors import CheckpointError, ConfigError
from blip3o.train import sample_dropout
from blip3o.train.ema import Average
from blip3o.train.finite import FiniteCheck
from blip3o.train.log import Meter
from blip3o.train.objectives.objective import LoadedStep, Objective
from blip3o.train.optim import Optimizer, learning_rate, linear_weights
from blip3o.train.parallel import ALONE, Processes
from blip3o.train.recipe import Recipe, Stage
from blip3o.train.regions import Regions
from blip3o.train.sharding import (
    clip,
    has_parts,
    is_sharded,
    part_like,
    read_about,
    read_parts,
    shapes_of_parts,
    write_parts,
)
from blip3o.train.shared_step import SharedStep, share
from blip3o.train.signals import undivided
from blip3o.train.states import States
from blip3o.weights import checkpoint

MOMENTS = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")
"""The state of AdamW and Muon for a parameter, by the names torch gives it."""
STATE = "state.safetensors"
"""The file of a saved state; older runs have a single one, in their folder itself."""


class StageSteps:
    """The state of one stage: parameters, optimizer, average, steps done."""

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        objective: Objective,
        parameters: dict[str, nn.Parameter],
        states: States,
        processes: Processes = ALONE,
    ) -> None:
        self.recipe, self.stage, self.objective, self.parameters = recipe, stage, objective, parameters
        self.processes = processes
        self.sharded = any(map(is_sharded, parameters.values()))
        self.optimizer = Optimizer(parameters, linear_weights(objective.pipeline, objective), stage, processes)
        self.average = Average(parameters, stage.ema)
        self.meter = Meter(stage.steps, stage.objective.samples(stage.batch_size))
        self.regions = Regions(objective.pipeline.unified, checkpointing=stage.checkpointing, compiled=stage.compile)
        self.finite = FiniteCheck(stage.name, stage.learning_rate)
        self.done = 0
        self.states = states
        self.saved = 0
        """The step of the newest state, and the time it was saved."""
        self.saved_at = time.monotonic()
        self.loader: StepLoader[LoadedStep] | None = None

    def step(self) -> Sequence[SampleError]:
        """One step of the optimizer; gives the samples that it had to skip."""
        if self.loader is None:
            self.loader = StepLoader(self.load, self.done, self.stage.steps, self.recipe.workers)
            self.objective.each = self.loader.each
        with self.meter.waiting():
            shared = share(self.processes, self.objective, partial(next, self.loader), alike=self.sharded)
        if shared.weights:  # else every sample was skipped
            with self.regions.active():
                losses = self.backward(shared)
            self.update(losses)
        self.done += 1
        return shared.skipped

    def load(self, step: int) -> LoadedStep:
        """This process's samples of a step: by its number alone, so that they are the same after a stop."""
        run, processes = f"train/{self.recipe.seed}/{self.stage.name}", self.processes
        addresses = StepAddresses(run, step, self.stage.batch_size, processes.rank, processes.ranks)
        return self.objective.load(addresses, self.stage.micro_batch_size)

    def close(self) -> None:
        """End the threads that load samples."""
        if self.loader is not None:
            self.loader.close()

    def check_learning(self) -> None:
        """Raise ConfigError where no part of the model that learns has had a share in the losses: the stage would
        change nothing. What an objective brings of its own is no part of the model."""
        own = (one.grad is None for name, one in self.parameters.items() if not name.startswith("objective."))
        if all(own):
            raise ConfigError(
                f"stage {self.stage.name} trains {', '.join(self.stage.trains)}, on which the losses of its objective "
                f"{self.stage.objective.kind!r} do not depend: name parts that they run through"
            )

    def update(self, losses: Mapping[str, Tensor]) -> None:
        """Move the parameters by their gradients; what the losses are, and whether all is finite, is read later."""
        self.processes.add_gradients(one for one in self.parameters.values() if not is_sharded(one))
        self.check_learning()
        norm = clip(self.parameters.values(), self.stage.clip)
        self.finite.add(losses["total"], norm)
        rate = learning_rate(self.stage, self.done)
        self.optimizer.step(rate)
        self.average.update(self.parameters, self.done)
        self.meter.add(losses, norm, rate)

    def backward(self, shared: SharedStep) -> dict[str, Tensor]:
        """Add up the gradients of micro-batches; gives the step's losses, `total` first.

        A loss is divided by its weight in the whole step, which is known before: so each micro-batch may forget its
        activations before the next.
        """
        objective, factors, weights = self.objective, self.objective.factors, shared.weights
        names = ("total", *weights)
        sums = {name: torch.zeros((), device=objective.device) for name in names}
        for batch, counts in shared.batches:
            if self.stage.adapter:
                sample_dropout.address(objective.pipeline, batch.addresses)
            with arithmetic(self.recipe.precision, objective.device):
                losses = {
                    name: counts * loss.sum / weights[name]
                    for name, loss in objective.losses(batch.to(objective.device)).items()
                }
                total = torch.stack([factors.get(name, 1.0) * loss for name, loss in losses.items()]).sum()
            if total.requires_grad:  # nothing that learns may stand behind the losses of one kind of batch
                total.backward()
            for name, loss in {"total": total, **losses}.items():
                sums[name] = sums[name] + loss.detach()
        sums = dict(zip(names, self.processes.add_losses([sums[name] for name in names]), strict=True))
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
        """Write the state, whole or not at all, unless that of this step is there. Raises OutputError, and
        TrainingError where it is not finite."""
        self.finite.require(self.done)
        if self.saved != self.done:
            if self.sharded:
                self.write_parts()
            else:
                self.processes.on_main(self.write)
            self.saved = self.done
        self.saved_at = time.monotonic()

    def write(self) -> None:
        """Write the state as one file."""
        with self.states.writing(self.stage.name, self.done) as folder:
            checkpoint.write_tensors(folder / STATE, self.tensors(), self.about())

    def write_parts(self) -> None:
        """Write the state in parts, each process its own, in a folder that the main one makes and puts in place."""
        with ExitStack() as opened:
            writing = self.states.writing(self.stage.name, self.done)
            folder = self.processes.on_main(partial(opened.enter_context, writing))
            write_parts(folder, self.tensors(), self.about(), self.processes)
            self.processes.on_main(opened.close)

    def save_when_due(self) -> None:
        """Save at the intervals of the recipe, in steps and in minutes, and after the last step."""
        every, minutes = self.recipe.save_every, self.recipe.save_every_minutes
        late = self.processes.is_main and time.monotonic() - self.saved_at >= 60 * minutes
        late = bool(minutes) and self.processes.sum([float(late)])[0] > 0
        at_last = bool(every or minutes) and self.done == self.stage.steps
        if late or at_last or (every and self.done % every == 0):
            self.save()

    def about(self) -> dict[str, object]:
        """What is told with the tensors: where the stage stands, and what its samples depend on."""
        samples = {"seed": self.recipe.seed, "batch_size": self.stage.batch_size, **to_dict(self.stage.objective)}
        return {"stage": self.stage.name, "done": self.done, "samples": samples}

    @torch.no_grad()
    def resume(self) -> None:
        """Go on from the newest state of this stage that is whole. Raises CheckpointError where all are damaged, or
        where it is another recipe's."""
        folder = self.processes.on_main(partial(self.states.newest, self.stage.name))
        path = self.states.folder.with_name(STATE) if folder is None else folder / STATE
        if folder is not None and has_parts(folder):
            path, about, tensors = folder, read_about(folder), {}
            shapes = shapes_of_parts(folder)
        elif path.is_file():
            tensors, about = checkpoint.read_tensors(path)
            shapes = {name: tensor.shape for name, tensor in tensors.items()}
        else:
            return
        if about.get("stage") != self.stage.name:
            return
        self.check(path, shapes, about.get("samples"))
        tensors = self.dealt_out(tensors) if tensors else read_parts(path, self.like(shapes), self.processes)
        self.done = self.saved = self.finite.since = int(str(about["done"]))
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

    def like(self, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """For each tensor of a saved state of these shapes a tensor that is dealt out as this process needs it."""
        parameters = {name: self.parameters.get(name.partition("/")[2]) for name in shapes}
        return {
            name: parameter.detach() if shapes[name] == parameter.shape else torch.zeros(shapes[name])
            for name, parameter in parameters.items()
            if parameter is not None
        }

    def dealt_out(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What this process holds of the tensors of a whole state."""
        like = self.like({name: tensor.shape for name, tensor in tensors.items()})
        return {name: part_like(one, tensors[name]) for name, one in like.items()}

    def check(self, path: Path, known: Mapping[str, torch.Size], samples: object) -> None:
        """Raise CheckpointError for a saved state that is not of these parameters, or of other samples (None: a state
        of before, which does not say of which)."""
        shapes = {f"{kind}/{name}": p.shape for kind in ("weight", "average") for name, p in self.parameters.items()}
        strange = [f"{key} does not fit" for key, shape in shapes.items() if known.get(key) != shape]
        if isinstance(samples, Mapping):  # through JSON, as what was saved has gone
            ours = json.loads(json.dumps(self.about()["samples"]))
            changed = [key for key in ours.keys() | samples.keys() if ours.get(key) != samples.get(key)]
            strange += [f"its {key} is {samples.get(key)!r}, not {ours.get(key)!r}" for key in sorted(changed)]
        if strange:
            raise CheckpointError(f"{path} was written by another recipe ({strange[0]}): train into another folder")


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in this precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()
