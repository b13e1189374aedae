"""The training loop: stage by stage, step by step, resumable at any of them."""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from blip3o import __version__
from blip3o.config import to_dict
from blip3o.data.address import seeded
from blip3o.data.sample import SampleError
from blip3o.data.skipped import SkippedSamples
from blip3o.data.sources import SOURCES
from blip3o.data.sources.source import Source
from blip3o.errors import CheckpointError, ConfigError, DataError, OutputError, brief
from blip3o.pipeline.pipeline import Pipeline
from blip3o.plugins import build
from blip3o.processing.tokenizer import Tokenizer, learn, make
from blip3o.train import sample_dropout, starting_model
from blip3o.train.best import BestCheckpoints
from blip3o.train.features import open_features
from blip3o.train.lock import FolderLock
from blip3o.train.log import Journal, Observer, TrainingProgress, commit
from blip3o.train.objectives import OBJECTIVES
from blip3o.train.objectives.objective import Objective
from blip3o.train.optim import trained
from blip3o.train.parallel import ALONE, Processes
from blip3o.train.recipe import Recipe, Stage
from blip3o.train.report import RunReport
from blip3o.train.sharding import deal_again, is_sharded, shard, whole_state
from blip3o.train.signals import answered, undivided
from blip3o.train.starting_model import StartConfig, check_copies, copy_parts
from blip3o.train.states import States, Tell
from blip3o.train.steps import STATE, StageSteps, arithmetic
from blip3o.train.trackers import TrackedRun
from blip3o.train.validation import HeldOutSamples, held_out_losses
from blip3o.weights import checkpoint, lora
from blip3o.weights.placement.device import describe, find_device, peak_bytes, resident_bytes

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
        processes: Processes = ALONE,
    ) -> None:
        """`tell` gets what the user should know beside the progress (that a saved state is damaged, say), a line each;
        None writes it to stderr. Of the `processes` of a run the main one alone writes, observes and scores."""
        recipe.parallel.check_ranks(processes.ranks)
        self.recipe, self.processes = recipe, processes
        self.lock = folder if isinstance(folder, FolderLock) else FolderLock(folder)
        self.folder = folder = self.lock.folder
        self.tell = tell or partial(print, file=sys.stderr)
        self.states = States(folder, recipe.keep.last, self.warn)
        self.best = BestCheckpoints(folder, recipe.keep)
        self.observe = observe if processes.is_main else _look_away
        self.only: str | None = None
        """The stage that is trained alone."""
        self.score = score
        self.journal = Journal(folder)
        if processes.is_main:
            before, steps = self.journal.events(), {stage.name: stage.steps for stage in recipe.stages}
            tracked = TrackedRun(recipe.trackers, folder, to_dict(recipe), steps, before)
            self.journal.listeners += [RunReport(folder, recipe, before).hear, tracked.hear]
        self.skipped = SkippedSamples(self.folder, recipe.skip_limit)
        self.commit = commit()
        self.tuner: lora.LoraModel | None = None
        """What merges the adapter that is being trained."""
        self.source = self.open_source()
        self.held_out = HeldOutSamples(recipe.validation, self.source, recipe.seed)
        torch.manual_seed(recipe.seed)
        self.device = find_device(device)
        self.pipeline = Pipeline(recipe.model, self.tokenizer())
        self.words = self.pipeline.template.words.unknown(self.source.texts()) if recipe.start.model else []
        if self.words:
            self.pipeline.know(self.words)
        for stage in recipe.stages:
            check_copies(self.pipeline, stage.copies)
        if not any(self.is_done(stage) for stage in recipe.stages if not stage.adapter):  # which has all weights
            starting_model.fill(self.pipeline, recipe.start)
            if recipe.space_from:
                starting_model.fill_space(self.pipeline, recipe.space_from)
        if recipe.frozen == "bfloat16":
            self.pipeline.to(torch.bfloat16)
        self.pipeline.to(self.device)
        self.source.features_folder = folder / "features"
        if recipe.features:
            self.source.features = open_features(self.pipeline, self.source, Path(recipe.features))

    def run(self, only: str | None = None) -> Pipeline:
        """Train all stages, or `only` one, from where the folder's state stands. Gives the model, ready to use.

        Raises OutputError where another process trains in the folder, or where it cannot be written to.
        """
        self.only = only
        names = [stage.name for stage in self.recipe.stages]
        if only is not None and only not in names:
            raise ConfigError(f"the recipe has no stage {only!r}: choose one of {', '.join(names)}")
        with self.owned(), self.stoppable(), self.recorded():
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

    def owned(self) -> AbstractContextManager[None]:
        """The folder's lock, which the main process holds."""
        return self.lock if self.processes.is_main else nullcontext()

    def stoppable(self) -> AbstractContextManager[None]:
        """Ctrl-C and SIGTERM stop the run: at once where one process is alone, else where all have agreed on it."""
        if self.processes.ranks == 1:
            return answered((signal.SIGTERM,), signal.default_int_handler)
        return answered((signal.SIGINT, signal.SIGTERM), self.processes.ask_to_stop)

    def is_done(self, stage: Stage) -> bool:
        """Whether the stage has been trained."""
        kept = lora.WEIGHTS if stage.adapter else checkpoint.WEIGHTS
        weights = self.folder / "stages" / stage.name / kept
        return self.processes.on_main(weights.is_file)

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
        """Load the weights of a finished stage, in float32; score it where the run was stopped before its scores, and
        drop its states where it was stopped before that."""
        self.states.drop(stage.name)
        folder = self.folder / "stages" / stage.name
        if stage.adapter:
            lora.apply(self.pipeline, [(lora.SavedAdapter.open(folder), 1.0)])
        else:
            tensors, _ = checkpoint.read_tensors(folder / checkpoint.WEIGHTS)
            checkpoint.load_strictly(self.pipeline, tensors, folder)
        known = partial(self.journal.holds, event="scores", stage=stage.name, step=stage.steps)
        if scored and not self.processes.on_main(known):
            self.judge(stage, stage.steps)

    def run_stage(self, stage: Stage) -> None:
        """Train one stage to its end and keep the average of its weights."""
        steps = self.begin(stage)
        try:
            while steps.done < stage.steps:
                with undivided():
                    skipped = steps.step()
                self.count(steps.meter.samples, skipped)
                self.after_step(steps)
        except (KeyboardInterrupt, DataError):
            with undivided():
                steps.save()
            raise
        finally:
            steps.close()
        steps.average.swap(steps.parameters)
        self.validate(steps)
        steps.objective.finish()
        self.finish(stage, steps.parameters)

    def count(self, samples: int, skipped: Sequence[SampleError]) -> None:
        """Count a step's samples, of all processes. Raises DataError, in all of them, where too many were skipped."""
        if skipped:
            self.processes.on_main(partial(self.skipped.add, samples, skipped))
        elif self.processes.is_main:
            self.skipped.add(samples, ())

    def begin(self, stage: Stage) -> StageSteps:
        """A stage's steps, as they stand in the run's folder."""
        torch.manual_seed(seeded(f"stage/{self.recipe.seed}/{stage.name}").initial_seed())
        copy_parts(self.pipeline, stage.copies)
        if stage.adapter:
            words = self.words if stage is self.recipe.stages[-1] else ()
            self.tuner = lora.add(self.pipeline, stage.adapter, words)
            sample_dropout.install(self.pipeline)
        if self.processes.ranks > 1 and self.recipe.parallel.shard != "none":
            shard(self.pipeline, self.recipe.parallel, self.processes, self.recipe.precision)
        objective = build(stage.objective, OBJECTIVES, Objective, self.pipeline, self.source)
        deal_again(self.pipeline)
        parameters = trained(self.pipeline, objective.to(self.pipeline.device), stage.trains)
        for parameter in parameters.values():
            parameter.data = parameter.data.float()  # what learns is float32 whatever the rest is
        steps = StageSteps(self.recipe, stage, objective, parameters, self.states, self.processes)
        self.write("stage", name=stage.name, steps=stage.steps, commit=self.commit, version=__version__)
        steps.resume()
        return steps

    def after_step(self, steps: StageSteps) -> None:
        """Log, save and score at their intervals."""
        recipe, stage, done = self.recipe, steps.stage, steps.done
        if done % LOG_EVERY == 0 or done == stage.steps:
            steps.finite.require(done)
            self.report(steps.meter.look(stage.name, done))
        steps.save_when_due()
        if recipe.score_every and done % recipe.score_every == 0 and done < stage.steps:
            with steps.averaged(), steps.meter.aside():
                self.judge(stage, done)
        if recipe.validation.every and done % recipe.validation.every == 0 and done < stage.steps:
            with steps.averaged(), steps.meter.aside():
                self.validate(steps)

    def validate(self, steps: StageSteps) -> None:
        """Take the losses of what is held out, with the weights as they stand."""
        stage, config = steps.stage, self.recipe.validation
        if not config.is_on:
            return
        self.pipeline.eval()
        address, sizes = f"{self.recipe.seed}/{stage.name}", (stage.batch_size, stage.micro_batch_size)
        with arithmetic(self.recipe.precision, self.pipeline.device):
            losses = held_out_losses(self.held_out.objective(steps.objective), address, *sizes, config.samples)
        self.pipeline.train()
        facts = {f"validation/{name}": round(value, 5) for name, value in losses.items()}
        self.write("validation", stage=stage.name, step=steps.done, **facts)
        self.processes.on_main(partial(self.best.add, self.whole_pipeline(), stage.name, steps.done, facts))

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Tell the journal when the run begins, on what, and how it ends; of a kill -9 it hears nothing."""
        hardware = describe(self.pipeline.device)
        self.write("start", recipe=self.recipe.name, hardware=hardware, commit=self.commit, version=__version__)
        try:
            yield
        except KeyboardInterrupt:
            self.end("stopped")
            raise
        except Exception as error:
            self.end("failed", brief(error, 500))
            raise
        self.end("finished")

    def end(self, how: str, why: str = "") -> None:
        """Tell the journal of the end, unless the disk is full, which the error says then."""
        with suppress(OutputError):
            self.write("end", how=how, why=why)

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
        if self.processes.is_main:
            self.journal.step(progress)

    def run_left_s(self, progress: TrainingProgress) -> float:
        """Estimated seconds to the end of the run, at the speed of this stage."""
        names = [stage.name for stage in self.recipe.stages]
        later = [] if self.only else self.recipe.stages[names.index(progress.stage) + 1 :]
        samples = sum(stage.steps * stage.objective.samples(stage.batch_size) for stage in later)
        return progress.left_s + (samples / progress.samples_per_s if progress.samples_per_s else 0.0)

    def warn(self, line: str) -> None:
        """Tell what the user should know, and keep it in the journal."""
        self.journal.write("warning", text=line)
        self.tell(line)

    def write(self, event: str, **facts: object) -> None:
        """Append an event to the journal."""
        if self.processes.is_main:
            self.journal.write(event, **facts)

    def judge(self, stage: Stage, step: int) -> None:
        """Draw samples and score the model as it stands; the other processes wait for the main one."""
        pipeline = self.whole_pipeline()
        with self.processes.apart():
            self.processes.on_main(partial(self.judge_alone, pipeline, stage, step))

    def judge_alone(self, pipeline: Pipeline, stage: Stage, step: int) -> None:
        """The same, in this process."""
        if self.score is None:
            return
        pipeline.eval()
        scores = self.score(pipeline, self.folder / "samples" / f"{stage.name}-{step:06d}")
        self.best.add(pipeline, stage.name, step, scores)
        pipeline.train()
        self.journal.write("scores", stage=stage.name, step=step, **{k: round(v, 4) for k, v in scores.items()})

    def finish(self, stage: Stage, trained: Iterable[str]) -> None:
        """Keep the stage's weights in float32 for the stages after it, drop the state it needed, and score it."""
        self.processes.on_main(partial(self.keep, stage, self.whole_pipeline(), trained))
        if self.tuner is not None:
            lora.merge(self.pipeline, self.tuner)
            self.tuner = None
        if any(map(is_sharded, self.pipeline.parameters())):  # the next stage deals out anew what it trains
            self.pipeline = Pipeline(self.pipeline.config, self.pipeline.template.words).to(self.device)
            self.restore(stage, scored=False)
        self.judge(stage, stage.steps)

    def whole_pipeline(self) -> Pipeline:
        """The model with all of its weights, in the main process: a copy of it where they are dealt out."""
        if not any(map(is_sharded, self.pipeline.parameters())):
            return self.pipeline
        state = whole_state(self.pipeline, keep=self.processes.is_main)
        if not self.processes.is_main:
            return self.pipeline
        copy = Pipeline(self.pipeline.config, self.pipeline.template.words)
        copy.load_state_dict(state)
        return copy.to(self.device)

    def keep(self, stage: Stage, pipeline: Pipeline, trained: Iterable[str]) -> None:
        """Write the weights of a finished stage, or its adapter and what else it `trained`."""
        folder = self.folder / "stages" / stage.name
        self.pipeline.template.words.save(folder)
        # the weights come last: with them the stage counts as done (`is_done`)
        if self.tuner is None:
            checkpoint.write_tensors(folder / checkpoint.WEIGHTS, pipeline.state_dict(), {"stage": stage.name})
        else:
            lora.save(pipeline, folder, trained=trained, about=self.about | {"stage": stage.name})
        self.states.drop(stage.name)
        (self.folder / STATE).unlink(missing_ok=True)

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
        with self.owned():
            if done and self.recipe.start.model and all(stage.adapter for stage in self.recipe.stages):
                folders = [self.folder / "stages" / one.name for one in done]
                return self.processes.on_main(partial(lora.joined, folders, self.folder / "adapter"))
            place = self.folder / "checkpoint"
            self.processes.on_main(partial(checkpoint.save, self.pipeline, place, about=self.about))
        return self.folder / "checkpoint"


def _look_away(progress: TrainingProgress) -> None:
    """What a process observes that does not tell."""
