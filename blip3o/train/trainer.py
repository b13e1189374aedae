"""The training loop: stage by stage, step by step, resumable at any of them."""

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from blip3o import __version__
from blip3o.data.address import seeded
from blip3o.data.skipped import SkippedSamples
from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import Source
from blip3o.errors import CheckpointError, ConfigError, DataError
from blip3o.pipeline.pipeline import Pipeline
from blip3o.plugins import build
from blip3o.processing.tokenizer import Tokenizer, learn, make
from blip3o.train.best import BestCheckpoints
from blip3o.train.lock import FolderLock
from blip3o.train.log import Journal, Observer, TrainingProgress, commit
from blip3o.train.objectives import OBJECTIVES
from blip3o.train.objectives.objective import Objective
from blip3o.train.optim import trained
from blip3o.train.recipe import Recipe, Stage
from blip3o.train.signals import answered, undivided
from blip3o.train.states import States, Tell
from blip3o.train.steps import STATE, StageSteps
from blip3o.weights import checkpoint, hub
from blip3o.weights.placement.device import find_device, peak_bytes, resident_bytes

ScoreModel = Callable[[Pipeline, Path], dict[str, float]]
"""(model, folder for its samples) -> scores by name; the caller brings it, because train/ knows no benchmarks."""
LOG_EVERY = 20
"""Steps between two lines of the log."""


class Trainer:
    """A run in a folder: `states/` to go on from, `stages/<name>/` after each stage, `best/`, `log.jsonl`.

    While it runs, the folder is locked against other processes; a caller that has locked it already gives its lock in
    place of the folder.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path | FolderLock,
        observe: Observer,
        score: ScoreModel | None = None,
        device: str = "cpu",
        tell: Tell | None = None,
    ) -> None:
        """`tell` gets what the user should know beside the progress (that a saved state is damaged, say), a line each;
        None writes it to stderr."""
        self.recipe = recipe
        self.lock = folder if isinstance(folder, FolderLock) else FolderLock(folder)
        self.folder = folder = self.lock.folder
        self.tell = tell or partial(print, file=sys.stderr)
        self.states = States(folder, recipe.keep.last, self.warn)
        self.best = BestCheckpoints(folder, recipe.keep)
        self.observe = observe
        self.score = score
        self.journal = Journal(folder)
        self.skipped = SkippedSamples(self.folder, recipe.skip_limit)
        self.commit = commit()
        self.source = self.open_source()
        torch.manual_seed(recipe.seed)
        self.pipeline = Pipeline(recipe.model, self.tokenizer())
        if recipe.space_from:
            self.take_space(recipe.space_from)
        self.pipeline.to(find_device(device))

    def run(self, only: str | None = None) -> Pipeline:
        """Train all stages, or `only` one, from where the folder's state stands. Gives the model, ready to use.

        Raises OutputError where another process trains in the folder, or where it cannot be written to.
        """
        names = [stage.name for stage in self.recipe.stages]
        if only is not None and only not in names:
            raise ConfigError(f"the recipe has no stage {only!r}: choose one of {', '.join(names)}")
        with self.lock, answered((signal.SIGTERM,), signal.default_int_handler):
            for index, stage in enumerate(self.recipe.stages):
                if self.is_done(stage):
                    self.restore(stage, scored=only in (None, stage.name))
                elif only is None or only == stage.name:
                    self.run_stage(stage)
                elif index < names.index(only):
                    raise CheckpointError(
                        f"stage {only} needs stage {stage.name}, which {self.folder} lacks: train it first"
                    )
        return self.pipeline.eval()

    def is_done(self, stage: Stage) -> bool:
        """Whether the stage has been trained."""
        return (self.folder / "stages" / stage.name / checkpoint.WEIGHTS).is_file()

    def open_source(self) -> Source:
        """The samples that the run learns from."""

        def report(done: int, total: int) -> None:
            if done % 500 == 0 or done == total:
                self.observe(TrainingProgress(stage="preparing the samples", step=done, steps=total))

        return build(self.recipe.source, SOURCES, Source, report)

    def tokenizer(self) -> Tokenizer:
        """The words of the source, where they are few; else a tokenizer learned from its texts, of as many tokens as
        the model has embeddings."""
        words = self.source.vocabulary()
        if words is not None:
            return make(words)
        return learn(self.source.texts(), self.recipe.model.unified.backbone.text.vocab_size)

    def take_space(self, model: str) -> None:
        """Copy encoder, decoder and statistics from another model of the same sizes."""
        other, _ = checkpoint.load(hub.find(model))
        if other.config.space != self.recipe.model.space:
            raise ConfigError(f"the image space of {model} has other sizes than the recipe's: take model.space from it")
        self.pipeline.space.load_state_dict(other.space.state_dict())

    def restore(self, stage: Stage, *, scored: bool) -> None:
        """Load the weights of a finished stage, in float32; score it where the run was stopped before its scores."""
        folder = self.folder / "stages" / stage.name
        tensors, _ = checkpoint.read_tensors(folder / checkpoint.WEIGHTS)
        checkpoint.load_strictly(self.pipeline, tensors, folder)
        if scored and not self.journal.holds(event="scores", stage=stage.name, step=stage.steps):
            self.judge(stage, stage.steps)

    def run_stage(self, stage: Stage) -> None:
        """Train one stage to its end and keep the average of its weights."""
        steps = self.begin(stage)
        try:
            while steps.done < stage.steps:
                with undivided():
                    skipped = steps.step()
                self.skipped.add(steps.meter.samples, skipped)
                self.after_step(steps)
        except (KeyboardInterrupt, DataError):
            with undivided():
                steps.save()
            raise
        steps.average.swap(steps.parameters)
        steps.objective.finish()
        self.finish(stage)

    def begin(self, stage: Stage) -> StageSteps:
        """A stage's steps, as they stand in the run's folder."""
        torch.manual_seed(seeded(f"stage/{self.recipe.seed}/{stage.name}").initial_seed())
        objective = build(stage.objective, OBJECTIVES, Objective, self.pipeline, self.source)
        parameters = trained(self.pipeline, objective.to(self.pipeline.device), stage.trains)
        steps = StageSteps(self.recipe, stage, objective, parameters, self.states)
        self.journal.write("stage", name=stage.name, steps=stage.steps, commit=self.commit, version=__version__)
        steps.resume()
        return steps

    def after_step(self, steps: StageSteps) -> None:
        """Log, save and score at their intervals."""
        recipe, stage, done = self.recipe, steps.stage, steps.done
        if done % LOG_EVERY == 0 or done == stage.steps:
            self.report(steps.meter.look(stage.name, done))
        steps.save_when_due()
        if recipe.score_every and done % recipe.score_every == 0 and done < stage.steps:
            with steps.averaged():
                self.judge(stage, done)

    def report(self, progress: TrainingProgress) -> None:
        """Pass progress to the observer and write it to the journal."""
        progress = replace(
            progress,
            run_left_s=self.run_left_s(progress),
            memory_bytes=resident_bytes(),
            device_memory_bytes=peak_bytes(self.pipeline.device),
            skipped=self.skipped.reasons(),
        )
        self.observe(progress)
        self.journal.step(progress)

    def run_left_s(self, progress: TrainingProgress) -> float:
        """Estimated seconds to the end of the run, at the speed of this stage."""
        names = [stage.name for stage in self.recipe.stages]
        later = self.recipe.stages[names.index(progress.stage) + 1 :]
        samples = sum(stage.steps * stage.objective.samples(stage.batch_size) for stage in later)
        return progress.left_s + (samples / progress.samples_per_s if progress.samples_per_s else 0.0)

    def warn(self, line: str) -> None:
        """Tell what the user should know, and keep it in the journal."""
        self.journal.write("warning", text=line)
        self.tell(line)

    def judge(self, stage: Stage, step: int) -> None:
        """Draw samples and score the model as it stands."""
        if self.score is None:
            return
        self.pipeline.eval()
        scores = self.score(self.pipeline, self.folder / "samples" / f"{stage.name}-{step:06d}")
        self.best.add(self.pipeline, stage.name, step, scores)
        self.pipeline.train()
        self.journal.write("scores", stage=stage.name, step=step, **{k: round(v, 4) for k, v in scores.items()})

    def finish(self, stage: Stage) -> None:
        """Keep the stage's weights in float32 for the stages after it, drop the state it needed, and score it."""
        folder = self.folder / "stages" / stage.name
        self.pipeline.template.words.save(folder)
        # the weights come last: with them the stage counts as done (`is_done`)
        checkpoint.write_tensors(folder / checkpoint.WEIGHTS, self.pipeline.state_dict(), {"stage": stage.name})
        self.states.drop(stage.name)
        (self.folder / STATE).unlink(missing_ok=True)
        self.judge(stage, stage.steps)

    def publish(self) -> Path:
        """Write the checkpoint of the model as it stands, in bfloat16: `<folder>/checkpoint`."""
        about = {"commit": self.commit, "version": __version__, "seed": self.recipe.seed, "recipe": self.recipe.name}
        with self.lock:
            checkpoint.save(self.pipeline, self.folder / "checkpoint", about=about)
        return self.folder / "checkpoint"
