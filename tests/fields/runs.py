"""The configs of training: losses, weights, and what is written on the way."""

from dataclasses import replace

import numpy as np
from PIL import Image

from blip3o.api import BLIP3o
from blip3o.data.sources.jsonl import JsonLinesConfig
from blip3o.model.encoders.convolutional import ConvolutionalEncoderConfig
from blip3o.picturebook.detector import training
from blip3o.picturebook.objectives import TowerObjectiveConfig
from blip3o.picturebook.source import ScenesConfig
from blip3o.pipeline.pipeline import Pipeline
from blip3o.train import trainer as loop
from blip3o.train.conditions import cache_conditions
from blip3o.train.features import cache_features
from blip3o.train.objectives.autoencoder import AutoencoderObjectiveConfig
from blip3o.train.objectives.decoder import DecoderObjectiveConfig
from blip3o.train.optim import learning_rate
from blip3o.train.schedule import (
    ConstantScheduleConfig,
    CosineScheduleConfig,
    OptimizerConfig,
    WarmupStableDecayScheduleConfig,
)
from blip3o.train.starting_model import StartConfig
from blip3o.train.states import KeptConfig
from blip3o.train.validation import ValidationConfig
from blip3o.weights import checkpoint
from blip3o.weights.lora import AdapterConfig
from fields.case import TINY, Case, Change


def trained(config, world):
    """All that a run leaves and tells: losses, weights after each stage, the states that were kept, how often it was
    scored, the best models, and what is published."""
    folder, seen = world.folder(), []
    if config.space_from:
        checkpoint.save(world.awake(Pipeline(config.model, world.words)), folder / "other")
        config = replace(config, space_from=str(folder / "other"))
    if config.features:
        config = replace(config, features=blank_features(replace(config, features=""), folder))
    if config.start.model:
        checkpoint.save(world.awake(Pipeline(config.model, world.words)), folder / "start")
        config = replace(config, start=StartConfig(model=str(folder / "start")))

    def observe(progress):
        seen.append(
            (
                progress.stage,
                progress.step,
                progress.losses,
                sorted(path.name for path in (folder / "states").glob("*")),
            )
        )

    def score(made, samples):
        seen.append(samples.name)
        step = float(samples.name[-1])
        return {"rising": step, "falling": -step}

    trainer = loop.Trainer(config, folder, observe, score)
    made = trainer.run()
    published = BLIP3o.load(trainer.publish())
    told = [dict(event, time=0) for event in trainer.journal.events() if event["event"] == "validation"]
    return (
        seen,
        told,
        dict(made.state_dict()),
        published.sampling,
        published.name,
        published.about,
        sorted(path.name for kept in ("stages", "best") for path in (folder / kept).glob("*")),
    )


def blank_features(recipe, folder):
    """A folder of features for a recipe's pictures, all of them 1."""
    trainer = loop.Trainer(recipe, folder / "blank", lambda progress: None)
    store = cache_features(trainer.pipeline, trainer.source, folder / "kept")
    np.save(folder / "kept" / "00000.npy", np.ones(store.shape, store.dtype))
    return str(folder / "kept")


def kept(config, world):
    """The same of a run that keeps states and models as this config says."""
    return trained(replace(RECIPE, keep=config, save_every=1, score_every=1), world)


def pages(config, world):
    """The pictures of a run."""
    source = loop.Trainer(replace(RECIPE, source=config), world.folder(), lambda progress: None).source
    return [source.picture(index).pixels for index in range(len(source))]


def run_of(stage, world):
    return trained(replace(RECIPE, stages=(stage,)), world)


def first(*names, **changes):
    """The stages of these names with three quick steps."""
    quick = {"steps": 3, "warmup": 1} | changes
    return tuple(replace(stage, **quick) for stage in TINY.stages if stage.name in names)


LAYERS = "unified.backbone.language_model.layers"
(SPACE,) = first("encoder")
(WHOLE,) = first("instruction", batch_size=2, trains=("unified.head", "unified.backbone.language_model"))
RECIPE = replace(TINY, stages=first("generation", batch_size=2), save_every=0)
(TOWER,) = first("tower")


def variational_run(objective, world):
    """What a run leaves in which this objective trains a variational encoder."""
    encoder = TINY.model.space.encoder
    assert isinstance(encoder, ConvolutionalEncoderConfig)
    space = replace(TINY.model.space, encoder=replace(encoder, variational=True))
    stage = replace(SPACE, objective=objective)
    return trained(replace(RECIPE, model=replace(TINY.model, space=space), stages=(stage,)), world)


def run_with(stage):
    """Gives what a run of this stage leaves with another objective."""
    return lambda objective, world: run_of(replace(stage, objective=objective), world)


def run_unified(objective, world):
    """What a run with this objective leaves. One with conditions learns of a file; they are all the number that their
    folder is called by."""
    if not objective.conditions:
        return run_of(replace(WHOLE, objective=objective), world)
    folder = world.folder()
    Image.new("RGB", (72, 72), "red").save(folder / "a.png")
    (folder / "rows.jsonl").write_text('{"image": "a.png", "caption": "a field"}')
    recipe = replace(RECIPE, source=JsonLinesConfig(path=str(folder / "rows.jsonl")))
    made = loop.Trainer(recipe, folder / "blank", lambda progress: None)
    store = cache_conditions(made.pipeline, made.source, folder / "kept")
    np.save(folder / "kept" / "00000.npy", np.full(store.shape, float(objective.conditions), store.dtype))
    objective = replace(objective, draw={"draw": 1.0}, conditions=str(folder / "kept"))
    stage = replace(WHOLE, objective=objective, trains=("unified.head.denoiser",), micro_batch_size=0)
    return trained(replace(recipe, stages=(stage,)), world)


def run_of_adapter(adapter, world):
    """The weights after a stage in which this adapter learns alone."""
    folder = world.folder()
    checkpoint.save(world.awake(Pipeline(TINY.model, world.words)), folder / "start")
    start, stage = StartConfig(model=str(folder / "start")), replace(WHOLE, adapter=adapter, trains=())
    trainer = loop.Trainer(replace(RECIPE, start=start, stages=(stage,)), folder / "run", lambda progress: None)
    return dict(trainer.run().state_dict())


DECODER = replace(SPACE, trains=("space.decoder",))


def rates(schedule, world):
    """The learning rates of a stage."""
    return [learning_rate(replace(WHOLE, schedule=schedule), step) for step in range(WHOLE.steps + 1)]


def learned(config, world):
    """The losses of a judge, and what it learned."""
    losses = []
    detector = training.train(config, lambda step, loss: losses.append(loss))
    return losses, dict(detector.state_dict())


VALIDATION = ValidationConfig(source=ScenesConfig(seed="held out", stories=2), samples=2)


def validated(config, world):
    return trained(replace(RECIPE, validation=config, stages=(replace(WHOLE, steps=2),)), world)


RUNS = (
    Case(
        VALIDATION,
        validated,
        {
            "share": Change(0.6, given={"source": None}),
            "source": ScenesConfig(seed="other", stories=2),
            "every": 1,
            "samples": 8,
        },
    ),
    Case(TINY.source, pages, {"seed": "other", "stories": 5}),
    Case(
        WHOLE,
        run_of,
        {
            "name": "other",
            "objective": replace(WHOLE.objective, text_weight=0.5),
            "copies": {f"{LAYERS}.0": f"{LAYERS}.1"},
            "trains": ("unified.head",),
            "steps": 2,
            "batch_size": 3,
            "micro_batch_size": 1,
            "learning_rate": 2e-3,
            "warmup": 3,
            "weight_decay": 0.5,
            "ema": 0.0,
            "clip": 0.01,
            "optimizer": OptimizerConfig(kind="adamw"),
            "schedule": ConstantScheduleConfig(),
            "adapter": AdapterConfig(rank=2),
        },
    ),
    Case(
        OptimizerConfig(),
        lambda optimizer, world: run_of(replace(WHOLE, optimizer=optimizer), world),
        {"kind": "adamw", "betas": (0.5, 0.9), "learning_rates": {"unified.head.queries": 1e-2}},
    ),
    Case(CosineScheduleConfig(), rates, {"floor": 0.5}),
    Case(ConstantScheduleConfig(), rates, {}),
    Case(WarmupStableDecayScheduleConfig(), rates, {"floor": 0.5, "decay": 0.5}),
    Case(
        replace(WHOLE.objective, text_batch_size=2),
        run_unified,
        {
            "draw": {"edit": 1.0},
            "text": {"caption_short": 1.0},
            "text_batch_size": 3,
            "text_weight": 0.5,
            "features": "online",
            "conditions": Change("1", given={"conditions": "0", "text": {}, "text_batch_size": 0}),
        },
    ),
    Case(
        replace(SPACE.objective, divergence_weight=0.1),
        variational_run,
        {"feature_noise": 0.5, "dense_caption_weight": 0.5, "divergence_weight": 1.0},
    ),
    Case(
        AutoencoderObjectiveConfig(divergence_weight=0.1),
        variational_run,
        {"feature_noise": 0.5, "divergence_weight": 1.0},
    ),
    Case(TowerObjectiveConfig(), run_with(TOWER), {}),
    Case(DecoderObjectiveConfig(feature_noise=0.1), run_with(DECODER), {"feature_noise": 0.5}),
    Case(
        RECIPE,
        trained,
        {
            "name": "other",
            "model": replace(TINY.model, sampling=replace(TINY.model.sampling, guidance=5.0), name="other"),
            "source": ScenesConfig(seed="other", stories=3),
            "stages": first("generation", batch_size=3),
            "space_from": "other",
            "features": "kept",
            "start": StartConfig(model="other"),
            "frozen": Change("bfloat16", given={"precision": "bfloat16"}),
            "seed": 1,
            "precision": "bfloat16",
            "score_every": 1,
            "save_every": 1,
            "save_every_minutes": 1e-9,
            "keep": Change(KeptConfig(last=1), given={"save_every": 1}),
            "validation": VALIDATION,
        },
    ),
    Case(KeptConfig(best=1, by="rising"), kept, {"last": 1, "best": 2, "by": "falling", "lowest": True}),
    Case(
        AdapterConfig(rank=2),
        run_of_adapter,
        {"rank": 3, "alpha": 8.0, "dropout": 0.5, "targets": ("unified.head.denoiser.layers",), "dora": True},
    ),
    Case(
        training.TrainingConfig(steps=2, batch=1),
        learned,
        {"steps": 3, "batch": 2, "learning_rate": 1e-2, "weight_decay": 0.5, "seed": 1},
    ),
)
