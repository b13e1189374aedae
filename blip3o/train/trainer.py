"""The training loop: stage by stage, step by step, resumable at any of them."""

import signal
from collections.abc import Callable, Iterable
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
from blip3o.train import sample_dropout, starting_model
from blip3o.train.lock import FolderLock
from blip3o.train.log import Journal, Observer, TrainingProgress, commit
from blip3o.train.objectives import OBJECTIVES
from blip3o.train.objectives.objective import Objective
from blip3o.train.optim import trained
from blip3o.train.recipe import Recipe, Stage
from blip3o.train.signals import answered, undivided
from blip3o.train.starting_model import StartConfig
from blip3o.train.steps import StageSteps
from blip3o.weights import checkpoint, lora
from blip3o.weights.placement.device import find_device

ScoreModel = Callable[[Pipeline, Path], dict[str, float]]
"""(model, folder for its samples) -> scores by name; the caller brings it, because train/ knows no benchmarks."""
LOG_EVERY = 20
"""Steps between two lines of the log."""


class Trainer:
    """A run in a folder: `state.safetensors` to go on from, `stages/<name>/` after each stage, `log.jsonl`.

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
    ) -> None:
        self.recipe = recipe
        self.lock = folder if isinstance(folder, FolderLock) else FolderLock(folder)
        self.folder = folder = self.lock.folder
        self.state = folder / "state.safetensors"
        self.observe = observe
        self.score = score
        self.journal = Journal(folder)
        self.skipped = SkippedSamples(self.folder, recipe.skip_limit)
        self.commit = commit()
        self.tuner: lora.LoraModel | None = None
        """What merges the adapter that is being trained."""
        self.source = self.open_source()
        torch.manual_seed(recipe.seed)
        self.pipeline = Pipeline(recipe.model, self.tokenizer())
        self.words = self.pipeline.template.words.unknown(self.source.texts()) if recipe.start.model else []
        if self.words:
            self.pipeline.know(self.words)
        if not any(self.is_done(stage) for stage in recipe.stages if not stage.adapter):  # which has all weights
            starting_model.fill(self.pipeline, recipe.start)
            if recipe.space_from:
                starting_model.fill_space(self.pipeline, recipe.space_from)
        if recipe.frozen == "bfloat16":
            self.pipeline.to(torch.bfloat16)
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
        kept = lora.WEIGHTS if stage.adapter else checkpoint.WEIGHTS
        return (self.folder / "stages" / stage.name / kept).is_file()

    def open_source(self) -> Source:
        """The samples that the run learns from."""

        def report(done: int, total: int) -> None:
            if done % 500 == 0 or done == total:
                self.observe(TrainingProgress(stage="preparing the samples", step=done, steps=total))

        return build(self.recipe.source, SOURCES, Source, report)

    def tokenizer(self) -> Tokenizer:
        """That of the earlier stages or of the start, if there is one; the words of the source, where they are few;
        else a tokenizer learned from its texts, of as many tokens as the model has embeddings."""
        done = [stage for stage in self.recipe.stages if not stage.adapter and self.is_done(stage)]
        if self.recipe.start != StartConfig() and done:
            return Tokenizer.load(self.folder / "stages" / done[-1].name)
        if (given := starting_model.tokenizer_of(self.recipe.start)) is not None:
            return given
        words = self.source.vocabulary()
        if words is not None:
            return make(words)
        return learn(self.source.texts(), self.recipe.model.unified.backbone.text.vocab_size)

    def restore(self, stage: Stage, *, scored: bool) -> None:
        """Load the weights of a finished stage, in float32; score it where the run was stopped before its scores."""
        folder = self.folder / "stages" / stage.name
        if stage.adapter:
            lora.apply(self.pipeline, [(lora.SavedAdapter.open(folder), 1.0)])
        else:
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
            if steps.done:
                steps.save()
            raise
        steps.average.swap(steps.parameters)
        steps.objective.finish()
        self.finish(stage, steps.parameters)

    def begin(self, stage: Stage) -> StageSteps:
        """A stage's steps, as they stand in the run's folder."""
        torch.manual_seed(seeded(f"stage/{self.recipe.seed}/{stage.name}").initial_seed())
        if stage.adapter:
            words = self.words if stage is self.recipe.stages[-1] else ()
            self.tuner = lora.add(self.pipeline, stage.adapter, words)
            sample_dropout.install(self.pipeline)
        objective = build(stage.objective, OBJECTIVES, Objective, self.pipeline, self.source)
        parameters = trained(self.pipeline, objective.to(self.pipeline.device), stage.trains)
        for parameter in parameters.values():
            parameter.data = parameter.data.float()  # what learns is float32 whatever the rest is
        steps = StageSteps(self.recipe, stage, objective, parameters, self.state)
        self.journal.write("stage", name=stage.name, steps=stage.steps, commit=self.commit, version=__version__)
        steps.resume()
        return steps

    def after_step(self, steps: StageSteps) -> None:
        """Log, save and score at their intervals."""
        recipe, stage, done = self.recipe, steps.stage, steps.done
        if done % LOG_EVERY == 0 or done == stage.steps:
            self.report(steps.meter.look(stage.name, done))
        if recipe.save_every and done % recipe.save_every == 0:
            steps.save()
        if recipe.score_every and done % recipe.score_every == 0 and done < stage.steps:
            with steps.averaged():
                self.judge(stage, done)

    def report(self, progress: TrainingProgress) -> None:
        """Pass progress to the observer and write it to the journal."""
        self.observe(progress)
        facts = {name: round(value, 5) for name, value in progress.losses.items()}
        self.journal.write(
            "step", stage=progress.stage, step=progress.step, samples_per_s=round(progress.samples_per_s, 1), **facts
        )

    def judge(self, stage: Stage, step: int) -> None:
        """Draw samples and score the model as it stands."""
        if self.score is None:
            return
        self.pipeline.eval()
        scores = self.score(self.pipeline, self.folder / "samples" / f"{stage.name}-{step:06d}")
        self.pipeline.train()
        self.journal.write("scores", stage=stage.name, step=step, **{k: round(v, 4) for k, v in scores.items()})

    def finish(self, stage: Stage, trained: Iterable[str]) -> None:
        """Keep the stage's weights in float32 for the stages after it, drop the state it needed, and score it."""
        folder = self.folder / "stages" / stage.name
        self.pipeline.template.words.save(folder)
        # the weights come last: with them the stage counts as done (`is_done`)
        if self.tuner is not None:
            lora.save(self.pipeline, folder, trained=trained, about=self.about | {"stage": stage.name})
            lora.merge(self.pipeline, self.tuner)
            self.tuner = None
        else:
            checkpoint.write_tensors(folder / checkpoint.WEIGHTS, self.pipeline.state_dict(), {"stage": stage.name})
        self.state.unlink(missing_ok=True)
        self.judge(stage, stage.steps)

    @property
    def about(self) -> dict[str, object]:
        """The facts that are written with the weights; those of an adapter name its base and its words."""
        run = {"commit": self.commit, "version": __version__, "seed": self.recipe.seed, "recipe": self.recipe.name}
        base = self.recipe.start.model or self.recipe.model.name
        return run | ({"base": base, "words": self.words} if self.recipe.stages[-1].adapter else {})

    def publish(self) -> Path:
        """Write the checkpoint of the model as it stands, in bfloat16: `<folder>/checkpoint`; of a run that trained
        nothing but an adapter of a model that is there already, this alone: `<folder>/adapter`."""
        done = [stage for stage in self.recipe.stages if self.is_done(stage)]
        with self.lock:
            if done and self.recipe.start.model and all(stage.adapter for stage in self.recipe.stages):
                return lora.joined([self.folder / "stages" / one.name for one in done], self.folder / "adapter")
            checkpoint.save(self.pipeline, self.folder / "checkpoint", about=self.about)
        return self.folder / "checkpoint"
