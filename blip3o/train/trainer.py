"""The training loop: stage by stage, step by step, resumable at any of them."""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from blip3o import __version__
from blip3o.errors import CheckpointError, ConfigError, TrainingError
from blip3o.picturebook.source import PictureBook
from blip3o.picturebook.tasks import vocabulary
from blip3o.pipeline.pipeline import Pipeline
from blip3o.processing.tokenizer import make
from blip3o.train.ema import Average
from blip3o.train.log import Journal, Meter, Observer, Progress
from blip3o.train.objectives.objectives import OBJECTIVES, Objective, seeded
from blip3o.train.optim import Optimizer, learning_rate, linear_weights, trained
from blip3o.train.recipe import Recipe, Stage
from blip3o.weights import checkpoint, hub
from blip3o.weights.placement.device import find_device

Score = Callable[[Pipeline, Path], dict[str, float]]
"""Draws samples of the machine into a folder and scores it; given by the caller, because judging is not training."""
LOG_EVERY = 20
MOMENTS = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")
"""What optimizers remember of a parameter."""


class Trainer:
    """A run in a folder: `state.safetensors` to go on from, `stages/<name>/` after each stage, `log.jsonl`."""

    def __init__(
        self, recipe: Recipe, folder: Path, observe: Observer, score: Score | None = None, device: str = "cpu"
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.observe = observe
        self.score = score
        self.journal = Journal(folder)
        self.commit = commit()
        torch.manual_seed(recipe.seed)
        self.pipeline = Pipeline(recipe.model, make(vocabulary()))
        if recipe.space_from:
            self.take_space(recipe.space_from)
        self.pipeline.to(find_device(device))

    def run(self, only: str | None = None) -> Pipeline:
        """Train all stages, or `only` one, from where the folder's state stands. Gives the machine, ready to use."""
        names = [stage.name for stage in self.recipe.stages]
        if only is not None and only not in names:
            raise ConfigError(f"the recipe has no stage {only!r}: choose one of {', '.join(names)}")
        book = self.book()
        with answered((signal.SIGTERM,), signal.default_int_handler):
            for index, stage in enumerate(self.recipe.stages):
                if self.is_done(stage):
                    self.restore(stage, scored=only in (None, stage.name))
                elif only is None or only == stage.name:
                    self.run_stage(stage, book)
                elif index < names.index(only):
                    raise CheckpointError(
                        f"stage {only} needs stage {stage.name}, which {self.folder} lacks: train it first"
                    )
        return self.pipeline.eval()

    def is_done(self, stage: Stage) -> bool:
        """Whether the stage has been trained."""
        return (self.folder / "stages" / stage.name / checkpoint.WEIGHTS).is_file()

    def book(self) -> PictureBook:
        """The training pictures, drawn anew from their seed."""
        config = self.recipe.book

        def told(done: int, total: int) -> None:
            if done % 500 == 0 or done == total:
                self.observe(Progress(stage="drawing the picture book", step=done, steps=total))

        return PictureBook(f"train/{config.seed}", config.stories, told)

    def take_space(self, model: str) -> None:
        """Take the encoder, the decoder and the statistics of another model of the same sizes."""
        other, _ = checkpoint.load(hub.find(model))
        if other.config.space != self.recipe.model.space:
            raise ConfigError(f"the image space of {model} has other sizes than the recipe's: take model.space from it")
        self.pipeline.space.load_state_dict(other.space.state_dict())

    def restore(self, stage: Stage, *, scored: bool) -> None:
        """Take the weights of a finished stage, in float32; its scores, too, where a stop came before them."""
        folder = self.folder / "stages" / stage.name
        tensors, _ = checkpoint.read_tensors(folder / checkpoint.WEIGHTS)
        checkpoint.load_strictly(self.pipeline, tensors, folder)
        if scored and not self.journal.holds(event="scores", stage=stage.name, step=stage.steps):
            self.judge(stage, stage.steps)

    def run_stage(self, stage: Stage, book: PictureBook) -> None:
        """Train one stage to its end and keep the average of its weights."""
        torch.manual_seed(seeded(f"stage/{self.recipe.seed}/{stage.name}").initial_seed())
        objective = OBJECTIVES[stage.objective](stage, self.pipeline, book).to(self.pipeline.device)
        parameters = trained(self.pipeline, objective, stage.trains)
        steps = _Steps(self, stage, objective, parameters)
        self.journal.write("stage", name=stage.name, steps=stage.steps, commit=self.commit, version=__version__)
        steps.resume()
        try:
            while steps.done < stage.steps:
                with undivided():
                    steps.step()
                if steps.done % LOG_EVERY == 0 or steps.done == stage.steps:
                    self.report(steps.meter.look(stage.name, steps.done))
                if self.recipe.save_every and steps.done % self.recipe.save_every == 0:
                    steps.save()
                if self.recipe.score_every and steps.done % self.recipe.score_every == 0 and steps.done < stage.steps:
                    with steps.averaged():
                        self.judge(stage, steps.done)
        except KeyboardInterrupt:
            if steps.done:
                steps.save()
            raise
        steps.average.swap(parameters)
        objective.finish()
        self.finish(stage)

    def report(self, progress: Progress) -> None:
        """Tell observers and the journal."""
        self.observe(progress)
        facts = {name: round(value, 5) for name, value in progress.losses.items()}
        self.journal.write(
            "step", stage=progress.stage, step=progress.step, samples_per_s=round(progress.samples_per_s, 1), **facts
        )

    def judge(self, stage: Stage, step: int) -> None:
        """Draw samples and score the machine as it stands."""
        if self.score is None:
            return
        self.pipeline.eval()
        scores = self.score(self.pipeline, self.folder / "samples" / f"{stage.name}-{step:06d}")
        self.pipeline.train()
        self.journal.write("scores", stage=stage.name, step=step, **{k: round(v, 4) for k, v in scores.items()})

    def finish(self, stage: Stage) -> None:
        """Keep the stage's weights in float32 for the stages after it, drop the state it needed, and score it."""
        folder = self.folder / "stages" / stage.name
        self.pipeline.template.words.save(folder)
        checkpoint.write_tensors(folder / checkpoint.WEIGHTS, self.pipeline.state_dict(), {"stage": stage.name})
        (self.folder / "state.safetensors").unlink(missing_ok=True)
        self.judge(stage, stage.steps)

    def publish(self) -> Path:
        """Write the checkpoint of the machine as it stands, in bfloat16: `<folder>/checkpoint`."""
        about = {"commit": self.commit, "version": __version__, "seed": self.recipe.seed, "recipe": self.recipe.name}
        checkpoint.save(self.pipeline, self.folder / "checkpoint", about=about)
        return self.folder / "checkpoint"


class _Steps:
    """The state of one stage: parameters, optimizer, average, steps done."""

    def __init__(
        self, trainer: Trainer, stage: Stage, objective: Objective, parameters: dict[str, nn.Parameter]
    ) -> None:
        self.trainer, self.stage, self.objective, self.parameters = trainer, stage, objective, parameters
        self.optimizer = Optimizer(parameters, linear_weights(trainer.pipeline, objective), stage)
        self.average = Average(parameters, stage.ema)
        self.meter = Meter(stage.steps, stage.batch_size + stage.text_batch_size)
        self.done = 0
        self.path = trainer.folder / "state.safetensors"

    def step(self) -> None:
        """One step of the optimizer."""
        recipe = self.trainer.recipe
        with arithmetic(recipe.precision, self.trainer.pipeline.device):
            losses = self.objective.losses(f"train/{recipe.seed}/{self.stage.name}", self.done)
            total = self.objective.total(losses)
        if not total.isfinite():
            raise TrainingError(
                f"the loss of stage {self.stage.name} is {total.item()} at step {self.done + 1}: lower its "
                f"learning_rate ({self.stage.learning_rate:g}); the state last saved is kept"
            )
        total.backward()
        nn.utils.clip_grad_norm_(self.parameters.values(), self.stage.clip, foreach=True)
        self.optimizer.step(learning_rate(self.stage, self.done))
        self.average.update(self.parameters, self.done)
        self.done += 1
        self.meter.add({"total": total.item()} | {name: loss.mean().item() for name, loss in losses.items()})

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The machine with the average of its weights, for as long as this lasts."""
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


@contextmanager
def answered(numbers: Iterable[int], answer: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """These signals are answered so for as long as this lasts. (Only the main thread ever gets one.)"""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, answer) for number in numbers}
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)


@contextmanager
def undivided() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until this is done: no step is half in the state."""
    waiting: list[int] = []
    with answered((signal.SIGINT, signal.SIGTERM), lambda number, _: waiting.append(number)):
        yield
    if waiting:
        raise KeyboardInterrupt


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in this precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def commit() -> str:
    """The commit that the code stands at, with a + where files differ from it; "unknown" outside our own checkout."""
    root = Path(__file__).parents[2]
    try:
        top, head, changes = (
            subprocess.run(["git", *asked], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
            for asked in (
                ("rev-parse", "--show-toplevel"),
                ("rev-parse", "--short", "HEAD"),
                ("status", "--porcelain", "-uno"),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    if Path(top) != root:
        return "unknown"  # an installed package in the environment of somebody's repository
    return head + ("+" if changes else "")
